import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Client, Discovery } from '../src/index.js';
import { later, outcome, settle } from './fake-daemon.js';
import { record, WatchedDaemon } from './fake-watches.js';

vi.mock('node:os', async (importOriginal) => {
  const os = await importOriginal<typeof import('node:os')>();
  return { ...os, homedir: vi.fn(os.homedir) };
});

let base: string;
let cache: string;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'reg-cache-'));
  cache = join(base, 'cache');
});

afterEach(() => rm(base, { recursive: true, force: true }));

interface Run {
  readonly daemon: WatchedDaemon;
  readonly client: Client;
  readonly payments: Discovery;
  readonly errors: Error[];
}

/** A new process, as it were; two of one daemon's age share its clock. */
function start(mode: WatchedDaemon['mode'], options = {}): Run {
  const daemon = new WatchedDaemon();
  daemon.mode = mode;
  const client = daemon.client();
  const payments = client.discover('payments', { cache, ...options });
  const errors: Error[] = [];
  payments.on('uncached', ({ error }) => errors.push(error));
  return { daemon, client, payments, errors };
}

/** Real files take real time, but an end comes in sight: until `condition` holds. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let round = 0; round < 10_000; round += 1) {
    if (await condition()) return;
    await settle();
  }
  throw new Error('it has not come about');
}

/** Those that are whole, or all. */
async function files(all = false): Promise<string[]> {
  const names = await readdir(cache).catch(() => []);
  return names.filter((name) => all || name.endsWith('.json')).sort();
}

async function saved(): Promise<{ services: { instance: string }[]; at: number; revision: number }> {
  const [name] = await files();
  return JSON.parse(await readFile(join(cache, name ?? 'none'), 'utf8'));
}

/** Leaves a file behind that says a and b. */
async function leaveFile(): Promise<void> {
  const { daemon, client } = start('up');
  await settle();
  daemon.tellState([record('a'), record('b')]);
  await settle();
  await client.close();
}

function names(payments: Discovery): string[] {
  return payments.instances.map(({ instance = '' }) => instance);
}

describe('the file', () => {
  test('is written within a second of a change, by its owner for its owner', async () => {
    const { daemon } = start('up');
    await settle();
    daemon.tellState([record('a')]);
    await daemon.pass(900);
    expect(await files(true)).toEqual([]);
    await daemon.pass(100);
    await until(async () => (await files()).length === 1);
    const [name = ''] = await files();
    expect(name).toMatch(/^payments-[0-9a-f]{16}\.json$/);
    expect((await stat(join(cache, name))).mode & 0o777).toBe(0o600);
    expect((await stat(cache)).mode & 0o777).toBe(0o700);
    expect(await saved()).toMatchObject({
      at: Date.UTC(2026, 0, 1) + 1000,
      revision: 100,
      services: [{ instance: 'a' }],
    });
  });

  test('is written at most once a second', async () => {
    const { daemon } = start('up');
    await settle();
    daemon.tellState([record('a')]);
    await daemon.pass(1000);
    await until(async () => (await files()).length === 1);
    daemon.tellChange(101, record('b'));
    await daemon.pass(900);
    daemon.tellChange(102, record('c'));
    await settle();
    expect((await saved()).revision).toBe(100);
    await daemon.pass(100);
    await until(async () => (await saved()).revision === 102);
  });

  test('is written again each minute, because it says how old it is', async () => {
    const { daemon } = start('up');
    await settle();
    daemon.tellState([record('a')]);
    await daemon.pass(1000);
    await until(async () => (await files()).length === 1);
    const { at } = await saved();
    for (let second = 0; second < 60; second += 5) {
      daemon.tell({ type: 'progress', revision: 100 });
      await daemon.pass(5000, 1000);
    }
    await until(async () => (await saved()).at === at + 60_000);
  });

  test('is written when the client is closed, and nothing else is left behind', async () => {
    await leaveFile();
    expect(await files(true)).toHaveLength(1);
    expect((await saved()).services.map(({ instance }) => instance)).toEqual(['a', 'b']);
  });

  test('is not touched by a registry that is warming up, nor by a view that is not live', async () => {
    await leaveFile();
    const { daemon, client } = start('up');
    await settle();
    daemon.tellState([record('a')], { warming: true });
    await daemon.pass(2000);
    daemon.tellChange(101, { key: 'payments', instance: 'b', generation: 1 }, 'expired');
    await daemon.pass(2000);
    await settle();
    expect((await saved()).services).toHaveLength(2);
    daemon.tell({ type: 'synced', watch: 1, epoch: 'one', revision: 101 });
    await daemon.pass(1000);
    await until(async () => (await saved()).services.length === 1);
    await client.close();
    await start('refusing').client.close();
    expect((await saved()).services).toHaveLength(1);
  });

  test('is another for another selection', async () => {
    const { daemon, client } = start('up');
    client.discover('payments', { cache, tags: ['v2'] });
    await settle();
    daemon.tellState([record('a')], {}, 1);
    daemon.tellState([record('a')], {}, 2);
    await settle();
    await client.close();
    expect(await files()).toHaveLength(2);
  });

  test('is not made where the caller does not want it', async () => {
    const { daemon, client } = start('up', { cache: false });
    await settle();
    daemon.tellState([record('a')]);
    await daemon.pass(2000);
    await client.close();
    expect(await files(true)).toEqual([]);
  });
});

describe('a process that starts while the registry is down', () => {
  beforeEach(leaveFile);

  test('knows what was last known as soon as a dial has failed', async () => {
    const { daemon, payments } = start('refusing');
    daemon.clock.jumpWall(5000);
    expect(await payments.ready()).toBe(payments);
    expect(payments).toMatchObject({ source: 'file', age: 5000, revision: 100 });
    expect(names(payments)).toEqual(['a', 'b']);
    expect(payments.pick()).toBeDefined();
  });

  test('knows it within a second where a dial hangs', async () => {
    const { daemon, payments } = start('silent');
    const ready = later(payments.ready());
    await daemon.pass(900);
    expect(await outcome(ready)).toBe('pending');
    await daemon.pass(100);
    await ready;
    expect(payments.source).toBe('file');
  });

  test('takes what the registry says instead when that comes', async () => {
    const { daemon, payments } = start('refusing');
    await payments.ready();
    const told: string[] = [];
    payments.on('change', ({ added, removed }) =>
      told.push(`+${added.map(({ instance }) => instance)} -${removed.map(({ instance }) => instance)}`),
    );
    daemon.mode = 'up';
    await daemon.pass(200);
    expect(daemon.watches).toEqual([{ type: 'watch', key: 'payments', ack: true }]);
    daemon.tellState([record('b'), record('c')], { revision: 200 });
    await settle();
    expect(payments).toMatchObject({ source: 'live', age: 0, revision: 200 });
    expect(names(payments)).toEqual(['b', 'c']);
    expect(told).toEqual(['+c -a']);
  });

  test('keeps what the file has while the registry is warming up', async () => {
    const { daemon, payments } = start('refusing');
    await payments.ready();
    daemon.mode = 'up';
    await daemon.pass(200);
    daemon.tellState([record('c')], { warming: true });
    await settle();
    expect(names(payments).sort()).toEqual(['a', 'b', 'c']);
  });

  test('never looks at the file where the registry answers in time', async () => {
    const { daemon, payments } = start('up');
    const sources: string[] = [];
    payments.on('source', ({ source }) => sources.push(source));
    await settle();
    daemon.tellState([]);
    await daemon.pass(2000, 100);
    expect(sources).toEqual(['live']);
    daemon.mode = 'refusing';
    daemon.last.close();
    await daemon.pass(2000, 100);
    expect(sources).toEqual(['live', 'stale']);
    expect(names(payments)).toEqual([]);
  });

  test.each([
    ['is damaged', (path: string) => writeFile(path, '{"version":1,"services":[')],
    ['is of another form', (path: string) => writeFile(path, '{"version":2}')],
    [
      'holds no records',
      (path: string) => writeFile(path, '{"version":1,"at":1,"epoch":"","revision":1,"services":[1]}'),
    ],
    ['could be written by others', (path: string) => chmod(path, 0o622)],
  ])('does not use a file that %s, and says so', async (_, spoil) => {
    const [name = ''] = await files();
    await spoil(join(cache, name));
    const { daemon, payments, errors } = start('refusing');
    const ready = later(payments.ready({ timeout: 1500 }));
    await until(() => errors.length === 1);
    await daemon.pass(1500, 100);
    expect(await outcome(ready)).toBe('connect_failed');
    expect(payments.source).toBe('none');
  });
});

test.each([
  [
    'is unknown',
    () => {
      throw new Error('uv_os_homedir returned ENOENT');
    },
  ],
  ['is said to be nothing', () => ''],
])('a user whose home %s has no file, and the discovery works', async (_, home) => {
  vi.stubEnv('XDG_CACHE_HOME', '');
  vi.mocked(homedir).mockImplementation(home);
  const { daemon, client, payments, errors } = start('up', { cache: undefined });
  await settle();
  daemon.tellState([record('a')]);
  await daemon.pass(2000, 100);
  await client.close();
  expect(names(payments)).toEqual(['a']);
  expect(errors).toEqual([]);
  expect(await readdir('.')).not.toContain('.cache');
  vi.mocked(homedir).mockRestore();
  vi.unstubAllEnvs();
});

test('a folder that cannot be written is told once, and the discovery works', async () => {
  await writeFile(cache, 'not a folder');
  const { daemon, client, payments, errors } = start('up');
  await settle();
  daemon.tellState([record('a')]);
  await daemon.pass(1000);
  await until(() => errors.length === 1);
  daemon.tellChange(101, record('b'));
  await daemon.pass(2000, 100);
  await client.close();
  expect(errors).toHaveLength(1);
  expect(names(payments)).toEqual(['a', 'b']);
  expect(await readFile(cache, 'utf8')).toBe('not a folder');
});
