import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type BackupReply, RegistryError } from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { describe, expect, it } from 'vitest';
import { type BackupHeader, writeBackup } from '../src/backup/file.js';
import { checkBackup, type Restored, restoreBackup } from '../src/backup/restore.js';
import { type Daemon, type Peer, startDaemon } from './harness.js';
import { newFolder, readFolder } from './log/harness.js';

/** Everything that an instance can have, and enough of them for several pages. */
async function fill(peer: Peer): Promise<void> {
  await peer.ask({ type: 'register', key: 'plain', values: '123@127.0.0.1:6379', timeout: 30 });
  await peer.ask({ type: 'register', key: 'web', instance: 'w-1', values: { a: [1, null] }, timeout: 'never' });
  await peer.ask({ type: 'register', key: 'owned', values: 1, owner: 'secret', timeout: 60, linger: 600 });
  const labels = { tags: ['v2'], meta: { zone: 'eu' }, weight: 7, status: 'draining' };
  await peer.ask({
    type: 'register',
    key: 'web',
    instance: 'w-2',
    values: '\u00e9\u{1f600}',
    timeout: 0.5e3,
    ...labels,
  });
  for (let i = 0; i < 6; i += 1) await peer.ask({ type: 'register', key: `large-${i}`, values: 'x'.repeat(60_000) });
}

async function* pagesOf(peer: Peer): AsyncGenerator<BackupReply> {
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page = (await peer.ask({ type: 'backup', after })) as unknown as BackupReply;
    yield page;
    after = page.next;
  }
}

/** Beside the data folder that is not there yet, so that it goes away with it. */
function newFile(): string {
  return join(dirname(newFolder()), 'backup.jsonl');
}

async function backUp(daemon: Daemon): Promise<{ file: string; header: BackupHeader }> {
  const file = newFile();
  return { file, header: await writeBackup(file, pagesOf(daemon.connect())) };
}

async function recordsOf(peer: Peer): Promise<unknown> {
  return (await peer.ask({ type: 'query', key: 'all', status: 'any' }))['services'];
}

/** A backup of a registry of before, and what that answered. */
async function makeBackup(clock = new ManualClock()) {
  await using daemon = await startDaemon({}, clock);
  const peer = daemon.connect();
  await fill(peer);
  return { ...(await backUp(daemon)), records: await recordsOf(peer), clock };
}

function restore(file: string, folder: string, replace = false): Promise<Restored> {
  return restoreBackup({ file, folder, replace, clock: new ManualClock() });
}

async function refusalOf(work: Promise<unknown>): Promise<RegistryError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof RegistryError) return error;
  throw error ?? new Error('it was not refused');
}

describe('a restored registry', () => {
  it('answers what the registry answered that the backup is of, under a new epoch', async () => {
    const { file, header, records, clock } = await makeBackup();
    const folder = newFolder();
    const restored = await restore(file, folder);
    expect(restored.newEpoch).not.toBe(header.epoch);
    await using daemon = await startDaemon({ storage: 'disk', dataDir: folder }, clock);
    const peer = daemon.connect();
    expect(await recordsOf(peer)).toEqual(records);
    expect(await peer.ask({ type: 'hello' })).toMatchObject({ epoch: restored.newEpoch, revision: header.revision });
    // New revisions go on behind the old ones.
    const { revision } = await peer.ask({ type: 'register', key: 'new', values: 1 });
    expect(revision).toBe(header.revision + 1);
  });

  it('knows its owners again, and nobody else by their names', async () => {
    const { file, clock } = await makeBackup();
    const folder = newFolder();
    await restore(file, folder);
    await using daemon = await startDaemon({ storage: 'disk', dataDir: folder }, clock);
    const register = { type: 'register', key: 'owned', values: 1, timeout: 60, linger: 600 };
    const peer = daemon.connect();
    expect(await peer.ask(register)).toMatchObject({ error: { code: 'owned' } });
    expect(await peer.ask({ ...register, owner: 'secret', generation: 3 })).toMatchObject({ result: 'renewed' });
  });

  it('gives each what it had left by the wall clock, and at least the grace', async () => {
    const { file, clock } = await makeBackup();
    clock.advance(50_000);
    const folder = newFolder();
    await restore(file, folder);
    await using daemon = await startDaemon({ storage: 'disk', dataDir: folder, grace: 15 }, clock);
    const left = async (key: string, instance?: string) => {
      const reply = await daemon.connect().ask({ type: 'query', key, instance, detail: true, status: 'any' });
      return (reply['services'] as { left: unknown }[])[0]?.left;
    };
    expect(await left('plain')).toBe(15);
    expect(await left('web', 'w-1')).toBe('never');
    expect(await left('web', 'w-2')).toBe(450);
  });

  it('is refused where a daemon uses the folder, and leaves that alone', async () => {
    const { file } = await makeBackup();
    const folder = newFolder();
    await using daemon = await startDaemon({ storage: 'disk', dataDir: folder });
    await daemon.connect().ask({ type: 'register', key: 'live', values: 1 });
    expect((await refusalOf(restore(file, folder, true))).code).toBe('data_locked');
    expect(await recordsOf(daemon.connect())).toMatchObject([{ key: 'live' }]);
  });

  it('takes the place of another only when told to, and sets that aside', async () => {
    const { file, records, clock } = await makeBackup();
    const folder = newFolder();
    {
      await using daemon = await startDaemon({ storage: 'disk', dataDir: folder }, clock);
      await daemon.connect().ask({ type: 'register', key: 'other', values: 1, timeout: 'never' });
    }
    const before = readFolder(folder);
    const refusal = await refusalOf(restore(file, folder));
    expect(refusal).toMatchObject({ code: 'data_unusable', message: expect.stringContaining('--replace') });
    expect(readFolder(folder)).toEqual(before);
    const { setAside = '' } = await restore(file, folder, true);
    expect(readFolder(setAside)).toEqual(before);
    await using daemon = await startDaemon({ storage: 'disk', dataDir: folder }, clock);
    expect(await recordsOf(daemon.connect())).toEqual(records);
  });

  it('leaves a folder of others alone', async () => {
    const { file } = await makeBackup();
    const folder = newFolder();
    mkdirSync(folder);
    writeFileSync(join(folder, 'thesis.txt'), 'years of work');
    expect((await refusalOf(restore(file, folder, true))).code).toBe('data_foreign');
    expect(readdirSync(folder)).toEqual(['thesis.txt']);
  });
});

describe('the file of a backup', () => {
  it('is for its owner only, and overwrites nothing', async () => {
    await using daemon = await startDaemon();
    const { file } = await backUp(daemon);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await refusalOf(writeBackup(file, pagesOf(daemon.connect())))).code).toBe('data_unusable');
    expect(readdirSync(dirname(file))).toEqual(['backup.jsonl']);
  });

  it('is not there where the pages end early, or are of two backups', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await fill(peer);
    const file = newFile();
    async function* early(): AsyncGenerator<BackupReply> {
      for await (const page of pagesOf(peer)) {
        yield page;
        return;
      }
    }
    async function* mixed(): AsyncGenerator<BackupReply> {
      yield* early();
      await peer.ask({ type: 'register', key: 'more', values: 1 });
      yield* pagesOf(peer);
    }
    expect((await refusalOf(writeBackup(file, early()))).code).toBe('bad_reply');
    expect((await refusalOf(writeBackup(file, mixed()))).code).toBe('bad_reply');
    expect(readdirSync(dirname(file))).toEqual([]);
  });

  it('is refused with any wrong byte, cut off anywhere, and with more behind its end; nothing is made of it', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ type: 'register', key: 'a', values: 'x', timeout: 'never', owner: 's' });
    await peer.ask({ type: 'register', key: 'b', values: 'y', timeout: 'never' });
    const { file } = await backUp(daemon);
    const bytes = readFileSync(file);
    const folder = newFolder();
    const expectRefused = async (damaged: Buffer, where: string): Promise<void> => {
      writeFileSync(file, damaged);
      const refusal = await refusalOf(restore(file, folder)).catch((error) => expect.fail(`${where}: ${error}`));
      expect(refusal.code, where).toMatch(/^data_(damaged|foreign)$/);
    };
    for (let at = 0; at < bytes.length; at += 1) {
      for (const mask of [0x01, 0x20, 0xff]) {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ mask;
        await expectRefused(damaged, `byte ${at} ^ ${mask}`);
      }
      await expectRefused(bytes.subarray(0, at), `cut at ${at}`);
    }
    await expectRefused(Buffer.concat([bytes, Buffer.from('\n')]), 'a line more');
    expect(() => readdirSync(folder)).toThrow();
    writeFileSync(file, bytes);
    expect((await checkBackup(file)).header.instances).toBe(2);
    rmSync(file);
    expect((await refusalOf(checkBackup(file))).code).toBe('data_unusable');
  });

  it.each([
    ['a later version', '{"format":"reg-backup","version":2,"epoch":"e","revision":0,"taken":0,"instances":0}\n'],
    ['another program', '{"services":[]}\n'],
    ['something else', 'PK\u0003\u0004'],
  ])('of %s is foreign', async (_, content) => {
    const file = newFile();
    writeFileSync(file, content);
    expect((await refusalOf(checkBackup(file))).code).toBe('data_foreign');
  });
});
