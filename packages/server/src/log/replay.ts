/**
 * From the files of a data folder to a registry: the snapshot, then the segments after it. Everything is
 * checked before it is believed. It reads synchronously: nothing can be served before it is done.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { RegistryError } from '@reg/protocol';
import type { Registry } from '../registry/registry.js';
import { listFiles, segmentPath, snapshotPath } from './folder.js';
import {
  decodeChanges,
  decodeEntryHeader,
  decodeFileHeader,
  ENTRY_HEADER_BYTES,
  type EntryHeader,
  FILE_HEADER_BYTES,
  type FileHeader,
  type FileKind,
  isIntact,
} from './format.js';
import type { DeadlineOf } from './recovery.js';

export interface Replayed {
  /** The segment to go on with; `undefined` where there is none. */
  readonly tail: Tail | undefined;
  /** Size of the snapshot that was read. */
  readonly snapshotBytes: number;
  /** What was damaged and passed over; only where damage is tolerated. */
  readonly damage: RegistryError | undefined;
}

/** How the last segment ends. */
export interface Tail {
  readonly number: number;
  readonly header: FileHeader;
  /** Where the next entry belongs: the end of the last whole one. Behind it there may be room, which is zeros. */
  readonly end: number;
  /** Bytes after that which are no room, but an entry that a crash cut off before it was acknowledged. */
  readonly torn: number;
  /** Revision of its last change. A snapshot may show more, where the segment has lost its end. */
  readonly revision: number;
}

/**
 * Fills an empty registry from `folder`.
 *
 * @param deadlineOf is asked as each is registered, so that it is filed under its deadline at once.
 * @param tolerant reads up to the first damage, and reports that instead of throwing it.
 * @throws {RegistryError} `data_damaged` or `data_foreign`, naming the file and the place.
 */
export function replay(folder: string, registry: Registry, deadlineOf: DeadlineOf, tolerant = false): Replayed {
  const files = listFiles(folder);
  let damage: RegistryError | undefined;
  let snapshotBytes = 0;
  let tail: Tail | undefined;
  const tolerate = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      if (!tolerant || !(error instanceof RegistryError) || error.code !== 'data_damaged') throw error;
      damage ??= error;
    }
  };

  const { snapshot } = files;
  if (snapshot !== undefined) {
    tolerate(() => {
      snapshotBytes = replaySnapshot(snapshotPath(folder, snapshot), registry, deadlineOf);
    });
  }
  const first = snapshot ?? 1;
  const segments = files.segments.filter((number) => number >= first);
  tolerate(() => {
    segments.forEach((number, index) => {
      if (number !== first + index) throw damaged(segmentPath(folder, first + index), 0, 'it is missing');
      const isLast = index === segments.length - 1;
      tail = replaySegment(segmentPath(folder, number), number, isLast, registry, deadlineOf);
    });
  });
  if (segments.length === 0 && (snapshot !== undefined || files.segments.length > 0)) {
    tolerate(() => {
      throw damaged(segmentPath(folder, first), 0, 'it is missing');
    });
  }
  return { tail, snapshotBytes, damage };
}

function replaySnapshot(path: string, registry: Registry, deadlineOf: DeadlineOf): number {
  const file = openFile(path, 'snapshot');
  try {
    let generation = 0;
    let count = 0;
    try {
      for (const entry of readEntries(file)) {
        if (entry.header.previous !== generation) throw damaged(path, entry.offset, 'a part before it is missing');
        for (const change of decodeChanges(entry.payload)) {
          if (change.kind !== 'register') throw damaged(path, entry.offset, 'a snapshot holds registrations only');
          change.expiresAt = deadlineOf(change);
          registry.restore(change, file.header.revision);
          generation = change.generation;
          count += 1;
        }
      }
    } catch (fault) {
      throw fault instanceof Fault ? damaged(path, fault.offset, fault.message) : fault;
    } finally {
      registry.restored(file.header.revision);
    }
    if (count !== file.header.count)
      throw damaged(path, file.size, `it holds ${count} of ${file.header.count} instances`);
    return file.size;
  } finally {
    closeSync(file.fd);
  }
}

/**
 * Changes up to the snapshot's revision are passed over. Zeros to the end of the file are room for more. What is wrong
 * otherwise at the end of the last segment may be an entry that a crash cut off; it was never acknowledged, and is not
 * damage.
 */
function replaySegment(
  path: string,
  number: number,
  isLast: boolean,
  registry: Registry,
  deadlineOf: DeadlineOf,
): Tail {
  const file = openFile(path, 'segment');
  const known = registry.revision;
  let revision = file.header.revision;
  if (revision > known) throw damaged(path, 0, `changes ${known + 1} to ${revision} before it are missing`);
  let end = FILE_HEADER_BYTES;
  let torn = 0;
  try {
    for (const entry of readEntries(file)) {
      if (entry.header.previous !== revision) throw damaged(path, entry.offset, 'an entry before it is missing');
      for (const change of decodeChanges(entry.payload)) {
        revision = change.revision;
        if (revision <= known) continue;
        if (change.kind === 'register') change.expiresAt = deadlineOf(change);
        registry.apply(change);
      }
      end = entry.end;
    }
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    if (!isRoom(file, fault.offset)) {
      if (!isLast || !isTorn(file, fault)) throw damaged(path, fault.offset, fault.message);
      torn = file.size - end;
    }
  } finally {
    closeSync(file.fd);
  }
  return { number, header: file.header, end, torn, revision };
}

function damaged(path: string, offset: number, what: string): RegistryError {
  return new RegistryError(
    'data_damaged',
    `${path} is damaged at byte ${offset}: ${what}. Nothing was changed. Bring the data folder back from a backup, or start once with --repair, which keeps what can still be read and sets the damaged files aside`,
  );
}

/** An entry that is not whole, before it is known whether that is damage. */
class Fault extends Error {
  readonly offset: number;
  /** The header, where that was intact. */
  readonly header: EntryHeader | undefined;

  constructor(offset: number, message: string, header?: EntryHeader) {
    super(message);
    this.offset = offset;
    this.header = header;
  }
}

interface Entry {
  readonly offset: number;
  readonly end: number;
  readonly header: EntryHeader;
  readonly payload: Buffer;
}

interface OpenFile {
  readonly fd: number;
  readonly size: number;
  readonly header: FileHeader;
}

function openFile(path: string, kind: FileKind): OpenFile {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    return { fd, size, header: checkHeader(path, kind, readAt(fd, 0, Math.min(size, FILE_HEADER_BYTES))) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function checkHeader(path: string, kind: FileKind, bytes: Buffer): FileHeader {
  const header = decodeFileHeader(bytes);
  if (header === 'foreign') {
    throw new RegistryError('data_foreign', `${path} was not written by this program; remove it from the data folder`);
  }
  if (header === 'older') {
    throw new RegistryError(
      'data_foreign',
      `${path} was written by an older version; start that version, or move the data folder away and begin with an empty registry`,
    );
  }
  if (header === 'newer') {
    throw new RegistryError(
      'data_foreign',
      `${path} was written by a newer version; start that version, or a later one`,
    );
  }
  if (header === 'short' || header === 'damaged') throw damaged(path, 0, 'its header is not whole');
  if (header.kind !== kind) throw damaged(path, 0, `it is a ${header.kind} under the name of a ${kind}`);
  return header;
}

/** How much is read at once. An entry that is larger is read in one piece of its own. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** The entries in order, each valid until the next. Throws a `Fault` at the first that is not whole. */
function* readEntries({ fd, size }: OpenFile): Generator<Entry> {
  const memory = Buffer.allocUnsafeSlow(Math.min(WINDOW_BYTES, size));
  let window = EMPTY;
  /** Where in the file the window begins. */
  let start = FILE_HEADER_BYTES;
  let offset = FILE_HEADER_BYTES;
  const bytesAt = (from: number, length: number): Buffer => {
    if (from + length > start + window.length) {
      start = from;
      window = readInto(length > memory.length ? Buffer.allocUnsafeSlow(length) : memory, fd, from);
    }
    return window.subarray(from - start, from - start + length);
  };

  while (offset < size) {
    const body = offset + ENTRY_HEADER_BYTES;
    if (body > size) throw new Fault(offset, 'the file ends within an entry');
    const header = decodeEntryHeader(bytesAt(offset, ENTRY_HEADER_BYTES), 0);
    if (header === undefined) throw new Fault(offset, 'the header of an entry does not match its checksum');
    const end = body + header.payloadBytes;
    if (end > size) throw new Fault(offset, 'the file ends within an entry', header);
    const payload = bytesAt(body, header.payloadBytes);
    if (!isIntact(header, payload)) throw new Fault(offset, 'an entry does not match its checksum', header);
    yield { offset, end, header, payload };
    offset = end;
  }
}

/** Whether a file holds nothing but zeros from `offset` on. */
function isRoom({ fd, size }: OpenFile, offset: number): boolean {
  for (let from = offset; from < size; from += WINDOW_BYTES) {
    if (!isZero(readAt(fd, from, Math.min(WINDOW_BYTES, size - from)))) return false;
  }
  return true;
}

const SECTOR_BYTES = 512;
/** So many zeros in a row are in no entry that was written whole. */
const ZEROS = 64;

/**
 * Tells a torn entry from a damaged one, as etcd does with its own log: what was cut off by a crash either ends
 * with the file, or has a sector of zeros where the disk had the room but not yet the bytes. Where replies wait
 * for the disk it is also part of the last commit: one that begins behind it was written when it was whole.
 */
function isTorn({ fd, size, header: { promised } }: OpenFile, { offset, header }: Fault): boolean {
  const body = offset + ENTRY_HEADER_BYTES;
  const end = body + (header?.payloadBytes ?? 0);
  if (end > size) return true;
  const rest = readAt(fd, offset, size - offset);
  if (promised === 'replied-is-durable' && commitBeginsIn(rest, end - offset)) return false;
  if (header !== undefined) return hasZeroSector(rest.subarray(ENTRY_HEADER_BYTES, end - offset), body);
  const start = rest.subarray(0, SECTOR_BYTES);
  return isZero(start) || hasZeroSector(start, offset);
}

/** Whether a commit begins anywhere in `bytes` from `from` on. No value can look like one: JSON has no bytes below 32. */
function commitBeginsIn(bytes: Buffer, from: number): boolean {
  for (let at = from; at + ENTRY_HEADER_BYTES < bytes.length; at += 1) {
    const payloadBytes = bytes.readUInt32LE(at);
    if (payloadBytes === 0 || payloadBytes > bytes.length - at - ENTRY_HEADER_BYTES) continue;
    if (decodeEntryHeader(bytes, at)?.beginsCommit) return true;
  }
  return false;
}

function hasZeroSector(bytes: Buffer, offset: number): boolean {
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + SECTOR_BYTES - ((offset + from) % SECTOR_BYTES));
    if (to - from >= ZEROS && isZero(bytes.subarray(from, to))) return true;
    from = to;
  }
  return false;
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

const EMPTY: Buffer = Buffer.alloc(0);

function readAt(fd: number, position: number, length: number): Buffer {
  return readInto(Buffer.allocUnsafeSlow(length), fd, position);
}

/** Fills `bytes` as far as the file goes. */
function readInto(bytes: Buffer, fd: number, position: number): Buffer {
  let held = 0;
  while (held < bytes.length) {
    const read = readSync(fd, bytes, held, bytes.length - held, position + held);
    if (read === 0) break;
    held += read;
  }
  return bytes.subarray(0, held);
}
