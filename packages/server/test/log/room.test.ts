/** The room that a segment makes itself behind its end: zeros, into which the next changes are written. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { replay } from '../../src/log/replay.js';
import type { DiskIO } from '../../src/log/segment.js';
import {
  copyFolder,
  errorOf,
  FaultyDisk,
  keysOf,
  newFolder,
  type OpenDisk,
  openDisk,
  refusalOf,
  stateOf,
  TestHost,
} from './harness.js';

const NAME = '00000001.log';
const ROOM = 8192;
const SECTOR = 512;
/** Several sectors. */
const LARGE = `"values":"${'x'.repeat(2000)}"`;

/** A disk that takes changes, and no room. */
class StingyDisk extends FaultyDisk {
  refusals = 0;

  override writeSync(...given: Parameters<DiskIO['writeSync']>): number {
    if (given[3] !== ROOM) return super.writeSync(...given);
    this.refusals += 1;
    throw errorOf('ENOSPC');
  }
}

let disk: FaultyDisk;
let open: OpenDisk;

beforeEach(async () => {
  disk = new FaultyDisk();
  open = await openDisk(newFolder(), { roomBytes: ROOM, io: disk });
});

/** Has a registration of each committed by itself. */
async function register(...keys: string[]): Promise<void> {
  for (const key of keys) {
    open.log.propose(open.host.registration(key, { body: LARGE }));
    await open.log.flush();
  }
}

function segmentOf(folder: string): Buffer {
  return readFileSync(join(folder, NAME));
}

/** Where the entries of a segment end. */
function endOf(segment: Buffer): number {
  return segment.findLastIndex((byte) => byte !== 0) + 1;
}

/** A folder like the one that is open, with the segment as given. */
function folderWith(segment: Buffer): string {
  const folder = copyFolder(open.folder);
  writeFileSync(join(folder, NAME), segment);
  return folder;
}

describe('the room of a segment', () => {
  it('is there from the beginning where replies wait for the disk, and nowhere else', async () => {
    expect(segmentOf(open.folder)).toHaveLength(64 + ROOM);
    for (const durability of ['everysec', 'no'] as const) {
      const { log, host, folder } = await openDisk(newFolder(), { roomBytes: ROOM, durability });
      log.propose(host.registration('a'));
      await log.flush();
      expect(endOf(segmentOf(folder))).toBe(segmentOf(folder).length);
    }
  });

  it('is what changes are written into, and is made anew when it is used up', async () => {
    await register('a', 'b', 'c');
    expect(segmentOf(open.folder)).toHaveLength(64 + ROOM);
    expect(disk.calls).toEqual(['write', 'fdatasync', 'write', 'fdatasync', 'write', 'fdatasync']);
    disk.calls.length = 0;
    await register('d');
    expect(disk.calls).toEqual(['write', 'write', 'fdatasync']);
    const segment = segmentOf(open.folder);
    expect(segment).toHaveLength(endOf(segment) + ROOM);
    disk.calls.length = 0;
    await register('e');
    expect(disk.calls).toEqual(['write', 'fdatasync']);
  });

  it('is no damage and nothing torn: a start goes on in it', async () => {
    await register('a');
    const folder = copyFolder(open.folder);
    const again = await openDisk(folder, { roomBytes: ROOM });
    expect(stateOf(again.host)).toEqual(stateOf(open.host));
    expect(again.host.warnings).toEqual([]);
    again.log.propose(again.host.registration('b', { body: LARGE }));
    await again.log.flush();
    expect(segmentOf(folder)).toHaveLength(64 + ROOM);
    const third = await openDisk(copyFolder(folder));
    expect(stateOf(third.host)).toEqual(stateOf(again.host));
  });

  it('is cut off when the log is closed, and made again by the first commit after that', async () => {
    await register('a');
    await open.log.close();
    const segment = segmentOf(open.folder);
    expect(segment).toHaveLength(endOf(segment));
    open = await openDisk(open.folder, { roomBytes: ROOM });
    await register('b');
    expect(segmentOf(open.folder)).toHaveLength(endOf(segmentOf(open.folder)) + ROOM);
  });

  it('may be of any length, also where a segment follows', async () => {
    await register('a');
    const segment = segmentOf(open.folder);
    for (const room of [0, 1, 23, 24, 700, ROOM * 3]) {
      const folder = folderWith(Buffer.concat([segment.subarray(0, endOf(segment)), Buffer.alloc(room)]));
      // Another durability begins another segment.
      for (const durability of ['no', 'always'] as const) {
        const { log, host } = await openDisk(folder, { durability });
        expect(stateOf(host)).toEqual(stateOf(open.host));
        await log.close();
      }
    }
  });

  it('that takes the place of entries is missed where another segment follows, or a checkpoint knows of them', async () => {
    await register('a', 'b');
    const [closed, followed] = [copyFolder(open.folder), copyFolder(open.folder)];
    await (await openDisk(closed)).log.close();
    await (await openDisk(followed, { durability: 'no' })).log.close();
    const segment = segmentOf(closed);
    for (const folder of [closed, followed]) {
      writeFileSync(join(folder, NAME), Buffer.from(segment).fill(0, endOf(segment) - LARGE.length - 50));
      expect((await refusalOf(folder)).code).toBe('data_damaged');
    }
  });
});

describe('a disk that has no room to give', () => {
  it('takes changes all the same, and is asked again when as much was written without', async () => {
    const stingy = new StingyDisk();
    const { log, host, folder } = await openDisk(newFolder(), { roomBytes: ROOM, io: stingy });
    for (let index = 0; index < 16; index += 1) {
      log.propose(host.registration(`key-${index}`, { body: LARGE }));
      await log.flush();
    }
    // 16 entries of some 2,100 bytes: the room of the beginning, and three times more.
    expect(stingy.refusals).toBe(4);
    expect(host.registry.size).toBe(16);
    expect(segmentOf(folder)).toHaveLength(endOf(segmentOf(folder)));
    expect(stateOf((await openDisk(copyFolder(folder))).host)).toEqual(stateOf(host));
  });

  it('is asked again when it has failed a write and takes them again', async () => {
    await register('a');
    disk.faults.set('write', 'ENOSPC');
    await expect(register('b')).rejects.toMatchObject({ code: 'storage_full' });
    expect(segmentOf(open.folder)).toHaveLength(endOf(segmentOf(open.folder)));
    disk.faults.clear();
    open.host.pass(1000);
    while (open.log.refusal !== undefined) await new Promise((resolve) => setImmediate(resolve));
    await register('c');
    const segment = segmentOf(open.folder);
    expect(segment).toHaveLength(endOf(segment) + ROOM);
    expect(keysOf((await openDisk(copyFolder(open.folder))).host)).toEqual(['a', 'c']);
  });
});

describe('a commit into the room that a power cut has torn', () => {
  it('is cut off whichever of its sectors came to the disk, and is whole where all did', async () => {
    await register('a');
    const before = segmentOf(open.folder);
    const start = endOf(before);
    await register('b');
    const after = segmentOf(open.folder);
    const end = endOf(after);
    const first = Math.floor(start / SECTOR);
    const sectors = Math.ceil(end / SECTOR) - first;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: sectors, maxLength: sectors }), async (came) => {
        const torn = Buffer.from(before);
        came.forEach((hasCome, index) => {
          const from = (first + index) * SECTOR;
          if (hasCome) after.copy(torn, from, from, from + SECTOR);
        });
        const { log, host, folder } = await openDisk(folderWith(torn), { roomBytes: ROOM });
        const isWhole = came.every(Boolean);
        expect(keysOf(host)).toEqual(isWhole ? ['a', 'b'] : ['a']);
        expect(host.warnings).toEqual(isWhole || !came.some(Boolean) ? [] : [expect.stringContaining('cut off')]);
        log.propose(host.registration('c'));
        await log.flush();
        expect(stateOf((await openDisk(copyFolder(folder))).host)).toEqual(stateOf(host));
        await log.close();
      }),
      { numRuns: 60, examples: [[Array.from({ length: sectors }, () => true)]] },
    );
  });
});

describe('a wrong byte', () => {
  it('is found in any entry that has room behind it', async () => {
    await register('a', 'b');
    const segment = segmentOf(open.folder);
    const folder = folderWith(segment);
    for (let at = 0; at < endOf(segment); at += 7) {
      const damaged = Buffer.from(segment);
      damaged[at] = (damaged[at] ?? 0) ^ 0x80;
      writeFileSync(join(folder, NAME), damaged);
      expect(() => replay(folder, new TestHost().registry, () => 0), `byte ${at}`).toThrow(join(folder, NAME));
    }
  });

  it('in the room itself adds nothing: the segment opens as it was, or not at all', async () => {
    await register('a');
    const segment = segmentOf(open.folder);
    const folder = folderWith(segment);
    for (let at = endOf(segment); at < segment.length; at += 17) {
      const damaged = Buffer.from(segment);
      damaged[at] = 0x41;
      writeFileSync(join(folder, NAME), damaged);
      const { registry } = new TestHost();
      try {
        replay(folder, registry, () => 0);
      } catch (error) {
        expect(error).toMatchObject({ code: 'data_damaged' });
      }
      expect(stateOf({ registry }), `byte ${at}`).toEqual(stateOf(open.host));
    }
  });
});
