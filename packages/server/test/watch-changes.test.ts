import { RegistryError } from '@reg/protocol';
import { describe, expect, test } from 'vitest';
import { DiskLog } from '../src/log/disk.js';
import { startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { FaultyDisk, newFolder } from './log/harness.js';
import { settle, until } from './settle.js';
import { Watcher } from './watcher.js';

test('every kind of change is told once, in order, with the whole record or what is left of it', async () => {
  await using daemon = await startDaemon();
  const [watcher, writer] = [new Watcher(daemon), daemon.connect()];
  await watcher.watch({ key: 'web' });
  const start = daemon.clock.wall();
  await writer.ask({ type: 'register', key: 'web', instance: 'a', values: 1, timeout: 1, weight: 2 });
  await writer.ask({ type: 'register', key: 'web', instance: 'a', values: 1, timeout: 1, weight: 2 });
  await writer.ask({ type: 'register', key: 'web', values: [], timeout: 'never' });
  await writer.ask({ type: 'register', key: 'web', instance: 'a', values: 2, timeout: 1 });
  daemon.clock.advance(500);
  await writer.ask({ type: 'destruction', key: 'web' });
  daemon.clock.advance(1000);
  const at = (ms: number) => start + ms;
  expect(await watcher.events()).toEqual([
    {
      type: 'change',
      watch: 1,
      revision: 1,
      at: at(0),
      change: 'registered',
      service: {
        key: 'web',
        instance: 'a',
        values: 1,
        timeout: 1,
        weight: 2,
        revision: 1,
        generation: 1,
        registered: at(0),
      },
    },
    {
      type: 'change',
      watch: 1,
      revision: 2,
      at: at(0),
      change: 'registered',
      service: { key: 'web', values: [], timeout: 'never', revision: 2, generation: 2, registered: at(0) },
    },
    {
      type: 'change',
      watch: 1,
      revision: 3,
      at: at(0),
      change: 'updated',
      service: { key: 'web', instance: 'a', values: 2, timeout: 1, revision: 3, generation: 1, registered: at(0) },
    },
    {
      type: 'change',
      watch: 1,
      revision: 4,
      at: at(500),
      change: 'destroyed',
      service: { key: 'web', generation: 2 },
    },
    {
      type: 'change',
      watch: 1,
      revision: 5,
      at: expect.any(Number),
      change: 'expired',
      service: { key: 'web', instance: 'a', generation: 1 },
    },
  ]);
});

test('who becomes suspect, drains, or takes over is told as any other change', async () => {
  await using daemon = await startDaemon();
  const [watcher, owner] = [new Watcher(daemon), daemon.connect()];
  await watcher.watch({ prefix: 'w' });
  const request = { type: 'register', key: 'web', values: 1, linger: 2, owner: 'secret' };
  await owner.ask(request);
  await owner.ask({ ...request, status: 'draining' });
  await owner.ask(request);
  owner.hangUp();
  await settle();
  await watcher.ask({ ...request, owner: 'another', takeover: true });
  expect(await watcher.events()).toMatchObject([
    { change: 'registered', service: { linger: 2, generation: 1 } },
    { change: 'updated', service: { status: 'draining', generation: 1 } },
    { change: 'updated', service: { generation: 1 } },
    { change: 'updated', service: { status: 'suspect', generation: 1 } },
    { change: 'registered', revision: 5, service: { generation: 5 } },
  ]);
});

test('a change wakes those who watch its service, and no other connection', async () => {
  await using daemon = await startDaemon();
  const writer = daemon.connect();
  const scopes = [{ key: 'web' }, { prefix: 'we' }, { key: 'all' }, { key: 'we' }, { prefix: 'webs' }, { prefix: 'b' }];
  const watchers = scopes.map(() => new Watcher(daemon));
  for (const [index, watcher] of watchers.entries()) await watcher.watch(scopes[index] ?? {});
  const before = watchers.map(({ writes }) => writes);
  for (let n = 0; n < 10; n += 1) {
    await writer.ask({ type: 'register', key: 'web', values: n });
    await settle();
  }
  expect(watchers.map(({ writes }, index) => writes - (before[index] ?? 0))).toEqual([10, 10, 10, 0, 0, 0]);
});

test('all that a turn has to tell a connection is one write, however many watches see it', async () => {
  await using daemon = await startDaemon();
  const [watcher, writer] = [new Watcher(daemon), daemon.connect()];
  for (const what of [{ key: 'web' }, { key: 'all' }, { prefix: 'w' }, { key: 'web' }]) await watcher.watch(what);
  const { writes } = watcher;
  writer.send(Array.from({ length: 5 }, (_, n) => `{"type":"register","key":"web","values":${n}}\n`).join(''));
  const events = await watcher.events();
  expect(watcher.writes - writes).toBe(1);
  expect(events).toHaveLength(20);
  for (const watch of [1, 2, 3, 4]) {
    const revisions = events.flatMap((event) =>
      event.type === 'change' && event.watch === watch ? event.revision : [],
    );
    expect(revisions).toEqual([1, 2, 3, 4, 5]);
  }
});

test('a thousand watches of one connection are told what each of them sees', async () => {
  await using daemon = await startDaemon();
  const [watcher, writer] = [new Watcher(daemon), daemon.connect()];
  const names = Array.from({ length: 1000 }, (_, n) => `s-${n}`);
  for (const key of names) watcher.peer.send({ type: 'watch', key });
  expect(await watcher.replies()).toHaveLength(1000);
  expect(await watcher.events()).toHaveLength(1000);
  for (const key of names.toReversed()) writer.send({ type: 'register', key, values: 1 });
  const told = (await watcher.events()).flatMap((event) => (event.type === 'change' ? event : []));
  expect(told.map(({ watch, service }) => [watch, service.key])).toEqual(
    names.map((key, index) => [index + 1, key]).toReversed(),
  );
});

describe('what is not durable', () => {
  test('is not told', async () => {
    const log = new HeldLog();
    await using daemon = await startDaemon({ log });
    const [watcher, writer] = [new Watcher(daemon), daemon.connect()];
    await watcher.watch({ key: 'web' });
    for (let n = 0; n < 5; n += 1) writer.send({ type: 'register', key: 'web', values: n });
    expect(await watcher.events()).toEqual([]);
    log.commit(2);
    expect(await watcher.events()).toMatchObject([{ revision: 1 }, { revision: 2 }]);
    log.commit(1);
    expect(await watcher.events()).toMatchObject([{ revision: 3 }]);
  });

  test('and is undone is never told; what is changed after that is', async () => {
    const log = new HeldLog();
    await using daemon = await startDaemon({ log });
    const [watcher, writer] = [new Watcher(daemon), daemon.connect()];
    await watcher.watch({ key: 'web' });
    for (let n = 0; n < 3; n += 1) writer.send({ type: 'register', key: 'web', values: n });
    await settle();
    log.commit(1);
    log.undo(new RegistryError('storage_full'));
    writer.send({ type: 'register', key: 'web', values: 'after' });
    await settle();
    log.commit();
    expect(await watcher.events()).toMatchObject([
      { change: 'registered', revision: 1, service: { values: 0 } },
      { change: 'updated', revision: 4, service: { values: 'after', generation: 1 } },
    ]);
  });

  test('on a disk that takes its time is told when that has synced it, and the writer is answered', async () => {
    const disk = new FaultyDisk();
    const log = new DiskLog({ folder: newFolder(), durability: 'always', grace: 0, repair: false, io: disk });
    await using daemon = await startDaemon({ log });
    const [watcher, writer] = [new Watcher(daemon), daemon.connect()];
    await watcher.watch({ key: 'web' });
    disk.hold();
    writer.send({ type: 'register', key: 'web', values: 1 });
    expect(await watcher.events()).toEqual([]);
    expect(writer.waiting).toBe(0);
    disk.release();
    await until(() => writer.waiting > 0);
    expect(await watcher.events()).toMatchObject([{ change: 'registered', revision: 1 }]);
  });
});

test('a watch that is ended is told nothing after the reply, and its number is not used again', async () => {
  await using daemon = await startDaemon();
  const watcher = new Watcher(daemon);
  await watcher.watch({ key: 'web' });
  await watcher.watch({ key: 'web' });
  expect(await watcher.ask({ type: 'unwatch', watch: 1 })).toEqual({ ok: true });
  expect(await watcher.ask({ type: 'unwatch', watch: 1 })).toMatchObject({ error: { code: 'unknown_watch' } });
  await watcher.ask({ type: 'register', key: 'web', values: 1 });
  expect(await watcher.events()).toMatchObject([{ watch: 2, change: 'registered' }]);
  expect(await watcher.ask({ type: 'watch', key: 'web' })).toMatchObject({ watch: 3 });
});

test('a watch that is ended before its reply could leave is answered, and told nothing', async () => {
  const log = new HeldLog();
  await using daemon = await startDaemon({ log });
  const watcher = new Watcher(daemon);
  for (const request of [
    { type: 'register', key: 'web', values: 1 },
    { type: 'watch', key: 'web' },
    { type: 'unwatch', watch: 1 },
  ]) {
    watcher.peer.send(request);
  }
  await settle();
  log.commit();
  expect(await watcher.replies()).toMatchObject([{ result: 'registered' }, { watch: 1 }, { ok: true }]);
  expect(await watcher.events()).toEqual([]);
});

test('the end of one watch leaves the others of a like scope alone', async () => {
  await using daemon = await startDaemon();
  const watcher = new Watcher(daemon);
  for (const what of [{ prefix: 'we' }, { prefix: 'we' }, { prefix: 'da' }, { key: 'web' }, { key: 'web' }]) {
    await watcher.watch(what);
  }
  for (const watch of [1, 4]) await watcher.ask({ type: 'unwatch', watch });
  for (const key of ['web', 'data']) await watcher.ask({ type: 'register', key, values: 1 });
  const told = (await watcher.events()).map((event) => 'watch' in event && event.watch);
  expect(told.sort()).toEqual([2, 3, 5]);
  await watcher.ask({ type: 'unwatch', watch: 2 });
  await watcher.ask({ type: 'register', key: 'data', values: 2 });
  expect(await watcher.events()).toMatchObject([{ watch: 3 }]);
});

test('there are no more watches than the daemon takes, over all connections; those that end make room', async () => {
  await using daemon = await startDaemon({ maxWatches: 3 });
  const [one, other] = [new Watcher(daemon), new Watcher(daemon)];
  for (let n = 0; n < 3; n += 1) await one.watch({ key: 'web' });
  expect(await other.ask({ type: 'watch', key: 'web' })).toMatchObject({ error: { code: 'too_many_watches' } });
  expect(await other.ask({ type: 'status' })).toMatchObject({ watches: 3, maxWatches: 3, behind: 0 });
  await one.ask({ type: 'unwatch', watch: 2 });
  expect(await other.ask({ type: 'watch', key: 'web' })).toMatchObject({ watch: 1 });
  one.peer.hangUp();
  await settle();
  expect(await other.ask({ type: 'status' })).toMatchObject({ watches: 1 });
  expect(await other.ask({ type: 'explain', key: 'web' })).toMatchObject({ watches: 1, watchers: ['local'] });
});

describe('progress', () => {
  test('is told when nothing else was for some seconds, and holds what is not durable back', async () => {
    const log = new HeldLog();
    await using daemon = await startDaemon({ log });
    const [watcher, idle, writer] = [new Watcher(daemon), daemon.connect(), daemon.connect()];
    await watcher.watch({ key: 'web' });
    writer.send({ type: 'register', key: 'db', values: 1 });
    await settle();
    log.commit();
    writer.send({ type: 'register', key: 'web', values: 1 });
    await settle();
    daemon.clock.advance(5000);
    const events = await watcher.events();
    expect(events.length).toBeGreaterThan(0);
    for (const event of events) expect(event).toEqual({ type: 'progress', revision: 1 });
    expect(idle.waiting).toBe(0);
  });

  test('never lets ten seconds pass, and is not told where something else is', async () => {
    await using daemon = await startDaemon();
    const watcher = new Watcher(daemon);
    await watcher.watch({ key: 'web' });
    let silence = 0;
    for (let second = 0; second < 60; second += 1) {
      daemon.clock.advance(1000);
      silence = (await watcher.events()).length === 0 ? silence + 1 : 0;
      expect(silence).toBeLessThan(10);
    }
    for (let second = 0; second < 20; second += 1) {
      daemon.clock.advance(1000);
      await watcher.ask({ type: 'ping' });
      expect(await watcher.events()).toEqual([]);
    }
  });
});

test('while the daemon is warming a watch is told so, and told again when it no longer is', async () => {
  await using daemon = await startDaemon({ grace: 15 });
  const [early, late] = [new Watcher(daemon), new Watcher(daemon)];
  expect(await early.watch({ key: 'web' })).toMatchObject([{ type: 'synced', revision: 0, warming: true }]);
  await early.watch({ key: 'ended' });
  await early.ask({ type: 'unwatch', watch: 2 });
  await late.ask({ type: 'register', key: 'web', values: 1, timeout: 'never' });
  daemon.clock.advance(16_000);
  const told = await early.events();
  expect(told.filter(({ type }) => type === 'synced')).toEqual([
    { type: 'synced', watch: 1, epoch: expect.any(String), revision: 1 },
  ]);
  expect((await late.watch({ key: 'web' })).at(-1)).not.toHaveProperty('warming');
  daemon.clock.advance(20_000);
  for (const watcher of [early, late]) {
    expect((await watcher.events()).filter(({ type }) => type !== 'progress')).toEqual([]);
  }
});

describe('who drains', () => {
  test('learns how many of those that acknowledge have seen it', async () => {
    await using daemon = await startDaemon();
    const [one, other, silent] = [new Watcher(daemon), new Watcher(daemon), new Watcher(daemon)];
    await one.watch({ key: 'web', ack: true });
    await other.watch({ key: 'db', ack: true });
    await other.watch({ prefix: 'w', ack: true });
    await silent.watch({ key: 'web' });
    const { revision } = await silent.ask({ type: 'register', key: 'web', values: 1, status: 'draining' });
    const acks = { type: 'acks', key: 'web', revision };
    expect(await silent.ask(acks)).toEqual({ ok: true, watches: 2, acknowledged: 0 });
    expect(await one.ask({ type: 'ack', watch: 1, revision })).toEqual({ ok: true });
    expect(await one.ask({ type: 'ack', watch: 1, revision: 0 })).toEqual({ ok: true });
    expect(await silent.ask(acks)).toEqual({ ok: true, watches: 2, acknowledged: 1 });
    await other.ask({ type: 'ack', watch: 2, revision });
    expect(await silent.ask(acks)).toEqual({ ok: true, watches: 2, acknowledged: 2 });
    expect(await silent.ask({ ...acks, revision: 2 })).toEqual({ ok: true, watches: 2, acknowledged: 0 });
    expect(await one.ask({ type: 'ack', watch: 9, revision })).toMatchObject({ error: { code: 'unknown_watch' } });
  });

  test('does not wait for watches that are gone', async () => {
    await using daemon = await startDaemon();
    const [watcher, other] = [new Watcher(daemon), new Watcher(daemon)];
    await watcher.watch({ key: 'web', ack: true });
    watcher.peer.hangUp();
    await settle();
    expect(await other.ask({ type: 'acks', key: 'web', revision: 1 })).toEqual({
      ok: true,
      watches: 0,
      acknowledged: 0,
    });
  });
});
