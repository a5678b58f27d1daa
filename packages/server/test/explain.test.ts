import { expect, test } from 'vitest';
import { type Peer, startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { settle } from './settle.js';

const BOUND = { type: 'register', key: 'web', instance: 'i', values: 0, timeout: 30, linger: 2, owner: 'a' };
const explain = (peer: Peer, instance = 'i') => peer.ask({ type: 'explain', key: 'web', instance });

test('explains who registered an instance, from where, and how it was renewed', async () => {
  await using daemon = await startDaemon();
  const { clock } = daemon;
  const opened = clock.wall();
  const peer = daemon.connect();
  clock.advance(1000);
  const registered = clock.wall();
  await peer.ask(BOUND);
  for (const pause of [10_000, 10_000, 9000, 5000]) {
    clock.advance(pause);
    await peer.ask({ type: 'heartbeat' });
  }
  const renewed = clock.wall();
  clock.advance(3000);
  expect(await explain(daemon.connect())).toEqual({
    ok: true,
    revision: 1,
    service: {
      key: 'web',
      instance: 'i',
      values: 0,
      timeout: 30,
      linger: 2,
      revision: 1,
      generation: 1,
      registered,
      left: 27,
    },
    owned: true,
    changed: registered,
    renewed,
    holder: { peer: 'local', opened, heartbeats: 4, intervals: [10_000, 9000, 5000] },
    watches: 0,
    watchers: [],
  });
});

test('keeps the intervals of the last eight heartbeats', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask(BOUND);
  for (let n = 1; n <= 12; n += 1) {
    daemon.clock.advance(n * 100);
    await peer.ask({ type: 'heartbeat' });
  }
  expect((await explain(peer))['holder']).toMatchObject({
    heartbeats: 12,
    intervals: [600, 700, 800, 900, 1000, 1100, 1200],
  });
});

test('explains a suspect: when its connection was closed, and not that it was renewed', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ ...BOUND, owner: null });
  daemon.clock.advance(700);
  const closed = daemon.clock.wall();
  peer.hangUp();
  await settle();
  daemon.clock.advance(1000);
  const reply = await explain(daemon.connect());
  expect(reply).toMatchObject({
    service: { status: 'suspect', left: 1 },
    owned: false,
    changed: closed,
    holder: { closed, heartbeats: 0, intervals: [] },
  });
  expect(reply).not.toHaveProperty('renewed');
});

test('says nothing of a renewal where there is no deadline', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ ...BOUND, timeout: 'never' });
  const reply = await explain(peer);
  expect(reply).toMatchObject({ service: { left: 'never' } });
  expect(reply).not.toHaveProperty('renewed');
});

test.each(['expired', 'destroyed'])('explains how one that is gone has %s', async (reason) => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ ...BOUND, timeout: 1 });
  await peer.ask({ ...BOUND, instance: 'other' });
  if (reason === 'destroyed') await peer.ask({ type: 'destruction', key: 'web', instance: 'i' });
  daemon.clock.advance(1100);
  const reply = await explain(peer);
  expect(reply).toEqual({
    ok: true,
    revision: 3,
    ended: { reason, revision: 3, at: expect.any(Number) },
    watches: 0,
    watchers: [],
  });
  expect(await explain(peer, 'never there')).toEqual({ ok: true, revision: 3, watches: 0, watchers: [] });
});

test('does not say how one ended that is there again, nor longer than history reaches', async () => {
  await using daemon = await startDaemon({ history: 3 });
  const peer = daemon.connect();
  await peer.ask(BOUND);
  await peer.ask({ type: 'destruction', key: 'web', instance: 'i' });
  await peer.ask(BOUND);
  expect(await explain(peer)).not.toHaveProperty('ended');
  await peer.ask({ type: 'destruction', key: 'web', instance: 'i' });
  expect(await explain(peer)).toHaveProperty('ended');
  for (let n = 0; n < 3; n += 1) await peer.ask({ type: 'register', key: `s${n}`, values: 0 });
  expect(await explain(peer)).not.toHaveProperty('ended');
});

test('says who watches', async () => {
  await using daemon = await startDaemon();
  const [peer, watcher] = [daemon.connect(), daemon.connect()];
  for (const what of [{ key: 'web' }, { prefix: 'we' }, { key: 'all' }, { key: 'other' }]) {
    watcher.send({ type: 'watch', ...what });
  }
  await settle();
  expect(await explain(peer)).toMatchObject({ watches: 3, watchers: ['local'] });
});

test('does not tell of what is not durable yet', async () => {
  const log = new HeldLog();
  await using daemon = await startDaemon({ log });
  const [peer, reader] = [daemon.connect(), daemon.connect()];
  peer.send(BOUND);
  await settle();
  reader.send({ type: 'explain', key: 'web', instance: 'i' });
  await settle();
  expect(reader.waiting).toBe(0);
  log.commit();
  expect(await reader.receive()).toMatchObject({ revision: 1, service: { generation: 1 } });
});
