import { expect, test } from 'vitest';
import { startDaemon } from './harness.js';

test("the article's session is answered, one line for each", async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  expect(
    await peer.ask('{"type":"register","key":"redis","values":"123456@127.0.0.1:6379","timeout":"30"}\r\n'),
  ).toMatchObject({ ok: true, result: 'registered', revision: 1, generation: 1 });
  expect(await peer.ask('{"type":"query","key":"redis"}\r\n')).toMatchObject({
    ok: true,
    services: [{ key: 'redis', values: '123456@127.0.0.1:6379', timeout: 30 }],
  });
  expect(await peer.ask('{"type":"query","key":"all"}\r\n')).toMatchObject({ ok: true, services: [{ key: 'redis' }] });
  expect(await peer.ask('{"type":"destruction","key":"redis"}\r\n')).toMatchObject({ ok: true, removed: 1, left: 0 });
  expect(await peer.ask('{"type":"query","key":"redis"}\r\n')).toMatchObject({ ok: true, services: [] });
  expect(await peer.ask('{"type":"destruction","key":"redis"}\r\n')).toMatchObject({ ok: true, removed: 0 });
});

test('a service that is not renewed is gone after its timeout, one without a timeout after 30 s', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ type: 'register', key: 'redis2', values: 'x', timeout: '5' });
  await peer.ask({ type: 'register', key: 'mysql', values: 'y' });
  daemon.clock.advance(5000);
  expect(await peer.ask({ type: 'query', key: 'all' })).toMatchObject({ services: [{ key: 'mysql', timeout: 30 }] });
  daemon.clock.advance(24_999);
  expect((await peer.ask({ type: 'query', key: 'mysql' }))['services']).toHaveLength(1);
  daemon.clock.advance(1);
  expect((await peer.ask({ type: 'query', key: 'mysql' }))['services']).toEqual([]);
});

test('registering again renews, and updates what is other', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  const first = await peer.ask({ type: 'register', key: 'a', values: 'x', timeout: 10 });
  daemon.clock.advance(9000);
  expect(await peer.ask({ type: 'register', key: 'a', values: 'x', timeout: 10 })).toEqual({
    ...first,
    result: 'renewed',
  });
  daemon.clock.advance(9000);
  const updated = await peer.ask({ type: 'register', key: 'a', values: 'y', timeout: 10 });
  expect(updated).toEqual({ ...first, result: 'updated', revision: 2 });
  daemon.clock.advance(9000);
  expect((await peer.ask({ type: 'query', key: 'a', detail: true }))['services']).toEqual([
    { key: 'a', values: 'y', timeout: 10, revision: 2, generation: 1, registered: first['registered'], left: 1 },
  ]);
});

test('after its expiry a service that comes back is another generation', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ type: 'register', key: 'a', values: 'x', timeout: 1 });
  daemon.clock.advance(2000);
  expect(await peer.ask({ type: 'register', key: 'a', values: 'x', timeout: 1 })).toMatchObject({
    result: 'registered',
    revision: 3,
    generation: 3,
  });
});

test('instances of a service live beside each other, and beside the unnamed one', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ type: 'register', key: 'a', values: 0 });
  await peer.ask({
    type: 'register',
    key: 'a',
    instance: 'i-1',
    values: 1,
    tags: ['x'],
    meta: { zone: 'b' },
    weight: 3,
  });
  await peer.ask({ type: 'register', key: 'a', instance: 'i-2', values: { host: 'h', port: 1 } });
  const { services } = await peer.ask({ type: 'query', key: 'a' });
  expect(services).toMatchObject([
    { key: 'a', values: 0 },
    { instance: 'i-1', values: 1, tags: ['x'], meta: { zone: 'b' }, weight: 3 },
    { instance: 'i-2', values: { host: 'h', port: 1 } },
  ]);
  expect((services as object[])[0]).not.toHaveProperty('instance');
  expect(await peer.ask({ type: 'query', key: 'a', instance: 'i-2' })).toMatchObject({
    services: [{ instance: 'i-2' }],
  });
  expect(await peer.ask({ type: 'destruction', key: 'a' })).toMatchObject({ removed: 1, left: 2 });
  expect(await peer.ask({ type: 'destruction', key: 'a', instance: 'i-1' })).toMatchObject({ removed: 1, left: 1 });
  await peer.ask({ type: 'register', key: 'a', instance: 'i-3', values: 3 });
  expect(await peer.ask({ type: 'destruction', key: 'a', instance: '*' })).toMatchObject({ removed: 2, left: 0 });
  expect(await peer.ask({ type: 'query', key: 'all' })).toMatchObject({ services: [] });
});

test('"never" holds until it is destroyed', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ type: 'register', key: 'a', values: 'x', timeout: 'never' });
  daemon.clock.advance(3_600_000);
  expect((await peer.ask({ type: 'query', key: 'a', detail: true }))['services']).toMatchObject([
    { timeout: 'never', left: 'never' },
  ]);
  expect(await peer.ask({ type: 'destruction', key: 'a' })).toMatchObject({ removed: 1 });
});

test('hello tells the epoch, the log and the limits, and nothing of the configuration', async () => {
  await using daemon = await startDaemon();
  const reply = await daemon.connect().ask({ type: 'hello', id: 'h' });
  expect(Object.keys(reply)).toEqual([
    'ok',
    'id',
    'server',
    'version',
    'protocol',
    'authentication',
    'epoch',
    'revision',
    'log',
    'durability',
    'limits',
  ]);
  expect(reply).toMatchObject({ id: 'h', server: 'reg', protocol: 1, log: 'memory', durability: 'none' });
  expect(Object.keys(reply['limits'] as object).every((name) => name.startsWith('max'))).toBe(true);
});
