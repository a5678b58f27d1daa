import { describe, expect, test } from 'vitest';
import { FakeDaemon, failure, later, outcome, settle } from './fake-daemon.js';

const found = (revision: number) => ({ revision, services: [] });

test('a refusal carries the daemon’s code and words, and the connection stays', async () => {
  const daemon = new FakeDaemon();
  const client = daemon.client();
  const query = later(client.query('a/b'));
  await settle();
  daemon.last.refuse('invalid_name', 'no "/" please');
  const error = await failure(query);
  expect(error).toMatchObject({ name: 'ReplyError', code: 'invalid_name', message: 'no "/" please', retryable: false });
  const ping = client.ping();
  await settle();
  daemon.last.reply({});
  await ping;
  expect(daemon.dials).toBe(1);
});

test('a refusal over a bound says which, and when to ask again', async () => {
  const daemon = new FakeDaemon();
  const query = later(daemon.client().query('a'));
  await settle();
  const error = { code: 'over_limit', message: 'too fast', limit: 'maxRequestsPerSecond', retryAfter: 0.5 };
  daemon.last.raw(`${JSON.stringify({ ok: false, error })}\r\n`);
  expect(await failure(query)).toMatchObject({ ...error, retryable: true });
});

test('a code that is not known is bad_reply, with the daemon’s own words kept', async () => {
  const daemon = new FakeDaemon();
  const query = later(daemon.client().query('a'));
  await settle();
  daemon.last.refuse('out_of_cheese', 'redo from start');
  expect(await failure(query)).toMatchObject({
    code: 'bad_reply',
    daemonCode: 'out_of_cheese',
    message: 'the daemon answered "out_of_cheese": redo from start',
  });
  expect(daemon.last.closed).toBe(false);
});

describe('a line that no registry sends', () => {
  test.each([
    ['not JSON', 'HTTP/1.1 400 Bad Request\r\n'],
    ['not an object', '[1,2]\r\n'],
    ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d, 0x0a])],
    ['of another form', '{"ok":true,"removed":1,"left":0}\r\n'],
    ['of wrong types', '{"ok":true,"revision":"1","services":[]}\r\n'],
  ])('fails the request that it answers, and drops the connection: %s', async (_, bytes) => {
    const daemon = new FakeDaemon();
    const client = daemon.client();
    const first = later(client.query('a'));
    const second = client.query('b');
    await settle();
    daemon.last.raw(bytes);
    expect(await failure(first)).toMatchObject({ code: 'bad_reply', retryable: false });
    await settle();
    expect(daemon.last.closed).toBe(true);
    await daemon.pass(50);
    expect(daemon.last.requests).toEqual([{ type: 'query', key: 'b' }]);
    daemon.last.reply(found(2));
    expect(await second).toEqual(found(2));
  });

  test('as a reply that nothing asked for, drops the connection', async () => {
    const daemon = new FakeDaemon();
    const client = daemon.client();
    const errors: Error[] = [];
    client.on('disconnect', ({ error }) => errors.push(error));
    const ping = client.ping();
    await settle();
    daemon.last.reply({}, {});
    await ping;
    await settle();
    expect(errors).toMatchObject([{ code: 'bad_reply' }]);
    expect(daemon.last.closed).toBe(true);
  });
});

test('a field named __proto__ in a reply is a field', async () => {
  const daemon = new FakeDaemon();
  const query = later(daemon.client().query('a'));
  await settle();
  daemon.last.raw('{"ok":true,"revision":1,"services":[],"__proto__":{"polluted":true}}\r\n');
  const reply = await query;
  expect('polluted' in reply).toBe(false);
});

test('an error without a code is a bad reply', async () => {
  const daemon = new FakeDaemon();
  const query = later(daemon.client().query('a'));
  await settle();
  daemon.last.raw('{"ok":false,"error":"no"}\r\n');
  expect(await outcome(query)).toBe('bad_reply');
});

describe('an event', () => {
  test.each([
    ['of an unknown type', '{"type":"news","watch":"x"}'],
    ['without a type', '{"watch":1}'],
    ['of a watch that nobody has', '{"type":"reset","watch":7,"reason":"epoch"}'],
    ['with more than is known', '{"type":"progress","revision":1,"mood":"good"}'],
    [
      'of an instance',
      '{"type":"change","watch":1,"revision":2,"at":3,"change":"expired","service":{"key":"a","generation":1}}',
    ],
  ])('%s is no reply, and disturbs none', async (_, line) => {
    const daemon = new FakeDaemon();
    const query = later(daemon.client().query('a'));
    await settle();
    daemon.last.raw(`${line}\r\n${JSON.stringify({ ok: true, ...found(3) })}\r\n`);
    expect(await query).toEqual(found(3));
  });

  test.each([
    ['{"type":"reset","watch":"1","reason":"epoch"}'],
    ['{"type":"state","watch":1,"services":[{"values":1}]}'],
    ['{"type":"synced","watch":1,"revision":1}'],
    ['{"type":"change","watch":1,"revision":2,"at":3,"change":"registered"}'],
    ['{"type":"progress"}'],
  ])('that is not of its form drops the connection: %s', async (line) => {
    const daemon = new FakeDaemon();
    const client = daemon.client();
    const errors: Error[] = [];
    client.on('disconnect', ({ error }) => errors.push(error));
    const ping = later(client.ping());
    await settle();
    daemon.last.raw(`${line}\r\n`);
    expect(await outcome(ping)).toBe('bad_reply');
    expect(errors).toMatchObject([{ code: 'bad_reply' }]);
  });
});
