import type { Event } from '@reg/protocol';
import { expect, test } from 'vitest';
import { type Daemon, startDaemon } from './harness.js';
import { settle, turn } from './settle.js';
import { Watcher } from './watcher.js';

/** Many times what history holds, and what a stream takes at once. */
const COUNT = 3000;
const HISTORY = 301;

async function registerMany(daemon: Daemon, fields: object): Promise<() => void> {
  const peer = daemon.connect();
  const line = (n: number) => `${JSON.stringify({ type: 'register', key: `s${n}`, values: 0, ...fields })}\r\n`;
  peer.send(Array.from({ length: COUNT }, (_, n) => line(n)).join(''));
  while (peer.waiting < COUNT) await turn();
  return () => peer.hangUp();
}

/** Lets time pass, ms by ms, until it is over or `isDone`. @returns how long that was, in ms. */
async function pass(daemon: Daemon, most: number, isDone: () => boolean): Promise<number> {
  let passed = 0;
  for (; passed < most && !isDone(); passed += 1) {
    daemon.clock.advance(1);
    await settle(3);
  }
  return passed;
}

async function eventsOf(watcher: Watcher, count: number): Promise<Event[]> {
  const events: Event[] = [];
  for (let more = await watcher.events(); more.length > 0 && events.length < count; more = await watcher.events()) {
    events.push(...more);
  }
  return events;
}

test('a mass expiry is told to who reads end by end, however little history holds', async () => {
  await using daemon = await startDaemon({ history: HISTORY });
  const { registry } = daemon.server;
  await registerMany(daemon, { timeout: 1 });
  const watchers = [new Watcher(daemon), new Watcher(daemon, { highWaterMark: 1024 })];
  for (const watcher of watchers) await watcher.watch({ key: 'all' });
  daemon.clock.advance(999);
  expect(await pass(daemon, 1000, () => registry.size === 0)).toBeLessThan(1000);
  for (const watcher of watchers) {
    const events = await eventsOf(watcher, COUNT);
    expect(events.map((event) => event.type === 'change' && event.change)).toEqual(Array(COUNT).fill('expired'));
  }
});

test('a mass that parts is told to who reads change by change, too', async () => {
  await using daemon = await startDaemon({ history: HISTORY });
  const { registry } = daemon.server;
  const hangUp = await registerMany(daemon, { linger: 60, timeout: 60 });
  const watcher = new Watcher(daemon, { highWaterMark: 1024 });
  await watcher.watch({ key: 'all' });
  hangUp();
  expect(await pass(daemon, 1000, () => registry.byStatus.suspect === COUNT)).toBeLessThan(1000);
  const events = await eventsOf(watcher, COUNT);
  expect(events.map((event) => event.type === 'change' && event.change)).toEqual(Array(COUNT).fill('updated'));
});

test('who does not read holds a mass expiry up for a moment and no more, and nobody sees that', async () => {
  await using daemon = await startDaemon({ history: HISTORY });
  const { registry } = daemon.server;
  await registerMany(daemon, { timeout: 1 });
  const [deaf, reader, asker] = [new Watcher(daemon, { highWaterMark: 1024 }), new Watcher(daemon), daemon.connect()];
  for (const watcher of [deaf, reader]) await watcher.watch({ key: 'all' });
  deaf.peer.stream.pause();
  daemon.clock.advance(999);
  await pass(daemon, 50, () => false);
  // It is waited for here.
  expect(registry.size).toBeGreaterThan(COUNT / 2);
  expect(await asker.ask({ type: 'query', key: 'all' })).toMatchObject({ services: [] });
  expect(await pass(daemon, 1000, () => registry.size === 0)).toBeLessThan(200);
  const events = await eventsOf(reader, COUNT);
  expect(events.map((event) => event.type === 'change' && event.change)).toEqual(Array(COUNT).fill('expired'));
  deaf.peer.stream.resume();
  expect((await eventsOf(deaf, COUNT)).slice(-2)).toMatchObject([
    { type: 'reset', reason: 'compacted' },
    { type: 'synced', revision: registry.revision },
  ]);
});
