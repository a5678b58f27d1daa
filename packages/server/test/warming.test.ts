import { RegistryError } from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { describe, expect, test, vi } from 'vitest';
import { DiskLog } from '../src/log/disk.js';
import { type Daemon, type Peer, startDaemon } from './harness.js';
import { newFolder } from './log/harness.js';
import { settle, turn } from './settle.js';

const GRACE = 15;
const BOUND = { type: 'register', key: 'web', values: 0, timeout: 60, linger: 2, owner: 'a' };

async function isWarming(peer: Peer): Promise<boolean> {
  const replies = [await peer.ask({ type: 'query', key: 'web' }), await peer.ask({ type: 'hello' })];
  const { warming: seconds } = await peer.ask({ type: 'status' });
  const [one, other] = replies.map(({ warming }) => warming === true);
  expect(one).toBe(other);
  expect(seconds !== undefined).toBe(one);
  return one === true;
}

/** One data folder, over several runs of the daemon. */
function createPlace(clock = new ManualClock()): () => Promise<Daemon> {
  const folder = newFolder();
  return () => {
    const log = new DiskLog({ folder, durability: 'always', grace: GRACE * 1000, repair: false });
    return startDaemon({ log, grace: GRACE }, clock);
  };
}

/** Lets time pass, with what follows from it. */
async function pass(daemon: Daemon, ms: number): Promise<void> {
  daemon.clock.advance(ms);
  await settle();
}

describe('a daemon is warming until its grace is over', () => {
  test('after every start with a log in memory: it has forgotten who is on the way back', async () => {
    await using daemon = await startDaemon({ grace: GRACE });
    const peer = daemon.connect();
    expect(await peer.ask({ type: 'status' })).toMatchObject({ warming: GRACE });
    expect(await isWarming(peer)).toBe(true);
    daemon.clock.advance(GRACE * 1000 - 1);
    expect(await isWarming(peer)).toBe(true);
    daemon.clock.advance(1);
    expect(await isWarming(peer)).toBe(false);
  });

  test('after every start on a disk but the first: nobody knows the new one yet', async () => {
    const start = createPlace();
    const first = await start();
    expect(await isWarming(first.connect())).toBe(false);
    await first[Symbol.asyncDispose]();
    // It is empty, and may yet have been known.
    await using second = await start();
    expect(second.server.registry.size).toBe(0);
    expect(await isWarming(second.connect())).toBe(true);
  });

  test('and not a moment less, where it stood still meanwhile', async () => {
    await using daemon = await startDaemon({ grace: GRACE });
    daemon.clock.advance(5000);
    daemon.clock.stall(60_000);
    const peer = daemon.connect();
    expect(await isWarming(peer)).toBe(true);
    daemon.clock.advance(10_050);
    expect(await isWarming(peer)).toBe(false);
  });
});

describe('what is bound and was restored', () => {
  test('waits as it was until the grace is over; then it is as if its connection had broken', async () => {
    const start = createPlace();
    const before = await start();
    await before.connect().ask(BOUND);
    await before[Symbol.asyncDispose]();
    await using daemon = await start();
    const peer = daemon.connect();
    await pass(daemon, 14_900);
    expect(await peer.ask({ type: 'query', key: 'web', detail: true })).toMatchObject({
      warming: true,
      services: [{ generation: 1, left: 45.1 }],
    });
    await pass(daemon, 200);
    const [suspect] = (await peer.ask({ type: 'query', key: 'web', detail: true }))['services'] as object[];
    expect(suspect).toMatchObject({ status: 'suspect', left: expect.closeTo(1.9, 0) });
    await pass(daemon, 2050);
    expect(daemon.server.registry.size).toBe(0);
  });

  test('has its linger from then on also while the log takes no changes', async () => {
    const start = createPlace();
    const before = await start();
    await before.connect().ask(BOUND);
    await before[Symbol.asyncDispose]();
    await using daemon = await start();
    const peer = daemon.connect();
    const other = daemon.connect();
    await other.ask({ ...BOUND, key: 'other' });
    const propose = vi.spyOn(DiskLog.prototype, 'propose').mockImplementation(() => {
      throw new RegistryError('storage_full');
    });
    await pass(daemon, 14_500);
    // From here on its change is tried again once a second.
    other.hangUp();
    await settle();
    await pass(daemon, 500);
    await pass(daemon, 100);
    expect(await peer.ask({ type: 'query', key: 'web', detail: true })).toMatchObject({
      services: [{ generation: 1, left: expect.closeTo(1.9, 1) }],
    });
    propose.mockRestore();
  });

  test('is left alone where it has come back', async () => {
    const start = createPlace();
    const before = await start();
    await before.connect().ask(BOUND);
    await before[Symbol.asyncDispose]();
    await using daemon = await start();
    const peer = daemon.connect();
    expect(await peer.ask({ ...BOUND, generation: 1 })).toMatchObject({ result: 'renewed', revision: 1 });
    await pass(daemon, 20_000);
    expect(await peer.ask({ type: 'query', key: 'web' })).toMatchObject({ revision: 1, services: [{ generation: 1 }] });
  });

  test('has its linger, not the rest of the grace, where it has come back and gone again', async () => {
    const start = createPlace();
    const before = await start();
    await before.connect().ask(BOUND);
    await before[Symbol.asyncDispose]();
    await using daemon = await start();
    const peer = daemon.connect();
    await peer.ask(BOUND);
    peer.hangUp();
    await settle();
    expect(daemon.server.registry.byStatus.suspect).toBe(1);
    await pass(daemon, 2050);
    expect(daemon.server.registry.size).toBe(0);
  });

  test('stays suspect over a restart, and may be taken over', async () => {
    const start = createPlace();
    const before = await start();
    const peer = before.connect();
    await peer.ask(BOUND);
    peer.hangUp();
    await settle();
    await before[Symbol.asyncDispose]();
    await using daemon = await start();
    const other = daemon.connect();
    expect((await other.ask({ type: 'query', key: 'web', detail: true }))['services']).toMatchObject([
      { status: 'suspect', left: GRACE },
    ]);
    expect(await other.ask({ ...BOUND, owner: 'b' })).toMatchObject({ result: 'registered', generation: 3 });
  });

  test('parts in turns, thousands as one', async () => {
    const start = createPlace();
    const before = await start();
    const peer = before.connect();
    const count = 12_000;
    const line = (n: number) => `${JSON.stringify({ ...BOUND, key: `s${n}` })}\r\n`;
    peer.send(Array.from({ length: count }, (_, n) => line(n)).join(''));
    while (peer.waiting < count) await turn();
    await before[Symbol.asyncDispose]();
    await using daemon = await start();
    const { registry } = daemon.server;
    daemon.clock.advance(15_000);
    const hasten = vi.spyOn(registry, 'hasten');
    const steps: number[] = [];
    for (let last = registry.revision; registry.byStatus.suspect < count; last = registry.revision) {
      hasten.mockClear();
      await turn();
      steps.push(registry.revision - last);
      expect(hasten.mock.calls.length).toBeLessThanOrEqual(5000);
      expect(steps.length).toBeLessThan(1000);
    }
    expect(Math.max(...steps)).toBeLessThanOrEqual(2000);
  });

  test('parts at the start where there is no grace', async () => {
    const folder = newFolder();
    const clock = new ManualClock();
    const start = (): Promise<Daemon> => {
      const log = new DiskLog({ folder, durability: 'always', grace: 0, repair: false });
      return startDaemon({ log, grace: 0 }, clock);
    };
    const before = await start();
    await before.connect().ask(BOUND);
    await before[Symbol.asyncDispose]();
    await using daemon = await start();
    await settle();
    expect(daemon.server.registry.byStatus.suspect).toBe(1);
  });
});

test('who comes back after a restart to what was destroyed is told so, as long as the log remembers', async () => {
  const start = createPlace();
  const before = await start();
  const peer = before.connect();
  await peer.ask(BOUND);
  await before.connect().ask({ type: 'destruction', key: 'web' });
  await before[Symbol.asyncDispose]();
  await using daemon = await start();
  expect(await daemon.connect().ask({ ...BOUND, generation: 1 })).toMatchObject({ error: { code: 'destroyed' } });
});
