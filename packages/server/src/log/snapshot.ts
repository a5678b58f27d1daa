import { setImmediate } from 'node:timers/promises';
import type { Instance } from '../registry/instance.js';
import { snapshotPath, writeWhole } from './folder.js';
import { EntryWriter, encodeFileHeader, type FileHeader } from './format.js';

/** How much is encoded in one turn of the loop: a millisecond or two. */
const PIECE_BYTES = 256 * 1024;

export interface SnapshotSource {
  readonly header: FileHeader;
  /** Every instance as of the header's revision, in the order of generations. */
  readonly instances: readonly Instance[];
  /** Told before the file takes its place; a rejection, or one thrown on the way, leaves no file. */
  readonly ready?: () => Promise<void>;
  /** Gives it up. */
  readonly signal?: AbortSignal;
}

/** Writes a snapshot beside whatever else the daemon does. It exists when this resolves, with its size. */
export function writeSnapshot(folder: string, number: number, source: SnapshotSource): Promise<number> {
  return writeWhole(snapshotPath(folder, number), encodeSnapshot(source));
}

async function* encodeSnapshot({ header, instances, ready, signal }: SnapshotSource): AsyncGenerator<Buffer> {
  yield encodeFileHeader(header);
  const writer = new EntryWriter();
  let generation = 0;
  for (const instance of instances) {
    writer.add(instance, generation);
    generation = instance.generation;
    if (writer.length < PIECE_BYTES) continue;
    yield writer.finish();
    writer.clear();
    await setImmediate();
    signal?.throwIfAborted();
  }
  yield writer.finish();
  await ready?.();
}
