/**
 * When instances are due, written now and then: renewals are not in the log, so without this a restart would
 * know only when an instance was registered. A checkpoint that is old, or lost, costs no instance its life
 * (each has a grace after a restart), so a damaged one is passed over.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import type { Instance } from '../registry/instance.js';
import { DEADLINES, writeWhole } from './folder.js';

const MAGIC = Buffer.from('REGDUE1\n', 'latin1');
const HEADER_BYTES = 48;
const PAIR_BYTES = 16;
/** How many instances are encoded in one turn of the loop. */
const PER_TURN = 20_000;

export interface Checkpoint {
  readonly epoch: string;
  /** The log held every change up to this one. */
  readonly revision: number;
  /** The daemon had stopped in order, with everything on disk. */
  readonly clean: boolean;
  /** Deadlines by generation, in ms since the Unix epoch. */
  readonly deadlines: ReadonlyMap<number, number>;
}

interface CheckpointSource {
  readonly epoch: string;
  readonly revision: number;
  readonly clean: boolean;
  readonly instances: readonly Instance[];
  /** What is to be added to registry time to get the wall clock's. */
  readonly skew: number;
}

/** Encodes a checkpoint in pieces, with a turn of the loop between them. */
export async function writeCheckpoint(folder: string, source: CheckpointSource): Promise<void> {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + source.instances.length * PAIR_BYTES + 4);
  let length = HEADER_BYTES;
  for (const [index, { generation, expiresAt }] of source.instances.entries()) {
    if (index % PER_TURN === PER_TURN - 1) await setImmediate();
    if (expiresAt === Number.POSITIVE_INFINITY) continue;
    bytes.writeDoubleLE(generation, length);
    bytes.writeDoubleLE(expiresAt + source.skew, length + 8);
    length += PAIR_BYTES;
  }
  MAGIC.copy(bytes);
  bytes.write(source.epoch, 8, 16, 'latin1');
  bytes.writeDoubleLE(source.revision, 24);
  bytes.writeDoubleLE(source.clean ? 1 : 0, 32);
  bytes.writeDoubleLE((length - HEADER_BYTES) / PAIR_BYTES, 40);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, length)), length);
  await writeWhole(join(folder, DEADLINES), [bytes.subarray(0, length + 4)]);
}

/** @returns the checkpoint, `undefined` where there is none, or `'damaged'`. */
export function readCheckpoint(folder: string): Checkpoint | undefined | 'damaged' {
  let bytes: Buffer;
  try {
    bytes = readFileSync(join(folder, DEADLINES));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const end = bytes.length - 4;
  if (end < HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) return 'damaged';
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return 'damaged';
  const deadlines = new Map<number, number>();
  for (let offset = HEADER_BYTES; offset < end; offset += PAIR_BYTES) {
    deadlines.set(bytes.readDoubleLE(offset), bytes.readDoubleLE(offset + 8));
  }
  return {
    epoch: bytes.toString('latin1', 8, 24),
    revision: bytes.readDoubleLE(24),
    clean: bytes.readDoubleLE(32) === 1,
    deadlines,
  };
}
