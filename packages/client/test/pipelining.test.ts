import { expect, test } from 'vitest';
import { connect } from '../src/index.js';
import { FakeDaemon, FakeRegistry, failure, later, outcome, settle } from './fake-daemon.js';

const found = (revision: number) => ({ revision, services: [] });

test('nobody is dialled before the first request', async () => {
  const daemon = new FakeDaemon();
  const client = daemon.client();
  await settle();
  expect(daemon.dials).toBe(0);
  later(client.ping());
  await settle();
  expect(daemon.dials).toBe(1);
});

test('requests of one turn leave in one write, in order, over one connection', async () => {
  const daemon = new FakeDaemon();
  const client = daemon.client();
  const replies = [client.query('a'), client.destroy('b', { instance: '1' }), client.query('c', { limit: 2 })];
  await settle();
  expect(daemon.last.pieces).toEqual([3]);
  expect(daemon.words()).toEqual(['query a', 'destruction b 1', 'query c']);
  daemon.last.reply(found(1), { removed: 1, left: 0 }, found(3));
  expect(await Promise.all(replies)).toEqual([found(1), { removed: 1, left: 0 }, found(3)]);
  expect(daemon.dials).toBe(1);
});

test('requests that replies give rise to share a write too', async () => {
  const daemon = new FakeDaemon();
  const client = daemon.client();
  const chains = ['a', 'b', 'c'].map(async (key) => {
    await client.query(key);
    await client.query(`${key}2`);
  });
  await settle();
  daemon.last.reply(found(1), found(2), found(3));
  await settle();
  expect(daemon.last.pieces).toEqual([3, 3]);
  daemon.last.reply(found(4), found(5), found(6));
  await Promise.all(chains);
});

test('a request is written as the wire has it, without what is the client’s', async () => {
  const daemon = new FakeDaemon();
  daemon.script = new FakeRegistry().script;
  const client = daemon.client();
  await client.query('redis', {
    instance: 'a',
    detail: true,
    limit: 3,
    after: 7,
    timeout: 100,
    signal: AbortSignal.any([]),
  });
  await client.queryAll();
  await client.destroy('redis', { instance: '*', timeout: 100 });
  await client.ping();
  expect(daemon.requests).toEqual([
    { type: 'query', key: 'redis', instance: 'a', detail: true, limit: 3, after: 7 },
    { type: 'query', key: 'all' },
    { type: 'destruction', key: 'redis', instance: '*' },
    { type: 'ping' },
  ]);
});

test('replies may be split anywhere, joined, end in a bare LF, and have blank lines and events between them', async () => {
  const daemon = new FakeDaemon();
  const client = daemon.client();
  const replies = [client.query('a'), client.query('b'), client.query('c')];
  await settle();
  const record = { key: 'ä', values: 'ü€😀' };
  const bytes = Buffer.from(
    `{"ok":true,"revision":1,"services":[${JSON.stringify(record)}]}\r\n\r\n{"type":"news","ok":"no"}\n` +
      '{"ok":true,"id":9,"revision":2,"services":[]}\n{"ok":true,"revision":3,"services":[]}\r\n',
  );
  for (const byte of bytes) {
    daemon.last.raw(Buffer.of(byte));
    await settle();
  }
  expect(await Promise.all(replies)).toEqual([{ revision: 1, services: [record] }, found(2), found(3)]);
});

test('more requests than maxQueue are rejected until replies make room', async () => {
  const daemon = new FakeDaemon();
  const client = daemon.client({ maxQueue: 2 });
  const first = client.ping();
  const second = client.ping();
  const error = await failure(client.ping());
  expect(error).toMatchObject({ name: 'QueueFullError', code: 'queue_full', retryable: true });
  await settle();
  daemon.last.reply({});
  await first;
  const third = client.ping();
  expect(await outcome(client.ping())).toBe('queue_full');
  daemon.last.reply({}, {});
  await Promise.all([second, third]);
});

test('a daemon that stops reading is not flooded: what it does not take stays unsent', async () => {
  const daemon = new FakeDaemon();
  const client = daemon.client();
  await settle();
  const big = 'x'.repeat(40_000);
  const requests = Array.from({ length: 50 }, (_, i) => client.request('register', { key: `k${i}`, values: big }));
  for (const request of requests) later(request);
  daemon.script = () => {
    daemon.last.pause();
    return undefined;
  };
  await settle();
  const taken = daemon.last.requests.length;
  expect(taken).toBeGreaterThan(0);
  expect(taken).toBeLessThan(10);
  // Written is what the daemon may have seen; the unwritten ones go out on the next connection.
  daemon.script = () => ({ result: 'registered', revision: 1, generation: 1, registered: 1 });
  daemon.last.close();
  await daemon.pass(200);
  const words = await Promise.all(requests.map(outcome));
  const lost = words.filter((word) => word === 'connection_lost').length;
  expect(lost).toBeGreaterThanOrEqual(taken);
  expect(lost).toBeLessThan(10);
  expect(words.filter((word) => word === 'ok').length).toBe(50 - lost);
});

test('the stack of an error shows who asked', async () => {
  const daemon = new FakeDaemon();
  const client = daemon.client();
  async function theOneWhoAsked(): Promise<unknown> {
    return client.query('a');
  }
  const asked = later(theOneWhoAsked());
  await settle();
  daemon.last.refuse('invalid_name');
  const { stack } = await failure(asked);
  expect(stack).toMatch(/^ReplyError: because of invalid_name\n/);
  expect(stack).toContain('theOneWhoAsked');
});

test('what JSON cannot say is refused before it is sent', async () => {
  const daemon = new FakeDaemon();
  const loop: { self?: unknown } = {};
  loop.self = loop;
  const message: object = { key: 'a', values: loop };
  const error = await failure(daemon.client().request('ping', message));
  expect(error.code).toBe('bad_request');
  expect(error.cause).toBeInstanceOf(TypeError);
  expect(daemon.dials).toBe(0);
});

test.each([
  ['requestTimeout', { requestTimeout: 0 }],
  ['connectTimeout', { connectTimeout: 2 ** 31 }],
  ['maxQueue', { maxQueue: 0.5 }],
  ['reconnect.min', { reconnect: { min: Number.NaN } }],
  ['reconnect.min', { reconnect: { min: 10, max: 5 } }],
])('a bad %s is refused', (name, options) => {
  expect(() => new FakeDaemon().client(options)).toThrow(
    expect.objectContaining({ code: 'bad_config', message: expect.stringContaining(`"${name}"`) }),
  );
});

test.each([
  { host: '127.0.0.1', port: 70_000 },
  { host: '127.0.0.1', port: 0 },
  { host: '127.0.0.1', port: 1.5 },
  { host: '', port: 6734 },
])('a bad endpoint is refused: %j', (endpoint) => {
  expect(() => connect(endpoint)).toThrow(expect.objectContaining({ code: 'bad_endpoint' }));
});

test('a bad timeout of one request is refused', async () => {
  expect(await outcome(new FakeDaemon().client().ping({ timeout: -1 }))).toBe('bad_config');
});
