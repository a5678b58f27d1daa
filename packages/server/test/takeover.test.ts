import { expect, test } from 'vitest';
import { changesAfter } from './changes.js';
import { startDaemon } from './harness.js';
import { settle } from './settle.js';

const NAME = { type: 'register', key: 'db', instance: 'main', timeout: 10 };

test('a takeover is one change, by which the name is never free', async () => {
  await using daemon = await startDaemon();
  const [old, young] = [daemon.connect(), daemon.connect()];
  await old.ask({ ...NAME, values: 'old', owner: 'a' });
  const reply = await young.ask({ ...NAME, values: 'young', owner: 'b', takeover: true });
  expect(reply).toMatchObject({ result: 'registered', revision: 2, generation: 2 });
  expect(changesAfter(daemon.server.registry.history, 1)).toMatchObject([
    { kind: 'register', revision: 2, generation: 2 },
  ]);
  expect(await young.ask({ type: 'query', key: 'db' })).toMatchObject({
    services: [{ instance: 'main', values: 'young', generation: 2 }],
  });
  expect(daemon.server.registry.size).toBe(1);
});

test('the loser is told with its next heartbeat, once, and holds nothing any more', async () => {
  await using daemon = await startDaemon();
  const [old, young] = [daemon.connect(), daemon.connect()];
  await old.ask({ ...NAME, values: 1, owner: 'a' });
  await young.ask({ ...NAME, values: 1, owner: 'b', takeover: true });
  expect(await old.ask({ type: 'heartbeat' })).toMatchObject({
    held: 0,
    ended: [{ key: 'db', instance: 'main', generation: 1, reason: 'superseded' }],
  });
  expect(await old.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 0 });
  expect(await young.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 1 });
});

test('neither the end of the connection nor a destruction of the loser touches its successor', async () => {
  await using daemon = await startDaemon();
  const [old, young] = [daemon.connect(), daemon.connect()];
  await old.ask({ ...NAME, values: 1, owner: 'a', linger: 0 });
  await young.ask({ ...NAME, values: 1, owner: 'b', takeover: true, linger: 0 });
  expect(await old.ask({ type: 'destruction', key: 'db', instance: 'main', owner: 'a' })).toMatchObject({ removed: 0 });
  old.hangUp();
  await settle();
  daemon.clock.advance(5000);
  expect((await young.ask({ type: 'query', key: 'db' }))['services']).toMatchObject([{ generation: 2, linger: 0 }]);
  expect(daemon.server.registry.revision).toBe(2);
});

test('a zombie that comes back cannot take back what it has lost, however often it tries', async () => {
  await using daemon = await startDaemon();
  const zombie = daemon.connect();
  await zombie.ask({ ...NAME, values: 1, owner: 'a', linger: 2 });
  zombie.hangUp();
  await settle();
  await daemon.connect().ask({ ...NAME, values: 2, owner: 'b' });
  const back = daemon.connect();
  for (let attempt = 0; attempt < 3; attempt += 1) {
    expect(await back.ask({ ...NAME, values: 1, owner: 'a', generation: 1 })).toMatchObject({
      ok: false,
      error: { code: 'superseded' },
    });
    expect(await back.ask({ ...NAME, values: 1, owner: 'a' })).toMatchObject({ error: { code: 'owned' } });
  }
  expect(daemon.server.registry.find('db', 'main')?.owner).toBe('b');
});

test('a takeover over the same connection tells it what it has lost, and what it holds', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ ...NAME, values: 1, owner: 'a' });
  await peer.ask({ ...NAME, values: 1, owner: 'b', takeover: true });
  expect(await peer.ask({ type: 'heartbeat' })).toMatchObject({
    held: 1,
    ended: [{ generation: 1, reason: 'superseded' }],
  });
});
