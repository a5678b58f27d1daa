/** What a crash or a power cut leaves of the last write: it is cut off, and what was acknowledged before it stays. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { copyFolder, keysOf, newFolder, openDisk, readFolder, refusalOf, stateOf } from './harness.js';

/** Several sectors, so that one of them can be lost. */
const LARGE = `"values":"${'x'.repeat(2000)}"`;
const SECTOR = 512;

let folder: string;
let whole: Buffer;
/** Where the last entry begins. */
let last: number;

/** A log of `a`, and of `b` whose write is to be torn; no checkpoint has seen either. */
beforeEach(async () => {
  const { log, host, folder: made } = await openDisk(newFolder());
  log.propose(host.registration('a'));
  await log.flush();
  last = readFileSync(join(made, '00000001.log')).length;
  log.propose(host.registration('b', { body: LARGE }));
  await log.flush();
  folder = copyFolder(made);
  whole = readFileSync(join(folder, '00000001.log'));
});

/** Opens the log with the segment as given. */
async function openWith(segment: Buffer) {
  const place = copyFolder(folder);
  writeFileSync(join(place, '00000001.log'), segment);
  return openDisk(place);
}

function expectCutOff({ host }: Awaited<ReturnType<typeof openWith>>, folderPath: string): void {
  expect(keysOf(host)).toEqual(['a']);
  expect(host.warnings).toEqual([expect.stringContaining('cut off')]);
  expect(readFileSync(join(folderPath, '00000001.log'))).toEqual(whole.subarray(0, last));
}

describe('the last write', () => {
  it('of which a part came to the disk is cut off', async () => {
    for (const length of [last + 1, last + 23, last + 24, last + 25, last + 700, whole.length - 1]) {
      const open = await openWith(whole.subarray(0, length));
      expectCutOff(open, open.folder);
    }
  });

  it('for which the disk had the room, but nothing yet, is not to be told from room', async () => {
    for (const room of [1, 23, 24, 100, 513, 5000]) {
      const segment = Buffer.concat([whole.subarray(0, last), Buffer.alloc(room)]);
      const open = await openWith(segment);
      expect(keysOf(open.host)).toEqual(['a']);
      expect(open.host.warnings).toEqual([]);
      expect(readFileSync(join(open.folder, '00000001.log'))).toEqual(segment);
    }
  });

  it('that lacks any one of its sectors is cut off', async () => {
    for (let sector = last - (last % SECTOR); sector + SECTOR <= whole.length; sector += SECTOR) {
      const segment = Buffer.from(whole);
      segment.fill(0, Math.max(sector, last), sector + SECTOR);
      const open = await openWith(segment);
      expectCutOff(open, open.folder);
    }
  });

  it('of which less than a header came is cut off, whatever it is', async () => {
    const open = await openWith(Buffer.concat([whole.subarray(0, last), Buffer.from('garbage')]));
    expectCutOff(open, open.folder);
  });

  it('that was torn is written again in its place', async () => {
    const open = await openWith(whole.subarray(0, whole.length - 1));
    open.log.propose(open.host.registration('b', { body: LARGE }));
    await open.log.flush();
    expect(readFileSync(join(open.folder, '00000001.log'))).toEqual(whole);
    expect(stateOf((await openDisk(copyFolder(open.folder))).host)).toEqual(stateOf(open.host));
  });
});

describe('more than one entry that was not durable yet', () => {
  it('is cut off from the first that is torn, where they are one commit', async () => {
    const { log, host, folder: large } = await openDisk(copyFolder(folder));
    for (let index = 0; index < 600; index += 1) log.propose(host.registration(`c-${index}`, { body: LARGE }));
    await log.flush();
    const segment = readFileSync(join(large, '00000001.log'));
    expect(segment.length - whole.length).toBeGreaterThan(1024 * 1024);
    for (const sector of [whole.length, whole.length + SECTOR, whole.length + 900_000]) {
      const torn = Buffer.from(segment);
      const start = sector - (sector % SECTOR);
      torn.fill(0, Math.max(start, whole.length), start + SECTOR);
      expect(keysOf((await openWith(torn)).host)).toEqual(['a', 'b']);
    }
  });

  it('is cut off from the first that is torn, where replies did not wait for the disk', async () => {
    const { log, host, folder: lazy } = await openDisk(newFolder(), { durability: 'everysec' });
    for (const key of ['a', 'b', 'c']) {
      log.propose(host.registration(key, { body: LARGE }));
      await log.flush();
    }
    const place = copyFolder(lazy);
    const segment = readFileSync(join(place, '00000001.log'));
    writeFileSync(join(place, '00000001.log'), segment.fill(0, 3 * SECTOR * 2, 4 * SECTOR * 2));
    expect(keysOf((await openDisk(place, { durability: 'everysec' })).host)).toEqual(['a']);
  });
});

describe('what is not torn but damaged', () => {
  it('is garbage of a header and more at the end', async () => {
    const garbage = Buffer.from('garbage that is longer than a header is');
    await expectDamaged(Buffer.concat([whole.subarray(0, last), garbage]));
  });

  it('is a sector of zeros in an entry that others follow, wherever in the entry it is', async () => {
    // `c` and `d` were written, and so acknowledged, after `b`.
    const { log, host, folder: more } = await openDisk(copyFolder(folder));
    log.propose(host.registration('c'));
    await log.flush();
    const beforeLast = readFileSync(join(more, '00000001.log')).length;
    log.propose(host.registration('d'));
    await log.flush();
    const segment = readFileSync(join(more, '00000001.log'));
    for (let sector = last - (last % SECTOR); sector < whole.length; sector += SECTOR) {
      const damaged = Buffer.from(segment);
      damaged.fill(0, Math.max(sector, last), Math.min(sector + SECTOR, beforeLast));
      await expectDamaged(damaged);
    }
  });

  it('is a sector of zeros in a segment that another segment follows', async () => {
    // Another durability begins another segment.
    const more = await openDisk(copyFolder(folder), { durability: 'no' });
    await more.log.close();
    writeFileSync(join(more.folder, '00000001.log'), whole.fill(0, whole.length - 600));
    expect((await refusalOf(more.folder)).message).toContain(join(more.folder, '00000001.log'));
    expect(readFolder(more.folder).get('00000001.log')).toEqual(whole);
  });

  async function expectDamaged(segment: Buffer): Promise<void> {
    const place = copyFolder(folder);
    writeFileSync(join(place, '00000001.log'), segment);
    const refusal = await refusalOf(place);
    expect(refusal.code).toBe('data_damaged');
    expect(readFileSync(join(place, '00000001.log'))).toEqual(segment);
  }
});
