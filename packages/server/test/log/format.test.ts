import { crc32 } from 'node:zlib';
import { STATUSES } from '@reg/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change } from '../../src/change.js';
import {
  decodeChanges,
  decodeEntryHeader,
  decodeFileHeader,
  ENTRY_HEADER_BYTES,
  EntryWriter,
  encodeFileHeader,
  FILE_HEADER_BYTES,
  type FileHeader,
  isIntact,
} from '../../src/log/format.js';
import { PLAIN } from '../harness.js';

const text = (maxLength: number) => fc.string({ unit: 'binary', maxLength }).filter((drawn) => drawn.isWellFormed());
const revision = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 1, 2 ** 53 - 1));
const ms = fc.oneof(fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }), fc.maxSafeNat());
const common = { revision, key: text(85), instance: text(85), generation: revision, at: ms };

const change: fc.Arbitrary<Change> = fc.oneof(
  fc
    .record({
      kind: fc.constant('register' as const),
      ...common,
      registered: ms,
      ttl: fc.oneof(ms, fc.constant(Number.POSITIVE_INFINITY)),
      status: fc.constantFrom(...STATUSES),
      linger: fc.oneof(ms, fc.constant(Number.POSITIVE_INFINITY)),
      owner: text(20),
      body: fc.oneof(
        text(300),
        fc.nat(3).map((kilobytes) => '\u{1f600}'.repeat(kilobytes * 4096)),
      ),
    })
    // What is not kept is worked out anew.
    .map((drawn) => ({ ...drawn, expiresAt: drawn.at + drawn.ttl })),
  fc
    .record({ kind: fc.constantFrom('expire' as const, 'destroy' as const), ...common })
    .map((drawn) => ({ ...drawn, expiresAt: drawn.at })),
);

const header: fc.Arbitrary<FileHeader> = fc.record({
  kind: fc.constantFrom('segment' as const, 'snapshot' as const),
  promised: fc.constantFrom('replied-is-durable' as const, 'may-lose-replied' as const),
  revision,
  count: revision,
  epoch: fc.stringMatching(/^[0-9a-f]{16}$/),
});

interface Content {
  readonly header: FileHeader;
  readonly entries: readonly { previous: number; beginsCommit: boolean; changes: Change[] }[];
}

/** Reads a file as strictly as a replay does. @returns `undefined` where anything about it is wrong. */
function read(file: Buffer): Content | undefined {
  const fileHeader = decodeFileHeader(file.subarray(0, FILE_HEADER_BYTES));
  if (typeof fileHeader === 'string') return undefined;
  const entries = [];
  for (let offset = FILE_HEADER_BYTES; offset < file.length; ) {
    const body = offset + ENTRY_HEADER_BYTES;
    const entry = body <= file.length ? decodeEntryHeader(file, offset) : undefined;
    if (entry === undefined) return undefined;
    const payload = file.subarray(body, body + entry.payloadBytes);
    if (!isIntact(entry, payload)) return undefined;
    entries.push({ previous: entry.previous, beginsCommit: entry.beginsCommit, changes: [...decodeChanges(payload)] });
    offset = body + entry.payloadBytes;
  }
  return { header: fileHeader, entries };
}

function fileOf(fileHeader: FileHeader, changes: readonly Change[], previous = 0): Buffer {
  const writer = new EntryWriter();
  for (const added of changes) writer.add(added, previous);
  return Buffer.concat([encodeFileHeader(fileHeader), writer.finish()]);
}

const EXAMPLE: FileHeader = {
  kind: 'segment',
  promised: 'replied-is-durable',
  revision: 6,
  count: 0,
  epoch: '0123456789abcdef',
};

describe('what is written', () => {
  it('is read back the same, whatever the names, bodies and numbers', () => {
    fc.assert(
      fc.property(header, fc.array(change, { minLength: 1, maxLength: 8 }), revision, (drawn, changes, previous) => {
        expect(read(fileOf(drawn, changes, previous))).toEqual({
          header: drawn,
          entries: [{ previous, beginsCommit: true, changes }],
        });
      }),
    );
  });

  it('is cut into entries of about a mebibyte, which name the revision before them and the first of a commit', () => {
    const changes = Array.from({ length: 60 }, (_, index): Change => {
      const body = 'x'.repeat(65_536);
      const times = { at: 1, registered: 1, ttl: 1, expiresAt: 2 };
      const names = { key: 'a', instance: '' };
      return { kind: 'register', revision: index + 1, ...names, generation: 1, body, ...times, ...PLAIN };
    });
    const writer = new EntryWriter();
    for (const added of changes) writer.add(added, added.revision - 1);
    const entries = read(Buffer.concat([encodeFileHeader(EXAMPLE), writer.finish()]))?.entries ?? [];
    expect(entries.map((entry) => entry.changes.length)).toEqual([16, 16, 16, 12]);
    expect(entries.map((entry) => entry.previous)).toEqual([0, 16, 32, 48]);
    expect(entries.map((entry) => entry.beginsCommit)).toEqual([true, false, false, false]);
    expect(entries.flatMap((entry) => entry.changes)).toEqual(changes);
  });

  it('is forgotten when the writer is cleared, also in the middle of an entry', () => {
    const end: Change = { kind: 'expire', revision: 8, key: 'a', instance: '', generation: 1, at: 2, expiresAt: 2 };
    const writer = new EntryWriter();
    writer.add({ ...end, revision: 7 }, 6);
    writer.clear();
    expect(writer.finish()).toHaveLength(0);
    writer.add(end, 7);
    expect(read(Buffer.concat([encodeFileHeader(EXAMPLE), writer.finish()]))?.entries).toEqual([
      { previous: 7, beginsCommit: true, changes: [end] },
    ]);
  });
});

describe('a flipped bit', () => {
  it('is found wherever it is', () => {
    const file = fileOf(EXAMPLE, [
      {
        kind: 'register',
        revision: 7,
        key: 'redis',
        instance: 'i',
        generation: 7,
        at: 5,
        registered: 5,
        ttl: 9,
        body: '"values":1',
        status: 'draining',
        linger: 2000,
        owner: 'secret',
        expiresAt: 14,
      },
      { kind: 'destroy', revision: 8, key: 'redis', instance: 'i', generation: 7, at: 6, expiresAt: 6 },
    ]);
    expect(read(file)?.entries[0]?.changes).toHaveLength(2);
    for (let bit = 0; bit < file.length * 8; bit += 1) {
      const damaged = Buffer.from(file);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(read(damaged), `bit ${bit}`).toBeUndefined();
    }
  });
});

describe('a file header', () => {
  it('of a later version is told from a damaged one', () => {
    const later = encodeFileHeader(EXAMPLE);
    later.writeUInt16LE(3, 8);
    expect(decodeFileHeader(later)).toBe('damaged');
    later.writeUInt32LE(crcOf(later), 60);
    expect(decodeFileHeader(later)).toBe('newer');
  });

  it('of an earlier version is told from a later one', () => {
    const earlier = encodeFileHeader(EXAMPLE);
    earlier.writeUInt16LE(1, 8);
    earlier.writeUInt32LE(crcOf(earlier), 60);
    expect(decodeFileHeader(earlier)).toBe('older');
  });

  it('with a kind that this version does not know is of a newer one', () => {
    const later = encodeFileHeader(EXAMPLE);
    later.writeUInt8(2, 10);
    later.writeUInt32LE(crcOf(later), 60);
    expect(decodeFileHeader(later)).toBe('newer');
  });

  it('is foreign where hardly anything of it is ours, damaged where most of it is, short where it ends early', () => {
    expect(decodeFileHeader(Buffer.from('#!/bin/sh\n'.repeat(10)))).toBe('foreign');
    const damaged = encodeFileHeader(EXAMPLE);
    damaged.fill(0, 0, 2);
    expect(decodeFileHeader(damaged)).toBe('damaged');
    expect(decodeFileHeader(damaged.subarray(0, 63))).toBe('short');
  });
});

function crcOf(fileHeader: Buffer): number {
  return crc32(fileHeader.subarray(0, 60));
}
