import { RegistryError, type StateEvent } from '@reg/protocol';
import { describe, expect, test } from 'vitest';
import { startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { settle } from './settle.js';
import { nameOf, Watcher } from './watcher.js';

test('a watch is answered, then tells what is there, and then that this is all', async () => {
  await using daemon = await startDaemon();
  const watcher = new Watcher(daemon);
  await watcher.ask({ type: 'register', key: 'web', instance: 'a', values: 'x:1', tags: ['t'], timeout: 'never' });
  await watcher.ask({ type: 'register', key: 'db', values: 'x:2' });
  const reply = await watcher.ask({ type: 'watch', key: 'web', id: 'mine' });
  expect(reply).toEqual({ ok: true, id: 'mine', watch: 1, epoch: expect.any(String), progress: 5 });
  const { services } = await watcher.ask({ type: 'query', key: 'web' });
  expect(await watcher.events()).toEqual([
    { type: 'state', watch: 1, services },
    { type: 'synced', watch: 1, epoch: reply['epoch'], revision: 2 },
  ]);
});

test.each([
  [{ key: 'web' }, ['web/', 'web/a']],
  [{ prefix: 'we' }, ['web/', 'web/a', 'west/']],
  [{ prefix: 'west' }, ['west/']],
  [{ prefix: 'westward' }, []],
  [{ prefix: 'all' }, ['allways/']],
  [{ key: 'all' }, ['web/', 'web/a', 'west/', 'db/', 'allways/']],
])('%j sees %j', async (what, seen) => {
  await using daemon = await startDaemon();
  const watcher = new Watcher(daemon);
  for (const key of ['web', 'west', 'db', 'allways']) await watcher.ask({ type: 'register', key, values: 1 });
  await watcher.ask({ type: 'register', key: 'web', instance: 'a', values: 1 });
  const told = (await watcher.watch(what)).flatMap((event) => (event.type === 'state' ? event.services : []));
  expect(told.map(nameOf).sort()).toEqual(seen.sort());
});

test('where nothing is there, that this is all is the first thing told', async () => {
  await using daemon = await startDaemon();
  const watcher = new Watcher(daemon);
  expect(await watcher.watch({ key: 'web' })).toMatchObject([{ type: 'synced', revision: 0 }]);
});

test('instances of every status are told, and those whose end is still to be ordered', async () => {
  await using daemon = await startDaemon();
  const watcher = new Watcher(daemon);
  for (const status of ['passing', 'draining', 'critical']) {
    await watcher.ask({ type: 'register', key: 'web', instance: status, values: 1, status });
  }
  const bound = daemon.connect();
  await bound.ask({ type: 'register', key: 'web', instance: 'suspect', values: 1, linger: 5 });
  bound.hangUp();
  await settle();
  await watcher.ask({ type: 'register', key: 'web', instance: 'expired', values: 1, timeout: 0.001 });
  daemon.clock.advance(2);
  const [state] = await watcher.watch({ key: 'web' });
  expect(state).toMatchObject({
    services: [
      { instance: 'passing' },
      { instance: 'draining', status: 'draining' },
      { instance: 'critical', status: 'critical' },
      { instance: 'suspect', status: 'suspect', linger: 5 },
      { instance: 'expired' },
    ],
  });
  daemon.clock.advance(50);
  expect(await watcher.events()).toMatchObject([{ change: 'expired', service: { instance: 'expired' } }]);
});

test('a large state is told in pieces of some 64 KiB, and is that of one moment', async () => {
  await using daemon = await startDaemon();
  const [watcher, writer] = [new Watcher(daemon), daemon.connect()];
  const values = 'x'.repeat(1000);
  for (let n = 0; n < 500; n += 1) await writer.ask({ type: 'register', key: 'web', instance: `i-${n}`, values });
  watcher.peer.stream.pause();
  watcher.peer.send({ type: 'watch', key: 'web' });
  await settle();
  await writer.ask({ type: 'register', key: 'web', instance: 'i-499', values: 'other' });
  await writer.ask({ type: 'destruction', key: 'web', instance: 'i-498' });
  watcher.peer.stream.resume();
  const events = await watcher.events();
  const states = events.filter((event): event is StateEvent => event.type === 'state');
  expect(states.length).toBeGreaterThan(5);
  for (const state of states) expect(JSON.stringify(state).length).toBeLessThan(70_000);
  expect(states.flatMap(({ services }) => services).map((record) => record.values)).toEqual(Array(500).fill(values));
  expect(events.slice(states.length)).toMatchObject([
    { type: 'synced', revision: 500 },
    { change: 'updated', revision: 501, service: { instance: 'i-499', values: 'other' } },
    { change: 'destroyed', revision: 502, service: { key: 'web', instance: 'i-498', generation: 499 } },
  ]);
});

describe('what is not durable', () => {
  test('is not in a state: it waits', async () => {
    const log = new HeldLog();
    await using daemon = await startDaemon({ log });
    const [watcher, writer] = [new Watcher(daemon), daemon.connect()];
    writer.send({ type: 'register', key: 'web', values: 1 });
    await settle();
    expect(await watcher.watch({ key: 'web' })).toEqual([]);
    log.commit();
    expect(await watcher.events()).toMatchObject([{ type: 'state' }, { type: 'synced', revision: 1 }]);
  });

  test('does not keep a state waiting that does not show it', async () => {
    const log = new HeldLog();
    await using daemon = await startDaemon({ log });
    const [watcher, writer] = [new Watcher(daemon), daemon.connect()];
    writer.send({ type: 'register', key: 'web', values: 1 });
    await settle();
    log.commit();
    writer.send({ type: 'register', key: 'db', values: 1 });
    await settle();
    expect(await watcher.watch({ key: 'web' })).toMatchObject([{ type: 'state' }, { type: 'synced', revision: 1 }]);
    log.commit();
    expect(await watcher.events()).toEqual([]);
  });

  test('and is undone was in no state, and the state comes without it', async () => {
    const log = new HeldLog();
    await using daemon = await startDaemon({ log });
    const [watcher, writer] = [new Watcher(daemon), daemon.connect()];
    writer.send({ type: 'register', key: 'web', instance: 'kept', values: 1 });
    await settle();
    log.commit();
    writer.send({ type: 'register', key: 'web', instance: 'undone', values: 1 });
    await settle();
    expect(await watcher.watch({ key: 'all' })).toEqual([]);
    log.undo(new RegistryError('storage_full'));
    expect(await watcher.events()).toMatchObject([
      { type: 'state', services: [{ instance: 'kept' }] },
      { type: 'synced', revision: 1 },
    ]);
  });

  test('keeps no watch from being answered first', async () => {
    const log = new HeldLog();
    await using daemon = await startDaemon({ log });
    const watcher = new Watcher(daemon);
    watcher.peer.send({ type: 'register', key: 'web', values: 1 });
    watcher.peer.send({ type: 'watch', key: 'db' });
    await settle();
    expect(watcher.peer.waiting).toBe(0);
    log.commit();
    const lines = [await watcher.peer.line(), await watcher.peer.line(), await watcher.peer.line()];
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { result: 'registered' },
      { watch: 1 },
      { type: 'synced' },
    ]);
  });
});

test('who ends its side after asking is told the state, and then the connection is closed', async () => {
  await using daemon = await startDaemon();
  const writer = daemon.connect();
  const values = 'x'.repeat(1000);
  for (let n = 0; n < 300; n += 1) await writer.ask({ type: 'register', key: 'web', instance: `i-${n}`, values });
  const watcher = new Watcher(daemon);
  watcher.peer.stream.pause();
  watcher.peer.stream.end('{"type":"watch","key":"web"}\n');
  await settle();
  watcher.peer.stream.resume();
  const events = await watcher.events();
  expect(events.flatMap((event) => (event.type === 'state' ? event.services : []))).toHaveLength(300);
  expect(events.at(-1)).toMatchObject({ type: 'synced' });
  expect(watcher.peer.isEnded).toBe(true);
  await writer.ask({ type: 'register', key: 'web', values: 1 });
  expect(await writer.ask({ type: 'status' })).toMatchObject({ watches: 0 });
});
