/**
 * When instances are due, written now and then: renewals are not in the log, so without this a restart would
 * know only when an instance was registered. A checkpoint that is old, or lost, costs no instance its life
 * (each has a grace after a restart), so a damaged one is passed over.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { codeOf } from '@reg/protocol';
import type { Registry } from '../registry/registry.js';
import { DEADLINES, writeWhole } from './folder.js';

const MAGIC = Buffer.from('REGDUE1\n', 'latin1');
const HEADER_BYTES = 40;
const PAIR_BYTES = 16;
/** How many instances are walked between two writes: well below a millisecond. */
const PER_WRITE = 5000;

export interface Checkpoint {
  readonly epoch: string;
  /** The log held every change up to this one. */
  readonly revision: number;
  /** The daemon had stopped in order, with everything on disk. */
  readonly clean: boolean;
  /** Deadlines by generation, in ms since the Unix epoch. */
  readonly deadlines: Pick<ReadonlyMap<number, number>, 'get'>;
}

interface CheckpointSource {
  readonly epoch: string;
  readonly revision: number;
  readonly clean: boolean;
  readonly registry: Registry;
  /** What is to be added to registry time to get the wall clock's. */
  readonly skew: number;
}

/**
 * Writes a checkpoint beside whatever else the daemon does. It is not of one moment: an instance that is renewed
 * or ends meanwhile is in it or not, and either is right.
 */
export async function writeCheckpoint(folder: string, source: CheckpointSource): Promise<void> {
  await writeWhole(join(folder, DEADLINES), encodeCheckpoint(source));
}

function* encodeCheckpoint({ epoch, revision, clean, registry, skew }: CheckpointSource): Generator<Buffer> {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.write(epoch, 8, 16, 'latin1');
  header.writeDoubleLE(revision, 24);
  header.writeDoubleLE(clean ? 1 : 0, 32);
  let checksum = crc32(header);
  yield header;

  let walked = PER_WRITE;
  for (let last = 0; walked === PER_WRITE; ) {
    const pairs = Buffer.allocUnsafe(PER_WRITE * PAIR_BYTES);
    let length = 0;
    walked = 0;
    for (const { generation, expiresAt } of registry.after(last)) {
      last = generation;
      walked += 1;
      if (expiresAt < Number.POSITIVE_INFINITY) {
        pairs.writeDoubleLE(generation, length);
        pairs.writeDoubleLE(expiresAt + skew, length + 8);
        length += PAIR_BYTES;
      }
      if (walked === PER_WRITE) break;
    }
    checksum = crc32(pairs.subarray(0, length), checksum);
    yield pairs.subarray(0, length);
  }

  const trailer = Buffer.alloc(4);
  trailer.writeUInt32LE(checksum);
  yield trailer;
}

/** @returns the checkpoint, `undefined` where there is none, or `'damaged'`. */
export function readCheckpoint(folder: string): Checkpoint | undefined | 'damaged' {
  let bytes: Buffer;
  try {
    bytes = readFileSync(join(folder, DEADLINES));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const end = bytes.length - 4;
  if (end < HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) return 'damaged';
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return 'damaged';
  return {
    epoch: bytes.toString('latin1', 8, 24),
    revision: bytes.readDoubleLE(24),
    clean: bytes.readDoubleLE(32) === 1,
    deadlines: new Deadlines(bytes.subarray(HEADER_BYTES, end)),
  };
}

/**
 * Deadlines as they are in the file: a million of them in a map would take longer to read than the instances. They are
 * in the order of generations, and so are most of the questions.
 */
class Deadlines {
  readonly #pairs: DataView;
  readonly #count: number;
  /** The one after the last that was asked for. */
  #next = 0;

  constructor({ buffer, byteOffset, length }: Buffer) {
    this.#pairs = new DataView(buffer, byteOffset, length);
    this.#count = Math.floor(length / PAIR_BYTES);
  }

  get(generation: number): number | undefined {
    if (this.#generationAt(this.#next) !== generation) this.#next = this.#find(generation);
    if (this.#generationAt(this.#next) !== generation) return undefined;
    const deadline = this.#pairs.getFloat64(this.#next * PAIR_BYTES + 8, true);
    this.#next += 1;
    return deadline;
  }

  /** The place of the first that is not below `generation`; by binary search. */
  #find(generation: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#generationAt(middle) < generation) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #generationAt(index: number): number {
    return index < this.#count ? this.#pairs.getFloat64(index * PAIR_BYTES, true) : Number.POSITIVE_INFINITY;
  }
}
