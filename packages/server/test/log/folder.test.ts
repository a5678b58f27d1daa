/** What may be found in the place of a data folder. */

import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeFileHeader } from '../../src/log/format.js';
import { settle, until } from '../settle.js';
import { keysOf, newFolder, openDisk, readFolder, refusalOf, stateOf, writeFolder } from './harness.js';

let folder: string;

beforeEach(() => {
  folder = newFolder();
});

describe('a folder that is new', () => {
  it('is made, with those above it, for this user alone', async () => {
    folder = join(folder, 'some', 'where');
    const { log, host } = await openDisk(folder);
    log.propose(host.registration('a'));
    await log.close();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of ['00000001.log', 'deadlines']) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  });

  it('that everybody may read is closed to others', async () => {
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    await openDisk(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it('may hold what systems put into a folder', async () => {
    mkdirSync(join(folder, 'lost+found'), { recursive: true });
    expect((await openDisk(folder)).host.registry.size).toBe(0);
  });
});

describe('a place that cannot be used is refused, with a way out', () => {
  it('for a file where the folder should be, or above it', async () => {
    writeFileSync(folder, 'a file');
    for (const place of [folder, join(folder, 'below')]) {
      const refusal = await refusalOf(place);
      expect(refusal.code).toBe('data_unusable');
      expect(refusal.message).toContain(place);
      expect(refusal.message).toContain('--data-dir');
    }
  });

  it('for a folder that the system will not have', async () => {
    // A folder in a file system that takes none, where there is such a one.
    const place = process.platform === 'linux' ? '/sys/reg' : '/dev/null/reg';
    const refusal = await refusalOf(place);
    expect(refusal.code).toBe('data_unusable');
    expect(refusal.message).toContain(place);
  });

  it('for a folder that holds something else, which it leaves alone', async () => {
    mkdirSync(folder);
    writeFileSync(join(folder, 'holiday.jpg'), 'not ours');
    const mode = statSync(folder).mode;
    const refusal = await refusalOf(folder);
    expect(refusal.code).toBe('data_foreign');
    expect(refusal.message).toContain('"holiday.jpg"');
    expect(refusal.message).toContain('--data-dir');
    expect(readdirSync(folder)).toEqual(['holiday.jpg']);
    expect(statSync(folder).mode).toBe(mode);
  });

  it('for a folder whose path is too long for the lock', async () => {
    const place = join(folder, 'x'.repeat(100));
    const refusal = await refusalOf(place);
    expect(refusal.code).toBe('data_unusable');
    expect(refusal.message).toMatch(/^the path of the data folder is too long .*at most \d+ bytes/);
    expect(refusal.message).toContain(place);
  });

  it('and can be used when what was wrong is put right', async () => {
    writeFileSync(folder, 'a file');
    await refusalOf(folder);
    rmSync(folder);
    expect((await openDisk(folder)).host.registry.size).toBe(0);
  });
});

describe('a data folder', () => {
  it('may hold what others have put beside the data', async () => {
    await (await openDisk(folder)).log.close();
    writeFileSync(join(folder, 'README'), 'a note');
    await openDisk(folder);
    expect(readdirSync(folder)).toContain('README');
  });

  it('loses the drafts that a crash has left', async () => {
    const first = await openDisk(folder);
    first.log.propose(first.host.registration('a'));
    await first.log.close();
    for (const name of ['00000002.log.tmp', '00000002.snapshot.tmp', 'deadlines.tmp', 'lock.123.0123456789ab.tmp']) {
      writeFileSync(join(folder, name), 'half of');
    }
    const { host } = await openDisk(folder);
    await settle();
    expect(keysOf(host)).toEqual(['a']);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('in which a crash has left nothing but drafts is an empty one', async () => {
    for (const name of ['00000001.log.tmp', 'lock.123.0123456789ab.tmp', 'lock.123.0123456789ab']) {
      const place = writeFolder(newFolder(), new Map([[name, Buffer.from('half of')]]));
      expect((await openDisk(place)).host.registry.size).toBe(0);
    }
  });

  it('keeps the drafts of the daemon that uses it when a second one is refused', async () => {
    await openDisk(folder);
    writeFileSync(join(folder, '00000002.snapshot.tmp'), 'being written');
    expect((await refusalOf(folder)).code).toBe('data_locked');
    expect(readdirSync(folder)).toContain('00000002.snapshot.tmp');
  });
});

describe('a file that is missing', () => {
  /** Segments 1 to 3 without a snapshot, and what a snapshot makes of them. */
  let segments: ReadonlyMap<string, Buffer>;
  let compacted: ReadonlyMap<string, Buffer>;

  beforeEach(async () => {
    for (const key of ['a', 'b', 'c']) {
      // Another durability begins another segment.
      const durability = key === 'b' ? 'no' : 'always';
      const { log, host } = await openDisk(folder, { durability });
      log.propose(host.registration(key));
      await log.close();
    }
    segments = readFolder(folder);
    const { log, host } = await openDisk(folder, { segmentBytes: 1 });
    await settle();
    log.propose(host.registration('d'));
    await log.flush();
    await until(() => !readdirSync(folder).includes('00000003.log'));
    await log.close();
    compacted = readFolder(folder);
  });

  it('is not missed where nothing is missing', async () => {
    expect([...segments.keys()]).toEqual(['00000001.log', '00000002.log', '00000003.log', 'deadlines']);
    expect([...compacted.keys()]).toEqual(['00000004.log', '00000004.snapshot', 'deadlines']);
    expect(keysOf((await openDisk(writeFolder(newFolder(), segments))).host)).toEqual(['a', 'b', 'c']);
    expect(keysOf((await openDisk(writeFolder(newFolder(), compacted))).host)).toEqual(['a', 'b', 'c', 'd']);
  });

  it.each(['00000001.log', '00000002.log', '00000003.log'])(
    'is found where it is segment %s of three',
    async (name) => {
      await expectMissed(segments, name);
    },
  );

  it('is found where it is the snapshot, or the segment that belongs to it', async () => {
    await expectMissed(compacted, '00000004.snapshot');
    await expectMissed(compacted, '00000004.log');
  });

  it('is found where it is all of the log', async () => {
    for (const deadlines of [compacted.get('deadlines') ?? Buffer.alloc(0), Buffer.from('damaged')]) {
      const place = writeFolder(newFolder(), new Map([['deadlines', deadlines]]));
      const refusal = await refusalOf(place);
      expect(refusal.code).toBe('data_damaged');
      expect(refusal.message).toContain(place);
      expect(refusal.message).toContain('--repair');
      expect((await openDisk(place, { repair: true })).host.registry.size).toBe(0);
    }
  });

  it('costs deadlines only where it is the checkpoint', async () => {
    const files = new Map(compacted);
    files.delete('deadlines');
    expect(keysOf((await openDisk(writeFolder(newFolder(), files))).host)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('is not missed where it is older than the snapshot', async () => {
    const place = writeFolder(newFolder(), new Map([...segments, ...compacted]));
    rmSync(join(place, '00000002.log'));
    expect(keysOf((await openDisk(place)).host)).toEqual(['a', 'b', 'c', 'd']);
  });

  async function expectMissed(files: ReadonlyMap<string, Buffer>, name: string): Promise<void> {
    const place = writeFolder(newFolder(), new Map([...files].filter(([each]) => each !== name)));
    const left = readFolder(place);
    const refusal = await refusalOf(place);
    expect(refusal.code).toBe('data_damaged');
    expect(refusal.message).toContain(place);
    expect(refusal.message).toContain('--repair');
    expect(readFolder(place)).toEqual(left);
    const repaired = await openDisk(place, { repair: true });
    const state = stateOf(repaired.host);
    await repaired.log.close();
    expect(stateOf((await openDisk(place)).host)).toEqual(state);
  }
});

describe('a file of another program or version under the name of ours', () => {
  it.each(['00000001.log', '00000001.snapshot'])('is refused as %s, also by a repair', async (name) => {
    const text = Buffer.from('something else entirely, and long enough to be a header of ours');
    const place = writeFolder(newFolder(), new Map([[name, Buffer.concat([text, text])]]));
    for (const repair of [false, true]) {
      const refusal = await refusalOf(place, { repair });
      expect(refusal.code).toBe('data_foreign');
      expect(refusal.message).toContain(join(place, name));
    }
    expect(readFolder(place).get(name)).toEqual(Buffer.concat([text, text]));
  });

  it.each([
    ['newer', 3, /00000001\.log was written by a newer version; start that version/],
    ['older', 1, /00000001\.log was written by an older version; start that version, or move the data folder away/],
  ])('is refused where it is of a version that is %s, naming that as the way out', async (_, version, advice) => {
    const header = encodeFileHeader({
      kind: 'segment',
      promised: 'replied-is-durable',
      revision: 0,
      count: 0,
      epoch: '0123456789abcdef',
    });
    header.writeUInt16LE(version, 8);
    header.writeUInt32LE(crc32(header.subarray(0, 60)), 60);
    const place = writeFolder(newFolder(), new Map([['00000001.log', header]]));
    for (const repair of [false, true]) {
      const refusal = await refusalOf(place, { repair });
      expect(refusal.code).toBe('data_foreign');
      expect(refusal.message).toMatch(advice);
    }
  });

  it('is refused where a segment has the name of a snapshot', async () => {
    const first = await openDisk(folder);
    await first.log.close();
    const segment = readFolder(folder).get('00000001.log') ?? Buffer.alloc(0);
    const place = writeFolder(newFolder(), new Map([['00000001.snapshot', segment]]));
    expect((await refusalOf(place)).message).toContain('it is a segment under the name of a snapshot');
  });
});
