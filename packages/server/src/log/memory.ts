import { randomBytes } from 'node:crypto';
import type { Change } from '../change.js';
import type { Log, LogHost } from './log.js';

/** A fresh identity for a history of revisions. */
export function createEpoch(): string {
  return randomBytes(8).toString('hex');
}

/** Keeps nothing. Every start is an epoch of its own. */
export class MemoryLog implements Log {
  readonly kind = 'memory';
  readonly durability = 'none';
  readonly epoch = createEpoch();
  #host: LogHost | undefined;
  #revision = 0;

  /** What is in memory is as durable as it gets. */
  get durable(): number {
    return this.#revision;
  }

  async open(host: LogHost): Promise<void> {
    this.#host = host;
  }

  propose(change: Change): number {
    if (this.#host === undefined) throw new Error('the log is not open');
    this.#revision += 1;
    stamp(change, this.#revision);
    return this.#host.apply(change) ? change.revision : 0;
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}

/** Gives a change its place in the order. A first registration's generation is its own revision. */
export function stamp(change: Change, revision: number): void {
  change.revision = revision;
  if (change.kind === 'register' && change.generation === 0) change.generation = revision;
}
