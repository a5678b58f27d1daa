import type { Change } from '../src/change.js';
import type { History } from '../src/registry/history.js';

/** The changes after `revision`, in order; `undefined` where some of them are no longer held. */
export function changesAfter(history: History, revision: number): Change[] | undefined {
  if (revision < history.since) return undefined;
  const changes: Change[] = [];
  for (let index = history.indexAfter(revision); ; index += 1) {
    const change = history.at(index);
    if (change === undefined) return changes;
    changes.push(change);
  }
}
