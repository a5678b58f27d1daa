/**
 * The bytes of the data files; docs/storage.md has the same as tables. A file is a header and then entries;
 * an entry is what was committed together, or about a MiB of that, or a stretch of a snapshot. Numbers are little-endian, checksums
 * CRC-32. Every byte is under a checksum, so that a flipped one is found; every entry names the revision
 * before it, so that a missing one is found too.
 */

import { crc32 } from 'node:zlib';
import { STATUSES, UNOWNED } from '@reg/protocol';
import type { Change } from '../change.js';

const MAGIC = Buffer.from('REGDATA\n', 'latin1');
/** 2 has the status, the linger and the owner of a registration. Nobody had data in 1 when it came. */
const VERSION = 2;

/** One kind of file holds changes as they came, the other the instances of one revision. */
export type FileKind = 'segment' | 'snapshot';
const FILE_KINDS: readonly FileKind[] = ['segment', 'snapshot'];

/** Whether replies waited for the disk while a file was written: if not, a crash may have lost some. */
type Promised = 'replied-is-durable' | 'may-lose-replied';
const PROMISES: readonly Promised[] = ['replied-is-durable', 'may-lose-replied'];

export interface FileHeader {
  readonly kind: FileKind;
  readonly promised: Promised;
  /** Segment: the revision before its first change. Snapshot: the revision that it shows. */
  readonly revision: number;
  /** Snapshot: how many instances it holds. Segment: 0. */
  readonly count: number;
  /** 16 hexadecimal digits. */
  readonly epoch: string;
}

export const FILE_HEADER_BYTES = 64;
export const ENTRY_HEADER_BYTES = 24;
/** An entry that has reached this is closed and another begun. */
const ENTRY_BYTES = 1024 * 1024;
/** The first size of a writer's buffer, and up to where it keeps one that has grown. */
const FIRST_BYTES = 16 * 1024;
const KEEP_BYTES = 4 * ENTRY_BYTES;

const CHANGE_KINDS: readonly Change['kind'][] = ['register', 'expire', 'destroy'];
/** What every change begins with; its names and body follow. */
const CHANGE_BYTES = 64;

export function encodeFileHeader({ kind, promised, revision, count, epoch }: FileHeader): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt16LE(VERSION, 8);
  header.writeUInt8(FILE_KINDS.indexOf(kind), 10);
  header.writeUInt8(PROMISES.indexOf(promised), 11);
  header.writeDoubleLE(revision, 16);
  header.writeDoubleLE(count, 24);
  header.write(epoch, 32, 16, 'latin1');
  header.writeUInt32LE(crc32(header.subarray(0, 60)), 60);
  return header;
}

/** @returns why it is not a header that this version can read, or the header. */
export function decodeFileHeader(header: Buffer): FileHeader | 'short' | 'foreign' | 'older' | 'newer' | 'damaged' {
  if (header.length < FILE_HEADER_BYTES) return 'short';
  const isIntact = crc32(header.subarray(0, 60)) === header.readUInt32LE(60);
  if (!header.subarray(0, 8).equals(MAGIC)) return isIntact ? 'foreign' : looksLikeOurs(header) ? 'damaged' : 'foreign';
  if (!isIntact) return 'damaged';
  const version = header.readUInt16LE(8);
  if (version !== VERSION) return version < VERSION ? 'older' : 'newer';
  const kind = FILE_KINDS[header.readUInt8(10)];
  const promised = PROMISES[header.readUInt8(11)];
  if (kind === undefined || promised === undefined) return 'newer';
  return {
    kind,
    promised,
    revision: header.readDoubleLE(16),
    count: header.readDoubleLE(24),
    epoch: header.toString('latin1', 32, 48),
  };
}

/** A magic of which a byte or two is wrong is damage rather than another program's file. */
function looksLikeOurs(header: Buffer): boolean {
  return MAGIC.filter((byte, index) => header[index] === byte).length >= MAGIC.length - 2;
}

/** Collects changes into entries, in one buffer that is written at once. */
export class EntryWriter {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;
  /** Where the open entry begins; -1 where none is open. */
  #entry = -1;

  /** How many bytes wait. */
  get length(): number {
    return this.#length;
  }

  /** @param previous the revision (in a snapshot, the generation) before this change. */
  add(change: Change, previous: number): void {
    if (this.#entry === -1) this.#open(previous);
    this.#write(change);
    if (this.#length - this.#entry >= ENTRY_BYTES) this.#close();
  }

  /** The bytes of everything added; valid until the next `add` after `clear`. */
  finish(): Buffer {
    if (this.#entry !== -1) this.#close();
    return this.#buffer.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
    this.#entry = -1;
    if (this.#buffer.length > KEEP_BYTES) this.#buffer = Buffer.allocUnsafe(FIRST_BYTES);
  }

  #write(change: Change): void {
    const isRegister = change.kind === 'register';
    const body = isRegister ? change.body : '';
    const owner = isRegister ? change.owner : UNOWNED;
    this.#reserve(CHANGE_BYTES + (change.key.length + change.instance.length + owner.length + body.length) * 3);
    const buffer = this.#buffer;
    const start = this.#length;
    const keyBytes = buffer.write(change.key, start + CHANGE_BYTES);
    const instanceBytes = buffer.write(change.instance, start + CHANGE_BYTES + keyBytes);
    const ownerBytes = buffer.write(owner, start + CHANGE_BYTES + keyBytes + instanceBytes);
    const bodyBytes = buffer.write(body, start + CHANGE_BYTES + keyBytes + instanceBytes + ownerBytes);
    buffer.writeUInt8(CHANGE_KINDS.indexOf(change.kind), start);
    buffer.writeUInt8(isRegister ? STATUSES.indexOf(change.status) : 0, start + 1);
    buffer.writeUInt16LE(keyBytes, start + 2);
    buffer.writeUInt16LE(instanceBytes, start + 4);
    buffer.writeUInt16LE(ownerBytes, start + 6);
    buffer.writeDoubleLE(change.revision, start + 8);
    buffer.writeDoubleLE(change.generation, start + 16);
    buffer.writeDoubleLE(change.at, start + 24);
    buffer.writeDoubleLE(isRegister ? change.registered : 0, start + 32);
    buffer.writeDoubleLE(isRegister ? change.ttl : 0, start + 40);
    buffer.writeDoubleLE(isRegister ? change.linger : 0, start + 48);
    buffer.writeUInt32LE(bodyBytes, start + 56);
    buffer.writeUInt32LE(0, start + 60);
    this.#length = start + CHANGE_BYTES + keyBytes + instanceBytes + ownerBytes + bodyBytes;
  }

  #open(previous: number): void {
    this.#reserve(ENTRY_HEADER_BYTES);
    this.#entry = this.#length;
    this.#buffer.writeDoubleLE(previous, this.#entry + 8);
    this.#length += ENTRY_HEADER_BYTES;
  }

  #close(): void {
    const buffer = this.#buffer;
    const start = this.#entry;
    const payload = buffer.subarray(start + ENTRY_HEADER_BYTES, this.#length);
    buffer.writeUInt32LE(payload.length, start);
    buffer.writeUInt32LE(start === 0 ? 1 : 0, start + 4);
    buffer.writeUInt32LE(crc32(payload), start + 16);
    buffer.writeUInt32LE(crc32(buffer.subarray(start, start + 20)), start + 20);
    this.#entry = -1;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#length + bytes, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

export interface EntryHeader {
  readonly payloadBytes: number;
  /** Whether what was written before it was durable: it is the first entry of a commit. */
  readonly beginsCommit: boolean;
  /** Revision (in a snapshot, generation) of the last change before this entry. */
  readonly previous: number;
  readonly checksum: number;
}

/** Reads an entry's header at `offset`, where at least `ENTRY_HEADER_BYTES` are; `undefined` where it is none. */
export function decodeEntryHeader(buffer: Buffer, offset: number): EntryHeader | undefined {
  if (crc32(buffer.subarray(offset, offset + 20)) !== buffer.readUInt32LE(offset + 20)) return undefined;
  return {
    payloadBytes: buffer.readUInt32LE(offset),
    beginsCommit: buffer.readUInt32LE(offset + 4) === 1,
    previous: buffer.readDoubleLE(offset + 8),
    checksum: buffer.readUInt32LE(offset + 16),
  };
}

/** Whether a payload is what its header says. */
export function isIntact(header: EntryHeader, payload: Buffer): boolean {
  return crc32(payload) === header.checksum;
}

/** The changes of an intact payload, in order. Registrations have no deadline yet: they get the one last written. */
export function* decodeChanges(payload: Buffer): Generator<Change> {
  let offset = 0;
  while (offset < payload.length) {
    const kind = CHANGE_KINDS[payload.readUInt8(offset)];
    const status = STATUSES[payload.readUInt8(offset + 1)];
    if (kind === undefined || status === undefined) {
      throw new RangeError(`no change is of kind and status ${payload.readUInt16LE(offset)}`);
    }
    const names = offset + CHANGE_BYTES;
    const keyEnd = names + payload.readUInt16LE(offset + 2);
    const instanceEnd = keyEnd + payload.readUInt16LE(offset + 4);
    const ownerEnd = instanceEnd + payload.readUInt16LE(offset + 6);
    const bodyEnd = ownerEnd + payload.readUInt32LE(offset + 56);
    const common = {
      revision: payload.readDoubleLE(offset + 8),
      key: payload.toString('utf8', names, keyEnd),
      instance: payload.toString('utf8', keyEnd, instanceEnd),
      generation: payload.readDoubleLE(offset + 16),
      at: payload.readDoubleLE(offset + 24),
    };
    if (kind === 'register') {
      const ttl = payload.readDoubleLE(offset + 40);
      yield {
        kind,
        ...common,
        registered: payload.readDoubleLE(offset + 32),
        ttl,
        body: payload.toString('utf8', ownerEnd, bodyEnd),
        status,
        linger: payload.readDoubleLE(offset + 48),
        owner: payload.toString('utf8', instanceEnd, ownerEnd),
        expiresAt: common.at + ttl,
      };
    } else {
      yield { kind, ...common, expiresAt: common.at };
    }
    offset = bodyEnd;
  }
}
