import { describe, expect, it } from 'vitest';
import { decodeRequest, encodeRequest } from '../src/codec.js';
import { DEFAULT_LIMITS, MAX_TIMEOUT } from '../src/limits.js';
import { STATUSES, UNNAMED, UNOWNED } from '../src/messages.js';
import type { RegisterRequest, Selector } from '../src/requests.js';

/** What a register says that says nothing of how it lives and whose it is. */
const PLAIN = {
  status: 'passing',
  linger: Number.POSITIVE_INFINITY,
  owner: UNOWNED,
  generation: 0,
  takeover: false,
};
const ANYONE: Selector = { status: undefined, tags: [], meta: [] };

function decode(text: string): ReturnType<typeof decodeRequest> {
  return decodeRequest(Buffer.from(text), DEFAULT_LIMITS);
}

function register(fields: string): RegisterRequest {
  const request = decode(`{"type":"register","key":"redis",${fields}}`);
  if (request.type !== 'register') throw new Error(`decoded as ${request.type}`);
  return request;
}

describe('the requests of the article', () => {
  it('are taken as they stand', () => {
    expect(decode('{"type":"register","key":"redis","values":"123456@127.0.0.1:6379","timeout":"30"}')).toStrictEqual({
      type: 'register',
      id: undefined,
      key: 'redis',
      instance: UNNAMED,
      ttl: 30_000,
      body: '"values":"123456@127.0.0.1:6379","timeout":30',
      ...PLAIN,
    });
    const whole = { instance: undefined, detail: false, limit: Number.POSITIVE_INFINITY, after: 0, selector: ANYONE };
    const query = { type: 'query', id: undefined, ...whole };
    expect(decode('{"type":"query","key":"redis"}')).toStrictEqual({ ...query, key: 'redis' });
    expect(decode('{"type":"query","key":"all"}')).toStrictEqual({ ...query, key: 'all' });
    expect(decode('{"type":"destruction","key":"redis"}')).toStrictEqual({
      type: 'destruction',
      id: undefined,
      key: 'redis',
      instance: UNNAMED,
      owner: UNOWNED,
    });
  });
});

describe('every field', () => {
  it('is taken into a register', () => {
    const { instance, id, ttl, body } = register(
      '"instance":"a","id":"7","values":{"port":6379},"timeout":0.5,"tags":["b","a"],"meta":{"zone":"eu"},"weight":0',
    );
    expect({ instance, id, ttl }).toEqual({ instance: 'a', id: '7', ttl: 500 });
    expect(body).toBe('"values":{"port":6379},"timeout":0.5,"tags":["b","a"],"meta":{"zone":"eu"},"weight":0');
  });

  it('is taken into a query', () => {
    const page = '"key":"redis","instance":"a","detail":true,"limit":1,"after":2';
    const selector = '"status":"any","tags":["b","a"],"meta":{"zone":"eu","__proto__":"x"}';
    expect(decode(`{"id":7,"type":"query",${page},${selector}}`)).toEqual({
      type: 'query',
      id: 7,
      key: 'redis',
      instance: 'a',
      detail: true,
      limit: 1,
      after: 2,
      selector: {
        status: 'any',
        tags: ['b', 'a'],
        meta: [
          ['zone', 'eu'],
          ['__proto__', 'x'],
        ],
      },
    });
  });

  it.each(STATUSES)('is taken into a query for those that are %s', (status) => {
    expect(decode(`{"type":"query","key":"all","status":"${status}"}`)).toMatchObject({ selector: { status } });
  });

  it('of how an instance lives, and whose it is, is taken into a register', () => {
    const claim = '"owner":"secret","generation":7';
    expect(register(`"values":1,"status":"draining","linger":"2.5",${claim}`)).toMatchObject({
      body: '"values":1,"timeout":30',
      status: 'draining',
      linger: 2500,
      owner: 'secret',
      generation: 7,
      takeover: false,
    });
    expect(register('"values":1,"linger":0,"takeover":true')).toMatchObject({ linger: 0, takeover: true });
  });

  it('is taken into a watch', () => {
    const watch = (fields: string) => decode(`{"type":"watch","id":1,${fields}}`);
    const bare = { type: 'watch', id: 1, from: undefined, ack: false };
    expect(watch('"key":"redis"')).toStrictEqual({ ...bare, scope: { service: 'redis' } });
    expect(watch('"key":"all","ack":true')).toStrictEqual({ ...bare, scope: { prefix: '' }, ack: true });
    expect(watch('"prefix":"red"')).toStrictEqual({ ...bare, scope: { prefix: 'red' } });
    expect(watch('"prefix":"all"')).toStrictEqual({ ...bare, scope: { prefix: 'all' } });
    expect(watch('"key":"redis","epoch":"e","after":0')).toStrictEqual({
      ...bare,
      scope: { service: 'redis' },
      from: { epoch: 'e', revision: 0 },
    });
  });

  it('is taken into what else there is', () => {
    const requests = [
      { type: 'heartbeat', id: 1 },
      { type: 'unwatch', id: 1, watch: 2 },
      { type: 'ack', id: 1, watch: 2, revision: 3 },
      { type: 'acks', id: 1, key: 'redis', revision: 0 },
      { type: 'explain', id: 1, key: 'redis', instance: 'a' },
      { type: 'status', id: 1 },
    ];
    for (const request of requests) expect(decode(JSON.stringify(request))).toStrictEqual(request);
    expect(decode('{"type":"explain","key":"redis"}')).toHaveProperty('instance', UNNAMED);
  });

  it('is taken into a destruction, with "*" for every instance', () => {
    const instanceOf = (instance: string) => decode(`{"type":"destruction","key":"redis","instance":${instance}}`);
    expect(instanceOf('"a"')).toHaveProperty('instance', 'a');
    expect(instanceOf('"*"')).toHaveProperty('instance', '*');
    expect(instanceOf('"*","owner":"secret"')).toHaveProperty('owner', 'secret');
  });

  it('may come in any order, with blanks between, and with fields that nobody knows', () => {
    const text = '\t{ "later":[{}], "id" : 1 ,"key":"ignored" , "type":"ping","values":null } ';
    expect(decode(text)).toStrictEqual({ type: 'ping', id: 1 });
  });

  it('counts as it was said last', () => {
    expect(decode('{"type":"ping","id":1,"type":"hello","id":2}')).toStrictEqual({ type: 'hello', id: 2 });
  });
});

describe('null', () => {
  it('in an optional field is the same as no field', () => {
    const bare = register('"values":1');
    expect(
      register('"values":1,"instance":null,"id":null,"timeout":null,"tags":null,"meta":null,"weight":null'),
    ).toStrictEqual(bare);
    const ownNothing = '"status":null,"linger":null,"owner":null,"generation":null,"takeover":null';
    expect(register(`"values":1,${ownNothing}`)).toStrictEqual(bare);
    expect(bare.ttl).toBe(30_000);
    expect(decode('{"type":"query","key":"all","status":null,"tags":null,"meta":null}')).toStrictEqual(
      decode('{"type":"query","key":"all"}'),
    );
    expect(decode('{"type":"watch","key":null,"prefix":"a","epoch":null,"after":null,"ack":null}')).toStrictEqual(
      decode('{"type":"watch","prefix":"a"}'),
    );
    expect(
      decode('{"type":"query","key":"all","instance":null,"id":null,"detail":null,"limit":null,"after":null}'),
    ).toStrictEqual(decode('{"type":"query","key":"all"}'));
    expect(decode('{"type":"destruction","key":"redis","instance":null,"owner":null}')).toStrictEqual(
      decode('{"type":"destruction","key":"redis"}'),
    );
  });

  it('is a value like any other', () => {
    expect(register('"values":null').body).toBe('"values":null,"timeout":30');
  });
});

describe('an id', () => {
  it.each([
    ['0', 0],
    ['-7', -7],
    ['1e3', 1000],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['""', ''],
    ['"7"', '7'],
    ['"__proto__"', '__proto__'],
    [`"${'x'.repeat(64)}"`, 'x'.repeat(64)],
    [`"${'\u00e4'.repeat(32)}"`, '\u00e4'.repeat(32)],
  ])('may be %s', (text, id) => {
    expect(decode(`{"type":"ping","id":${text}}`)).toStrictEqual({ type: 'ping', id });
  });
});

describe('a value', () => {
  it.each([
    '"123456@127.0.0.1:6379"',
    '""',
    'null',
    'false',
    '0',
    '-1.5e-7',
    '[]',
    '{}',
    '[1,[2,[3,{"a":[]}]]]',
    '{"__proto__":{"admin":true},"constructor":{"prototype":1}}',
    '{"toJSON":"text","length":-1}',
    '"\\u0000\\u001f\u007f\\\\\\""',
    '"\\ud800 alone"',
    '"\u670d\u52a1 \u{1f600}"',
    '{"":{"":""}}',
  ])('%s comes back as it was sent', (values) => {
    const parsed: unknown = JSON.parse(`{${register(`"values":${values}`).body}}`);
    expect(JSON.stringify(parsed)).toBe(JSON.stringify({ values: JSON.parse(values), timeout: 30 }));
  });

  it('does not reach any prototype', () => {
    register('"values":{"__proto__":{"polluted":1}},"meta":{"__proto__":"2"},"__proto__":{"instance":"a"}');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    expect(register('"values":1,"__proto__":{"instance":"a"}').instance).toBe(UNNAMED);
  });
});

describe('the body of a registration', () => {
  it('is the same for what is the same', () => {
    const { body } = register('"values":[1,"a"],"timeout":"30","weight":1');
    expect(register('"weight":1.0,"values":[ 1.0, "\\u0061" ],"id":5').body).toBe(body);
    expect(register('"values":[1,"a"],"timeout":30.0,"weight":1,"instance":"other"').body).toBe(body);
    const life = '"status":"draining","linger":1,"owner":"secret","takeover":true';
    expect(register(`"values":[1,"a"],"weight":1,${life}`).body).toBe(body);
  });

  it.each([
    '"values":2',
    '"values":1,"timeout":31',
    '"values":1,"tags":[]',
    '"values":1,"meta":{}',
    '"values":1,"weight":1',
  ])('differs where another register would change something: %s', (fields) => {
    expect(register(fields).body).not.toBe(register('"values":1').body);
  });
});

describe('a request that a client encodes', () => {
  it('is decoded as what it was', () => {
    const message = { key: 'redis', instance: 'a', values: { port: 6379 }, timeout: MAX_TIMEOUT, id: 1 };
    const line = encodeRequest('register', message);
    expect(line.endsWith('}\r\n')).toBe(true);
    expect(decode(line.trimEnd())).toStrictEqual({
      type: 'register',
      id: 1,
      key: 'redis',
      instance: 'a',
      ttl: MAX_TIMEOUT * 1000,
      body: `"values":{"port":6379},"timeout":${MAX_TIMEOUT}`,
      ...PLAIN,
    });
  });

  it('is one line, whatever it holds', () => {
    const line = encodeRequest('register', { key: 'redis', values: 'a\r\nb\u2028c' });
    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(line.indexOf('\r')).toBe(line.length - 2);
  });
});
