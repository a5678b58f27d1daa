/** What a start, or a failed commit, concludes from what it finds. Pure: everything is handed in. */

import { RegistryError } from '@reg/protocol';
import type { Change, RegisterChange } from '../change.js';
import type { Instance } from '../registry/instance.js';
import type { Checkpoint } from './checkpoint.js';
import type { FileHeader } from './format.js';

/** Tells the deadline, in registry time, of an instance that is as its last registration says. */
export type DeadlineOf = (
  registered: Pick<RegisterChange, 'generation' | 'revision' | 'ttl' | 'at' | 'status' | 'linger'>,
) => number;

/**
 * Deadlines after a restart: what is left by the wall clock, but no more than the ttl and no less than the grace.
 * The checkpoint knows no better about an instance that was changed after it. What was suspect then lives by its
 * linger, as it did.
 *
 * @param now registry time, @param wall the wall clock, and @param grace, all in ms.
 */
export function deadlinesAfterRestart(
  checkpoint: Checkpoint | undefined,
  now: number,
  wall: number,
  grace: number,
): DeadlineOf {
  return ({ generation, revision, ttl, at, status, linger }) => {
    const isKnown = checkpoint !== undefined && revision <= checkpoint.revision;
    const since = at + (status === 'suspect' ? Math.min(ttl, linger) : ttl);
    const left = ((isKnown ? checkpoint.deadlines.get(generation) : undefined) ?? since) - wall;
    return now + Math.min(ttl, Math.max(left, grace));
  };
}

/**
 * Deadlines after a commit has failed and its changes are undone. Nobody was away: an instance has the deadline
 * that it had, also where its end is undone, so that what had expired stays hidden, or where it became suspect. Where
 * another update is undone, its owner was there a moment ago, and it is as if renewed.
 *
 * @param before every instance as it was, the undone changes included.
 */
export function deadlinesAfterRollback(
  before: readonly Instance[],
  undone: readonly Change[],
  now: number,
): DeadlineOf {
  const known = new Map<number, Instance>();
  for (const instance of before) known.set(instance.generation, instance);
  const ended = new Map<number, number>();
  for (const change of undone) if (change.kind !== 'register') ended.set(change.generation, change.expiresAt);
  return ({ generation, revision, ttl }) => {
    const instance = known.get(generation);
    const isAsBefore = instance?.revision === revision || instance?.status === 'suspect';
    const expiresAt = isAsBefore ? instance?.expiresAt : ended.get(generation);
    return Math.min(expiresAt ?? Number.POSITIVE_INFINITY, now + ttl);
  };
}

/**
 * The checkpoint says how far the log had once reached. A shorter one has lost what was acknowledged; where
 * replies do not wait for the disk, a power cut does that, and it is no damage unless the daemon had stopped in
 * order.
 *
 * @param revision the last change that the log has.
 * @throws {RegistryError} `data_damaged`
 */
export function checkNothingMissing(
  folder: string,
  revision: number,
  header: FileHeader,
  checkpoint: Checkpoint | undefined,
): void {
  if (checkpoint === undefined || (header.promised === 'may-lose-replied' && !checkpoint.clean)) return;
  if (checkpoint.epoch !== header.epoch || checkpoint.revision <= revision) return;
  throw new RegistryError(
    'data_damaged',
    `the log in ${folder} ends with change ${revision}, but change ${checkpoint.revision} had been acknowledged. Nothing was changed. Bring the data folder back from a backup, or start once with --repair to go on without what is missing`,
  );
}

/** There is a checkpoint, and the first segment is made before the first of those. */
export function logMissing(folder: string): RegistryError {
  return new RegistryError(
    'data_damaged',
    `${folder} holds deadlines, but no log. Nothing was changed. Bring the data folder back from a backup, or start once with --repair to begin with an empty registry`,
  );
}

/** Whether changes that were replied to may be gone, so that their revisions must not come again. */
export function mayHaveLost(revision: number, header: FileHeader, checkpoint: Checkpoint | undefined): boolean {
  if (header.promised === 'replied-is-durable') return checkpoint !== undefined && checkpoint.revision > revision;
  return !(checkpoint?.clean && checkpoint.epoch === header.epoch && checkpoint.revision === revision);
}
