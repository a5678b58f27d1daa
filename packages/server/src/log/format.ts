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

/** Texts up to this length are written character by character: a call of `Buffer.write` costs more than that. */
const SHORT_CHARS = 64;

/** Collects changes into entries, in one buffer that is written at once. */
export class EntryWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  /** The same bytes. Numbers written through it cost a fraction of what those of a `Buffer` do. */
  #view = viewOf(this.#buffer);
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
    if (this.#buffer.length > KEEP_BYTES) this.#replace(Buffer.allocUnsafeSlow(FIRST_BYTES));
  }

  #write(change: Change): void {
    const isRegister = change.kind === 'register';
    const body = isRegister ? change.body : '';
    const owner = isRegister ? change.owner : UNOWNED;
    this.#reserve(CHANGE_BYTES + (change.key.length + change.instance.length + owner.length + body.length) * 3);
    const start = this.#length;
    this.#length += CHANGE_BYTES;
    const keyBytes = this.#writeText(change.key);
    const instanceBytes = this.#writeText(change.instance);
    const ownerBytes = this.#writeText(owner);
    const bodyBytes = this.#writeText(body);
    const view = this.#view;
    view.setUint8(start, CHANGE_KINDS.indexOf(change.kind));
    view.setUint8(start + 1, isRegister ? STATUSES.indexOf(change.status) : 0);
    view.setUint16(start + 2, keyBytes, true);
    view.setUint16(start + 4, instanceBytes, true);
    view.setUint16(start + 6, ownerBytes, true);
    view.setFloat64(start + 8, change.revision, true);
    view.setFloat64(start + 16, change.generation, true);
    view.setFloat64(start + 24, change.at, true);
    view.setFloat64(start + 32, isRegister ? change.registered : 0, true);
    view.setFloat64(start + 40, isRegister ? change.ttl : 0, true);
    view.setFloat64(start + 48, isRegister ? change.linger : 0, true);
    view.setUint32(start + 56, bodyBytes, true);
    view.setUint32(start + 60, 0, true);
  }

  /** There must be room for three bytes a character. @returns how many it took. */
  #writeText(text: string): number {
    const isWritten = text.length <= SHORT_CHARS && this.#writeAscii(text);
    const bytes = isWritten ? text.length : this.#buffer.write(text, this.#length);
    this.#length += bytes;
    return bytes;
  }

  /** @returns whether it is ASCII, of which a character is a byte. If not, the bytes are to be written over. */
  #writeAscii(text: string): boolean {
    const buffer = this.#buffer;
    const start = this.#length;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 127) return false;
      buffer[start + index] = code;
    }
    return true;
  }

  #open(previous: number): void {
    this.#reserve(ENTRY_HEADER_BYTES);
    this.#entry = this.#length;
    this.#view.setFloat64(this.#entry + 8, previous, true);
    this.#length += ENTRY_HEADER_BYTES;
  }

  #close(): void {
    const view = this.#view;
    const start = this.#entry;
    const payload = this.#buffer.subarray(start + ENTRY_HEADER_BYTES, this.#length);
    view.setUint32(start, payload.length, true);
    view.setUint32(start + 4, start === 0 ? 1 : 0, true);
    view.setUint32(start + 16, crc32(payload), true);
    view.setUint32(start + 20, crc32(this.#buffer.subarray(start, start + 20)), true);
    this.#entry = -1;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#length + bytes, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#replace(grown);
  }

  #replace(buffer: Buffer): void {
    this.#buffer = buffer;
    this.#view = viewOf(buffer);
  }
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
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
  const view = viewOf(payload);
  for (let offset = 0; offset < payload.length; ) {
    const kind = CHANGE_KINDS[view.getUint8(offset)];
    const status = STATUSES[view.getUint8(offset + 1)];
    if (kind === undefined || status === undefined) {
      throw new RangeError(`no change is of kind and status ${view.getUint16(offset, true)}`);
    }
    const names = offset + CHANGE_BYTES;
    const keyEnd = names + view.getUint16(offset + 2, true);
    const instanceEnd = keyEnd + view.getUint16(offset + 4, true);
    const ownerEnd = instanceEnd + view.getUint16(offset + 6, true);
    const bodyEnd = ownerEnd + view.getUint32(offset + 56, true);
    const revision = view.getFloat64(offset + 8, true);
    const key = textOf(payload, names, keyEnd);
    const instance = textOf(payload, keyEnd, instanceEnd);
    const generation = view.getFloat64(offset + 16, true);
    const at = view.getFloat64(offset + 24, true);
    if (kind === 'register') {
      const ttl = view.getFloat64(offset + 40, true);
      yield {
        kind,
        revision,
        key,
        instance,
        generation,
        at,
        registered: view.getFloat64(offset + 32, true),
        ttl,
        body: textOf(payload, ownerEnd, bodyEnd),
        status,
        linger: view.getFloat64(offset + 48, true),
        owner: textOf(payload, instanceEnd, ownerEnd),
        expiresAt: at + ttl,
      };
    } else {
      yield { kind, revision, key, instance, generation, at, expiresAt: at };
    }
    offset = bodyEnd;
  }
}

/** A text of its own, and not a piece of a larger one that it would keep in memory. */
function textOf(bytes: Buffer, start: number, end: number): string {
  return start === end ? '' : bytes.toString('utf8', start, end);
}
