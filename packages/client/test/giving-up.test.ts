import { getEventListeners } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FakeDaemon, failure, later, outcome, settle } from './fake-daemon.js';

const found = (revision: number) => ({ revision, services: [] });

async function connected(options = {}) {
  const daemon = new FakeDaemon();
  const client = daemon.client(options);
  const ping = client.ping();
  await settle();
  daemon.last.reply({});
  await ping;
  return { daemon, client };
}

describe('a request that times out', () => {
  test('rejects after requestTimeout, not before', async () => {
    const { daemon, client } = await connected({ requestTimeout: 1000 });
    const query = later(client.query('a'));
    await daemon.pass(999);
    expect(await outcome(query)).toBe('pending');
    await daemon.pass(1);
    expect(await failure(query)).toMatchObject({ name: 'TimeoutError', code: 'timed_out', retryable: true });
  });

  test('says why the connection before ended, where no daemon has answered since', async () => {
    const { daemon, client } = await connected({ requestTimeout: 1000 });
    const query = later(client.query('a'));
    await settle();
    daemon.last.close();
    await daemon.pass(1000);
    expect(daemon.dials).toBe(2);
    expect(await failure(query)).toMatchObject({
      message: expect.stringMatching(/^no reply within 1000 ms, and the connection before ended: ./),
      cause: expect.any(Error),
    });
  });

  test('leaves its place in the order: the late reply is swallowed', async () => {
    const { daemon, client } = await connected();
    const early = later(client.query('a', { timeout: 100 }));
    const late = client.query('b');
    await daemon.pass(100);
    expect(await outcome(early)).toBe('timed_out');
    daemon.last.reply(found(1), found(2));
    expect(await late).toEqual(found(2));
    expect(daemon.dials).toBe(1);
  });

  test('still counts against maxQueue until its reply is in', async () => {
    const { daemon, client } = await connected({ maxQueue: 1 });
    later(client.query('a', { timeout: 100 }));
    await daemon.pass(100);
    expect(await outcome(client.ping())).toBe('queue_full');
    daemon.last.reply(found(1));
    await settle();
    expect(await outcome(client.ping())).toBe('pending');
  });
});

test.each([
  ['times out', { timeout: 1000 }, 'connect_failed'],
  ['is aborted', {}, 'aborted'],
])('an attempt to connect ends with the last request that wants it: one that %s', async (_, options, code) => {
  const daemon = new FakeDaemon();
  daemon.mode = 'slow';
  const client = daemon.client();
  const told: string[] = [];
  client.on('retry', () => told.push('retry'));
  client.on('disconnect', () => told.push('disconnect'));
  const first = new AbortController();
  const second = new AbortController();
  const requests = [first, second].map(({ signal }) => later(client.query('a', { ...options, signal })));
  await settle();
  first.abort();
  await settle();
  expect(daemon.last.closed).toBe(false);
  if (code === 'aborted') second.abort();
  await daemon.pass(1000);
  expect(await Promise.all(requests.map(outcome))).toEqual(['aborted', code]);
  expect(daemon.last.closed).toBe(true);
  expect(daemon.clock.timers).toBe(0);
  expect(told).toEqual([]);
  daemon.mode = 'up';
  const next = client.query('b');
  await settle();
  daemon.last.reply(found(1));
  expect(await next).toEqual(found(1));
});

test('an attempt to connect ends with the registration that wants it', async () => {
  const daemon = new FakeDaemon();
  daemon.mode = 'slow';
  const abort = new AbortController();
  const registered = later(daemon.client().register('a', 1, { signal: abort.signal }));
  await settle();
  abort.abort();
  expect(await outcome(registered)).toBe('aborted');
  expect(daemon.last.closed).toBe(true);
  expect(daemon.clock.timers).toBe(0);
});

describe('a connection is taken for dead', () => {
  test('when a request times out and nothing was received since it was sent', async () => {
    const { daemon, client } = await connected({ requestTimeout: 1000 });
    const errors: Error[] = [];
    client.on('disconnect', ({ error }) => errors.push(error));
    const query = later(client.query('a'));
    const register = later(client.request('register', { key: 'b', values: 1 }, { timeout: 3000 }));
    await daemon.pass(1000);
    expect(await outcome(query)).toBe('timed_out');
    expect(await outcome(register)).toBe('connection_lost');
    expect(errors).toMatchObject([{ code: 'timed_out' }]);
    await daemon.pass(100);
    const next = client.query('c');
    await daemon.pass(100);
    daemon.last.reply(found(2));
    expect(await next).toEqual(found(2));
    expect(daemon.dials).toBe(2);
  });

  test('but not when anything came in the meantime', async () => {
    const { daemon, client } = await connected({ requestTimeout: 1000 });
    const query = later(client.query('a'));
    await daemon.pass(500);
    daemon.last.raw('{"type":"news"}\r\n');
    await daemon.pass(500);
    expect(await outcome(query)).toBe('timed_out');
    expect(daemon.last.closed).toBe(false);
  });

  test('and not because one caller was in a hurry', async () => {
    const { daemon, client } = await connected({ requestTimeout: 1000 });
    const hasty = later(client.query('a', { timeout: 10 }));
    await daemon.pass(10);
    expect(await outcome(hasty)).toBe('timed_out');
    expect(daemon.last.closed).toBe(false);
  });
});

test('a request that was answered leaves no timer and no listener behind', async () => {
  const { daemon, client } = await connected();
  const abort = new AbortController();
  const query = client.query('a', { signal: abort.signal });
  await settle();
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(1);
  daemon.last.reply(found(1));
  await query;
  expect(daemon.clock.timers).toBe(0);
  expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
});

describe('a request that is aborted', () => {
  test('beforehand is never queued', async () => {
    const { daemon, client } = await connected();
    const before = daemon.requests.length;
    const error = await failure(client.query('a', { signal: AbortSignal.abort('enough') }));
    expect(error).toMatchObject({ name: 'AbortError', code: 'aborted', cause: 'enough', retryable: false });
    await settle();
    expect(daemon.requests.length).toBe(before);
  });

  test('beforehand dials nobody', async () => {
    const daemon = new FakeDaemon();
    expect(await outcome(daemon.client().query('a', { signal: AbortSignal.abort() }))).toBe('aborted');
    expect(daemon.dials).toBe(0);
  });

  test('with many others by one signal is no leak to warn of', async () => {
    const warnings: string[] = [];
    const listen = ({ name }: Error) => warnings.push(name);
    process.on('warning', listen);
    onTestFinished(() => void process.off('warning', listen));
    const { client } = await connected();
    const abort = new AbortController();
    const requests = Array.from({ length: 20 }, () => later(client.query('a', { signal: abort.signal })));
    await settle();
    abort.abort();
    expect(new Set(await Promise.all(requests.map(outcome)))).toEqual(new Set(['aborted']));
    expect(warnings).toEqual([]);
  });

  test('before it is sent is dropped from the queue', async () => {
    const { daemon, client } = await connected();
    const abort = new AbortController();
    const aborted = later(client.query('a', { signal: abort.signal }));
    const kept = client.query('b');
    abort.abort();
    expect(await outcome(aborted)).toBe('aborted');
    expect(daemon.words()).toEqual(['ping', 'query b']);
    daemon.last.reply(found(2));
    expect(await kept).toEqual(found(2));
  });

  test('after it was sent has its reply swallowed', async () => {
    const { daemon, client } = await connected();
    const abort = new AbortController();
    const aborted = later(client.query('a', { signal: abort.signal }));
    const kept = client.query('b');
    await settle();
    abort.abort(new Error('no more'));
    expect(await outcome(aborted)).toBe('aborted');
    daemon.last.reply(found(1), found(2));
    expect(await kept).toEqual(found(2));
  });

  test('is not sent again on the next connection', async () => {
    const { daemon, client } = await connected();
    const abort = new AbortController();
    const aborted = later(client.query('a', { signal: abort.signal }));
    const kept = client.query('b');
    await settle();
    abort.abort();
    daemon.last.close();
    await daemon.pass(100);
    expect(daemon.last.requests).toEqual([{ type: 'query', key: 'b' }]);
    daemon.last.reply(found(2));
    expect(await kept).toEqual(found(2));
    expect(await outcome(aborted)).toBe('aborted');
  });

  test('leaves no timer and no listener behind', async () => {
    const { daemon, client } = await connected();
    const abort = new AbortController();
    const aborted = later(client.query('a', { signal: abort.signal }));
    expect(daemon.clock.timers).toBe(1);
    abort.abort();
    expect(await outcome(aborted)).toBe('aborted');
    expect(daemon.clock.timers).toBe(0);
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  });
});
