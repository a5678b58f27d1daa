/** From a data folder, whatever is in it, to a registry that is filled and a segment to go on with. */

import type { Durability, RegistryError } from '@reg/protocol';
import { readCheckpoint } from './checkpoint.js';
import { lastNumber, setAside } from './folder.js';
import type { FileHeader } from './format.js';
import { createEpoch, type LogHost } from './log.js';
import { checkNothingMissing, deadlinesAfterRestart, logMissing, mayHaveLost } from './recovery.js';
import { replay } from './replay.js';
import { Segment, type SegmentOptions } from './segment.js';
import { writeSnapshot } from './snapshot.js';

export interface DiskLogOptions extends SegmentOptions {
  /** The data folder; made where it is not there. */
  readonly folder: string;
  /**
   * When a change is durable, as Redis names it. `always`: when it is on the disk, so that it survives a power
   * cut. `everysec` and `no`: when the system has it, so that it survives the end of the process, but a power
   * cut may take the last second, or all that the system had not written by itself.
   */
  readonly durability: Durability;
  /** What every instance has left at least after a restart, in ms (its ttl, where that is less). */
  readonly grace: number;
  /** Keeps what can be read of damaged data, sets the files aside, and begins a new epoch in any case. */
  readonly repair: boolean;
  /** For tests: how many bytes a segment takes before a snapshot follows. */
  readonly segmentBytes?: number;
}

export interface Opening {
  /** What changes are appended to. */
  readonly segment: Segment;
  readonly epoch: string;
  /** Size of the snapshot that was read. */
  readonly snapshotBytes: number;
  /** Nothing was there. */
  readonly isNew: boolean;
}

/**
 * Fills the host's empty registry, deadlines included, and finds or makes the segment to append to. The folder is
 * there and locked.
 *
 * @throws {RegistryError} `data_damaged` or `data_foreign`, saying what to do.
 */
export async function openFolder(options: DiskLogOptions, host: LogHost): Promise<Opening> {
  const { folder, repair, grace } = options;
  const { registry, clock, logger } = host;
  const read = readCheckpoint(folder);
  if (read === 'damaged') logger.warn({ folder }, 'the checkpoint of the deadlines is damaged and passed over');
  const checkpoint = read === 'damaged' ? undefined : read;
  const deadlineOf = deadlinesAfterRestart(checkpoint, clock.now(), clock.wall(), grace);
  const { tail, damage, snapshotBytes } = replay(folder, registry, deadlineOf, repair);
  if (damage !== undefined) return repairFolder(options, host, damage);
  if (tail === undefined) {
    if (!repair && read !== undefined) throw logMissing(folder);
    const opening = await beginSegment(options, 1, registry.revision, createEpoch(), snapshotBytes);
    return { ...opening, isNew: read === undefined };
  }

  const { number, header, torn, revision } = tail;
  if (torn > 0) logger.warn({ bytes: torn }, 'cut off an entry that was never acknowledged');
  if (!repair) checkNothingMissing(folder, registry.revision, header, checkpoint);
  const isNewEpoch = repair || mayHaveLost(registry.revision, header, checkpoint);
  const segment = await Segment.continue(folder, tail, options);
  // A segment is of one epoch and one durability, and goes on where it ends.
  const goesOn = !isNewEpoch && revision === registry.revision && header.promised === promisedBy(options);
  if (goesOn) return { segment, epoch: header.epoch, snapshotBytes, isNew: false };
  await segment.close();
  const epoch = isNewEpoch ? createEpoch() : header.epoch;
  return beginSegment(options, number + 1, registry.revision, epoch, snapshotBytes);
}

/** What replies are promised to be, in the header of a file. */
export function promisedBy({ durability }: DiskLogOptions): FileHeader['promised'] {
  return durability === 'always' ? 'replied-is-durable' : 'may-lose-replied';
}

async function beginSegment(
  options: DiskLogOptions,
  number: number,
  revision: number,
  epoch: string,
  snapshotBytes: number,
): Promise<Opening> {
  const header: FileHeader = { kind: 'segment', promised: promisedBy(options), revision, count: 0, epoch };
  const segment = await Segment.create(options.folder, number, header, options);
  return { segment, epoch, snapshotBytes, isNew: false };
}

/** What could be read becomes a snapshot; what could not be is kept, out of the way. */
async function repairFolder(options: DiskLogOptions, host: LogHost, damage: RegistryError): Promise<Opening> {
  const { folder } = options;
  const { registry, clock, logger } = host;
  const instances = registry.all();
  const { revision } = registry;
  const number = lastNumber(folder) + 1;
  const epoch = createEpoch();
  const { segment } = await beginSegment(options, number, revision, epoch, 0);
  const snapshotBytes = await writeSnapshot(folder, number, {
    header: { kind: 'snapshot', promised: promisedBy(options), revision, count: instances.length, epoch },
    instances,
  });
  const place = setAside(folder, number, clock.wall());
  logger.warn(
    { damage: damage.message, instances: instances.length, place },
    'repaired: the damaged files are set aside',
  );
  return { segment, epoch, snapshotBytes, isNew: false };
}
