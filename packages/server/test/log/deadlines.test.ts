/** What an instance has left after a restart. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ManualClock } from '@reg/protocol/testing';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/log/checkpoint.js';
import { settle } from '../settle.js';
import { copyFolder, FaultyDisk, newFolder, type OpenDisk, openDisk, type TestHost } from './harness.js';

const GRACE = 15_000;

let disk: FaultyDisk;
let open: OpenDisk;
let host: TestHost;

beforeEach(async () => {
  disk = new FaultyDisk();
  open = await openDisk(newFolder(), { io: disk, grace: GRACE });
  host = open.host;
});

async function register(key: string, ttl: number): Promise<void> {
  open.log.propose(host.registration(key, { ttl }));
  await open.log.flush();
}

/** Stops in order, and starts again `away` ms later by the wall clock. */
async function restart(away: number): Promise<TestHost> {
  await open.log.close();
  const wall = host.clock.wall() + away;
  return (await openDisk(open.folder, { grace: GRACE, clock: new ManualClock(wall) })).host;
}

/** Starts again from what a kill leaves. */
async function restartKilled(away: number, folder = copyFolder(open.folder)): Promise<TestHost> {
  const wall = host.clock.wall() + away;
  return (await openDisk(folder, { grace: GRACE, clock: new ManualClock(wall) })).host;
}

/** Lets 5 s pass, and waits for the checkpoint that is due then. */
async function passCheckpoint(): Promise<void> {
  await settle();
  host.pass(5000);
  await settle();
}

function deadlinesOnDisk(folder = open.folder): string {
  const read = readCheckpoint(folder);
  if (read === undefined || read === 'damaged') throw new Error('no checkpoint');
  const deadlines = host.registry.all().map(({ generation }) => read.deadlines.get(generation));
  return JSON.stringify([read.revision, deadlines]);
}

describe('after a restart an instance has left', () => {
  it('what it had, less the time away', async () => {
    await register('a', 60_000);
    host.pass(10_000);
    expect((await restart(7000)).left('a')).toBe(43_000);
  });

  it('at least the grace, also where it should have ended while the daemon was away', async () => {
    await register('a', 60_000);
    expect((await restart(50_000)).left('a')).toBe(GRACE);
  });

  it('at least the grace after a day, too', async () => {
    await register('a', 60_000);
    expect((await restart(86_400_000)).left('a')).toBe(GRACE);
  });

  it('no more than its ttl, where that is less than the grace', async () => {
    await register('a', 4000);
    host.pass(1000);
    expect((await restart(1000)).left('a')).toBe(4000);
  });

  it('no more than its ttl when the wall clock was set back, and the grace when it was set forward', async () => {
    await register('a', 60_000);
    host.pass(10_000);
    const folder = copyFolder(open.folder);
    expect((await restart(-3_600_000)).left('a')).toBe(60_000);
    expect((await restartKilled(3_600_000, folder)).left('a')).toBe(GRACE);
  });

  it.each([3_600_000, -7_200_000])(
    'what it had when the wall clock was set by %d ms while the daemon ran',
    async (jump) => {
      host.manual.jumpWall(jump);
      await register('a', 60_000);
      host.manual.jumpWall(-jump);
      await passCheckpoint();
      expect((await restartKilled(5000)).left('a')).toBe(50_000);
    },
  );

  it('for ever, where it was "never"', async () => {
    await register('a', Number.POSITIVE_INFINITY);
    expect((await restart(1e12)).left('a')).toBe(Number.POSITIVE_INFINITY);
  });

  it('what its last renewal gave it', async () => {
    await register('a', 60_000);
    host.pass(50_000);
    host.registry.renew(host.find('a'), host.clock.now() + 60_000);
    expect((await restart(10_000)).left('a')).toBe(50_000);
  });

  it('what its last renewal gave it, after a kill: the checkpoint of every 5 s knows', async () => {
    await register('a', 60_000);
    host.pass(4000);
    host.registry.renew(host.find('a'), host.clock.now() + 60_000);
    await passCheckpoint();
    expect((await restartKilled(10_000)).left('a')).toBe(45_000);
  });

  it('what an update gave it that the last checkpoint has not seen', async () => {
    await register('a', 10_000);
    await passCheckpoint();
    open.log.propose(host.registration('a', { ttl: 300_000, body: '"values":"for longer"' }));
    await open.log.flush();
    expect((await restartKilled(10_000)).left('a')).toBe(290_000);
  });

  it('the grace at least where the checkpoint is lost', async () => {
    await register('a', 60_000);
    host.pass(50_000);
    host.registry.renew(host.find('a'), host.clock.now() + 60_000);
    await open.log.close();
    rmSync(join(open.folder, 'deadlines'));
    expect((await restartKilled(40_000)).left('a')).toBe(GRACE);
  });

  it('the same over several restarts in which it is not heard of', async () => {
    await register('a', 60_000);
    for (const left of [50_000, 40_000, 30_000]) {
      await open.log.close();
      open = await openDisk(open.folder, { grace: GRACE, clock: new ManualClock(host.clock.wall() + 10_000) });
      host = open.host;
      expect(host.left('a')).toBe(left);
    }
  });
});

describe('deadlines of many, some of which have none, or have changed or ended since the checkpoint', () => {
  const KEYS = Array.from({ length: 12 }, (_, index) => `key-${index}`);
  const action = fc.record({
    key: fc.constantFrom(...KEYS),
    do: fc.constantFrom('register', 'update', 'renew', 'end'),
    ttl: fc.constantFrom(20_000, 40_000, 90_000, Number.POSITIVE_INFINITY),
  });
  const actions = fc.array(action, { maxLength: 30 });

  function act({ key, do: what, ttl }: typeof action extends fc.Arbitrary<infer T> ? T : never): void {
    const instance = host.registry.find(key, '');
    if (instance === undefined) open.log.propose(host.registration(key, { ttl }));
    else if (what === 'end') open.log.propose(host.ending(key));
    else if (what === 'renew') host.registry.renew(instance, host.clock.now() + instance.ttl);
    else open.log.propose(host.registration(key, { ttl, body: `"values":${host.registry.revision}` }));
  }

  it('are what the checkpoint says, and what the change says where that is newer', async () => {
    const check = async (before: readonly Parameters<typeof act>[0][], after: typeof before): Promise<void> => {
      open = await openDisk(newFolder(), { grace: GRACE });
      host = open.host;
      for (const each of before) {
        act(each);
        host.pass(1000);
      }
      await passCheckpoint();
      const { revision } = host.registry;
      const known = new Map(host.registry.all().map(({ generation, expiresAt }) => [generation, expiresAt]));
      for (const each of after) act(each);
      await open.log.flush();
      const again = await restartKilled(10_000);
      const now = host.clock.now() + 10_000;
      for (const instance of host.registry.all()) {
        const due = instance.revision <= revision ? known.get(instance.generation) : instance.at + instance.ttl;
        const left = Math.min(instance.ttl, Math.max((due ?? 0) - now, GRACE));
        expect(again.left(instance.key), instance.key).toBe(left);
      }
      expect(again.registry.size).toBe(host.registry.size);
      await open.log.close();
    };
    await fc.assert(fc.asyncProperty(actions, actions, check), { numRuns: 25 });
  });
});

describe('a renewal', () => {
  it('costs no write to the log', async () => {
    await register('a', 60_000);
    const calls = disk.calls.length;
    for (let round = 0; round < 100; round += 1) {
      host.registry.renew(host.find('a'), host.clock.now() + 60_000);
      host.pass(20);
    }
    await open.log.flush();
    expect(disk.calls).toHaveLength(calls);
  });

  it('costs a checkpoint every 5 s, and none where nothing was renewed', async () => {
    await register('a', 60_000);
    await passCheckpoint();
    const before = deadlinesOnDisk();
    rmSync(join(open.folder, 'deadlines'));
    await passCheckpoint();
    expect(readCheckpoint(open.folder)).toBeUndefined();
    host.registry.renew(host.find('a'), host.clock.now() + 60_000);
    await passCheckpoint();
    expect(deadlinesOnDisk()).not.toBe(before);
  });
});
