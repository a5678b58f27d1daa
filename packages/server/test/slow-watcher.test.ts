import { Duplex } from 'node:stream';
import type { Event } from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { describe, expect, test } from 'vitest';
import { type Daemon, startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { settle, turn } from './settle.js';
import { View, Watcher } from './watcher.js';

const SLOW = { highWaterMark: 1024 };

/** What one end may hold of what the other does not read: what it had not written, and the piece it was writing. */
const MOST_BYTES = 2 * 64 * 1024 + 4096;

async function registerMany(daemon: Daemon, count: number, values: (n: number) => unknown = (n) => n): Promise<void> {
  const writer = daemon.connect();
  for (let n = 0; n < count; n += 1) {
    await writer.ask({ type: 'register', key: 'web', instance: `i-${n % 50}`, values: values(n), timeout: 'never' });
    if (n % 10 === 0) await settle(2);
  }
}

function viewOf(events: readonly Event[]): View {
  const view = new View();
  for (const event of events) view.take(event);
  return view;
}

async function isEqualToRegistry({ services }: View, watcher: Watcher): Promise<void> {
  const all = await watcher.ask({ type: 'query', key: 'all', status: 'any' });
  expect([...services.values()].sort((a, b) => a.generation - b.generation)).toEqual(all['services']);
}

describe('a watcher that does not read', () => {
  test('has nothing piling up for it, and is told what it missed when it reads', async () => {
    await using daemon = await startDaemon();
    const watcher = new Watcher(daemon, SLOW);
    const told = await watcher.watch({ key: 'all' });
    watcher.peer.stream.pause();
    const writer = daemon.connect();
    for (let n = 0; n < 2000; n += 1) {
      await writer.ask({ type: 'register', key: 'web', instance: `i-${n % 50}`, values: 'x'.repeat(500) + n });
      if (n % 10 === 0) await settle(2);
      expect(watcher.peer.far.writableLength).toBeLessThan(MOST_BYTES);
    }
    expect(await writer.ask({ type: 'status' })).toMatchObject({ watches: 1, behind: 1 });
    watcher.peer.stream.resume();
    told.push(...(await watcher.events()));
    while (told.length < 2001) told.push(...(await watcher.events()));
    expect(told.slice(1).map((event) => (event.type === 'change' ? event.revision : event))).toEqual(
      Array.from({ length: 2000 }, (_, n) => n + 1),
    );
    expect(watcher.largestWrite).toBeLessThan(MOST_BYTES);
    await isEqualToRegistry(viewOf(told), watcher);
    expect(await writer.ask({ type: 'status' })).toMatchObject({ behind: 0 });
  });

  test('begins anew where the history has gone on without it', async () => {
    await using daemon = await startDaemon({ history: 100 });
    const watcher = new Watcher(daemon, SLOW);
    const told = await watcher.watch({ key: 'web' });
    await watcher.watch({ key: 'still' });
    await watcher.ask({ type: 'register', key: 'other', values: 1 });
    await watcher.ask({ type: 'destruction', key: 'other' });
    watcher.peer.stream.pause();
    await registerMany(daemon, 1000, (n) => 'x'.repeat(200) + n);
    watcher.peer.stream.resume();
    for (let n = 0; n < 20; n += 1) told.push(...(await watcher.events()));
    // The other watch of the connection has missed nothing, so it is not begun anew.
    expect(told.filter(({ type }) => type === 'reset')).toEqual([{ type: 'reset', watch: 1, reason: 'compacted' }]);
    expect(told.length).toBeLessThan(300);
    await isEqualToRegistry(viewOf(told), watcher);
  });

  test('has what it asks for meanwhile wait, and that not without bound either', async () => {
    await using daemon = await startDaemon();
    const watcher = new Watcher(daemon, SLOW);
    await watcher.watch({ key: 'web' });
    watcher.peer.stream.pause();
    await registerMany(daemon, 200, (n) => 'x'.repeat(1000) + n);
    for (let n = 0; n < 40; n += 1) watcher.peer.send({ type: 'query', key: 'web', id: n });
    await settle();
    expect(watcher.peer.far.writableLength).toBeLessThan(MOST_BYTES);
    watcher.peer.stream.resume();
    const replies = [];
    for (let n = 0; n < 20; n += 1) replies.push(...(await watcher.replies()));
    expect(replies.map(({ id }) => id)).toEqual(Array.from({ length: 40 }, (_, n) => n));
  });

  test('may resume another watch from further back than it stopped itself', async () => {
    await using daemon = await startDaemon();
    const watcher = new Watcher(daemon, SLOW);
    const epoch = await watcher.epoch();
    const told = await watcher.watch({ key: 'all' });
    await registerMany(daemon, 20);
    told.push(...(await watcher.events()));
    watcher.peer.stream.pause();
    await registerMany(daemon, 200, (n) => 'x'.repeat(500) + n);
    watcher.peer.send({ type: 'watch', key: 'all', epoch, after: 5 });
    await settle();
    watcher.peer.stream.resume();
    for (let n = 0; n < 10; n += 1) told.push(...(await watcher.events()));
    for (const [watch, after] of [
      [1, 0],
      [2, 5],
    ] as const) {
      const changes = told.filter((event) => event.type === 'change' && event.watch === watch);
      expect(changes.map((event) => event.type === 'change' && event.revision)).toEqual(
        Array.from({ length: 220 - after }, (_, n) => after + n + 1),
      );
    }
  });

  test('may end a watch whose state is half sent, and is told that of the next', async () => {
    await using daemon = await startDaemon();
    await registerMany(daemon, 50, () => 'x'.repeat(10_000));
    const watcher = new Watcher(daemon, SLOW);
    await watcher.ask({ type: 'register', key: 'db', values: 'of the next', timeout: 'never' });
    watcher.peer.stream.pause();
    for (const request of [
      { type: 'watch', key: 'web' },
      { type: 'watch', key: 'db' },
      { type: 'unwatch', watch: 1 },
    ]) {
      watcher.peer.send(request);
      await settle();
    }
    watcher.peer.stream.resume();
    const events: Event[] = [];
    for (let n = 0; n < 10; n += 1) events.push(...(await watcher.events()));
    expect(events.filter((event) => 'watch' in event && event.watch === 2)).toMatchObject([
      { type: 'state', services: [{ key: 'db' }] },
      { type: 'synced' },
    ]);
    expect(events).not.toContainEqual(expect.objectContaining({ type: 'synced', watch: 1 }));
  });

  test('goes on being answered, so that its heartbeats count', async () => {
    await using daemon = await startDaemon();
    const watcher = new Watcher(daemon, SLOW);
    await watcher.ask({ type: 'register', key: 'mine', values: 1, timeout: 10 });
    await watcher.watch({ key: 'web' });
    watcher.peer.stream.pause();
    await registerMany(daemon, 500, (n) => 'x'.repeat(500) + n);
    for (let second = 0; second < 25; second += 1) {
      watcher.peer.send({ type: 'heartbeat' });
      await settle();
      daemon.clock.advance(1000);
    }
    const asker = new Watcher(daemon);
    expect(await asker.ask({ type: 'query', key: 'mine' })).toMatchObject({ services: [{ values: 1 }] });
    watcher.peer.stream.resume();
    const replies = [];
    for (let n = 0; n < 20; n += 1) replies.push(...(await watcher.replies()));
    expect(replies).toEqual(Array(25).fill({ ok: true, held: 1 }));
  });

  test('goes on being answered while a state is half sent, and replies go before the rest of it', async () => {
    await using daemon = await startDaemon();
    const values = 'x'.repeat(2000);
    await registerMany(daemon, 50, () => values);
    const big = new Watcher(daemon);
    for (let n = 0; n < 600; n += 1) {
      big.peer.send({ type: 'register', key: 'web', instance: `more-${n}`, values, timeout: 'never' });
    }
    await big.replies();
    const watcher = new Watcher(daemon, SLOW);
    watcher.peer.stream.pause();
    watcher.peer.send({ type: 'watch', key: 'web' });
    await settle();
    watcher.peer.send({ type: 'ping', id: 'between' });
    await settle();
    expect(watcher.peer.far.writableLength).toBeLessThan(MOST_BYTES);
    watcher.peer.stream.resume();
    const lines: string[] = [];
    while (!lines.at(-1)?.includes('synced')) lines.push(await watcher.peer.line());
    const types = lines.map((line) => JSON.parse(line)).map(({ type, id }) => id ?? type ?? 'reply');
    expect(types.filter((type) => type === 'state').length).toBeGreaterThan(15);
    expect(types.indexOf('between')).toBeLessThan(4);
  });

  test('is closed after 30 s', async () => {
    await using daemon = await startDaemon();
    const watcher = new Watcher(daemon, SLOW);
    await watcher.watch({ key: 'web' });
    watcher.peer.stream.pause();
    await registerMany(daemon, 100, (n) => 'x'.repeat(500) + n);
    for (let second = 0; second < 32; second += 1) daemon.clock.advance(1000);
    await settle();
    expect(await daemon.connect().ask({ type: 'status' })).toMatchObject({ watches: 0, behind: 0 });
  });
});

test('a watcher that reads slowly sees the state of one moment, and every change since', async () => {
  await using daemon = await startDaemon();
  await registerMany(daemon, 400, () => 'x'.repeat(1000));
  const watcher = new Watcher(daemon, SLOW);
  watcher.peer.stream.pause();
  watcher.peer.send({ type: 'watch', key: 'all' });
  await settle();
  const told: Event[] = [];
  const writer = daemon.connect();
  for (let n = 0; n < 300; n += 1) {
    await writer.ask({ type: 'register', key: 'web', instance: `i-${n % 60}`, values: `${n}`.repeat(300) });
    watcher.peer.stream.resume();
    await turn();
    watcher.peer.stream.pause();
  }
  watcher.peer.stream.resume();
  for (let n = 0; n < 10; n += 1) told.push(...(await watcher.events()));
  expect(told.filter(({ type }) => type === 'synced')).toHaveLength(1);
  expect(told.filter(({ type }) => type === 'reset')).toHaveLength(0);
  await watcher.replies();
  await isEqualToRegistry(viewOf(told), watcher);
});

// On a stream that takes all of it at once a long reply is made over several turns all the same.
test.each([1024, 64 * 1024 * 1024])(
  'events never come within a long reply, on a stream that takes %i bytes',
  async (highWaterMark) => {
    await using daemon = await startDaemon();
    await registerMany(daemon, 50, () => 'x'.repeat(40_000));
    const watcher = new Watcher(daemon, { highWaterMark });
    const told = await watcher.watch({ key: 'db' });
    const writer = daemon.connect();
    watcher.peer.send({ type: 'query', key: 'web' });
    watcher.peer.send({ type: 'ping', id: 'behind' });
    for (let n = 0; n < 20; n += 1) {
      writer.send({ type: 'register', key: 'db', values: n });
      await turn();
    }
    const replies = await watcher.replies();
    expect(replies).toHaveLength(2);
    expect(replies[0]?.['services']).toHaveLength(50);
    told.push(...(await watcher.events()));
    expect(viewOf(told).services.get('db/')).toMatchObject({ values: 19 });
    expect(told.filter(({ type }) => type === 'change')).toHaveLength(20);
  },
);

/** A clock on which everything takes time: each look at it costs half a millisecond. */
class SlowClock extends ManualClock {
  #looks = 0;

  override monotonic(): number {
    this.#looks += 1;
    return super.monotonic() + this.#looks / 2;
  }
}

test('who is told much gives way to the others, and is told everything', async () => {
  await using daemon = await startDaemon({}, new SlowClock());
  const writer = new Watcher(daemon);
  const values = 'x'.repeat(4000);
  const register = (n: number): void =>
    writer.peer.send({ type: 'register', key: 'web', instance: `i-${n % 500}`, values: values + n, timeout: 'never' });
  for (let n = 0; n < 500; n += 1) register(n);
  for (let n = 0; n < 10; n += 1) await writer.replies();
  const watchers = Array.from({ length: 15 }, () => new Watcher(daemon, { highWaterMark: 64 * 1024 * 1024 }));
  for (const watcher of watchers) watcher.peer.send({ type: 'watch', key: 'web' });
  writer.peer.send({ type: 'ping', id: 'between' });
  while (writer.peer.waiting === 0) await turn();
  expect(watchers.every(({ peer }) => peer.waiting < 30)).toBe(true);
  // Each has begun to be told its state, so that what comes now is told as changes.
  while (watchers.some(({ peer }) => peer.waiting < 2)) await turn();
  for (let n = 500; n < 530; n += 1) register(n);
  for (const watcher of watchers) {
    const told: Event[] = [];
    for (let n = 0; n < 20 && told.filter(({ type }) => type === 'change').length < 30; n += 1) {
      told.push(...(await watcher.events()));
    }
    expect(told.filter(({ type }) => type === 'change')).toHaveLength(30);
    expect(await watcher.replies()).toHaveLength(1);
    await isEqualToRegistry(viewOf(told), watcher);
  }
  // So also where all of them are up to date.
  for (let n = 530; n < 560; n += 1) register(n);
  for (const watcher of watchers) {
    const told = await watcher.events();
    expect(told.map((event) => event.type === 'change' && event.revision)).toEqual(
      Array.from({ length: 30 }, (_, n) => 531 + n),
    );
  }
});

test('watchers whose system takes everything at once do not keep the loop to themselves', async () => {
  await using daemon = await startDaemon({}, new SlowClock());
  const writer = new Watcher(daemon);
  const values = 'x'.repeat(30_000);
  for (let n = 0; n < 100; n += 1) {
    await writer.ask({ type: 'register', key: 'web', instance: `i-${n}`, values, timeout: 'never' });
  }
  const turns = new Set<number>();
  let turnNumber = 0;
  const streams = Array.from({ length: 3 }, () => {
    // As a socket does while the system's buffers have room: it drains before the turn is over.
    const stream = new Duplex({
      read() {},
      write(_, __, done) {
        turns.add(turnNumber);
        done();
      },
    });
    daemon.server.handle(stream);
    stream.push('{"type":"watch","key":"web"}\n');
    return stream;
  });
  for (; turnNumber < 200; turnNumber += 1) await turn();
  for (const stream of streams) stream.destroy();
  // 150 pieces of 64 KiB, of which about ten find room in the time of a turn.
  expect(turns.size).toBeGreaterThan(10);
});

test('who begins anew while there is more to commit is told the state when that is durable', async () => {
  const log = new HeldLog();
  await using daemon = await startDaemon({ log, history: 8 });
  const [watcher, writer] = [new Watcher(daemon, SLOW), new Watcher(daemon)];
  await watcher.watch({ key: 'web' });
  for (let n = 0; n < 40; n += 1) writer.peer.send({ type: 'register', key: 'web', values: 'x'.repeat(4000) + n });
  await settle();
  log.commit(30);
  const before = await watcher.events();
  expect(before.every(({ type }) => type === 'change')).toBe(true);
  expect(before.length).toBeLessThan(30);
  log.commit();
  expect(await watcher.events()).toMatchObject([
    { type: 'reset', reason: 'compacted' },
    { type: 'state', services: [{ revision: 40 }] },
    { type: 'synced', revision: 40 },
  ]);
});

test('what is told to a stream that takes any amount at once is told in full', async () => {
  await using daemon = await startDaemon();
  const watcher = new Watcher(daemon, { highWaterMark: 64 * 1024 * 1024 });
  const told = await watcher.watch({ key: 'web' });
  const writer = new Watcher(daemon);
  for (let n = 0; n < 500; n += 1) {
    writer.peer.send({ type: 'register', key: 'web', values: 'x'.repeat(1000) + n, timeout: 'never' });
  }
  await writer.replies();
  told.push(...(await watcher.events()));
  expect(told.filter(({ type }) => type === 'change')).toHaveLength(500);
});
