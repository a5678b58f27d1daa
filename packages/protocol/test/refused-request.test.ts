import { describe, expect, it } from 'vitest';
import { decodeRequest, RequestError } from '../src/codec.js';
import { DEFAULT_LIMITS, type Limits } from '../src/limits.js';

function refusalOf(line: string | Buffer, limits: Limits = DEFAULT_LIMITS): RequestError | undefined {
  try {
    decodeRequest(typeof line === 'string' ? Buffer.from(line) : line, limits);
    return undefined;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return error;
  }
}

function codeOf(line: string | Buffer, limits?: Limits): string | undefined {
  return refusalOf(line, limits)?.code;
}

const register = (fields: string) => `{"type":"register","key":"redis",${fields}}`;
const query = (fields: string) => `{"type":"query",${fields}}`;

describe('a line that is not JSON', () => {
  it.each([
    '',
    ' ',
    '{',
    '{"type":"ping"',
    '{"type":"ping"}}',
    '{"type":"ping"} {"type":"ping"}',
    "{'type':'ping'}",
    '{type:"ping"}',
    '{"type":"ping",}',
    '{"type":"ping"}\u0000',
    '\u0000',
    '\ufeff{"type":"ping"}',
    '{"type":"pi\u0000ng"}',
    '{"type":"ping","id":01}',
    '{"type":"ping","id":NaN}',
    '{"type":"ping","id":Infinity}',
    'GET / HTTP/1.1',
    '*1\r\n$4\r\nPING',
    '\u0016\u0003\u0001',
  ])('is bad_json: %j', (line) => {
    expect(codeOf(line)).toBe('bad_json');
  });

  it.each([
    ['a lone continuation byte', [0x80]],
    ['a character cut short', [0xe6, 0x9c]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a code point beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
    ['0xff', [0xff]],
  ])('is bad_json where its UTF-8 is not valid: %s', (_, bytes) => {
    const line = Buffer.concat([Buffer.from('{"type":"ping","id":"'), Buffer.from(bytes), Buffer.from('"}')]);
    expect(codeOf(line)).toBe('bad_json');
  });
});

describe('a line that is no request', () => {
  it.each(['null', 'true', '7', '"ping"', '[]', '[{"type":"ping"}]'])('is bad_request: %s', (line) => {
    expect(codeOf(line)).toBe('bad_request');
  });

  it.each([
    '{}',
    '{"type":null}',
    '{"type":7}',
    '{"type":["ping"]}',
    '{"Type":"ping"}',
    '{"__proto__":{"type":"ping"}}',
  ])('is bad_request where its type is missing or no string: %s', (line) => {
    expect(codeOf(line)).toBe('bad_request');
  });

  it.each(['', 'PING', 'ping ', 'destroy', 'constructor', '__proto__', 'toString', 'hasOwnProperty', '\u0000'])(
    'is unknown_type where its type is %j',
    (type) => {
      expect(codeOf(JSON.stringify({ type }))).toBe('unknown_type');
    },
  );
});

/** Every way in which one field can be wrong, with the code that says so. */
const WRONG_FIELDS: [code: string, line: string][] = [
  ['bad_request', '{"type":"ping","id":true}'],
  ['bad_request', '{"type":"ping","id":0.5}'],
  ['bad_request', '{"type":"ping","id":9007199254740992}'],
  ['bad_request', '{"type":"ping","id":1e999}'],
  ['bad_request', '{"type":"ping","id":[1]}'],
  ['bad_request', '{"type":"ping","id":{}}'],
  ['bad_request', `{"type":"ping","id":"${'x'.repeat(65)}"}`],
  ['bad_request', `{"type":"ping","id":"${'\u00e4'.repeat(33)}"}`],

  ['bad_request', '{"type":"register","values":1}'],
  ['bad_request', '{"type":"query"}'],
  ['bad_request', '{"type":"destruction"}'],
  ['invalid_name', query('"key":null')],
  ['invalid_name', query('"key":7')],
  ['invalid_name', query('"key":["all"]')],
  ['invalid_name', query('"key":""')],
  ['invalid_name', query('"key":"a/b"')],
  ['invalid_name', query('"key":"\\u0000"')],
  ['invalid_name', query('"key":"\\ud800"')],
  ['invalid_name', query(`"key":"${'x'.repeat(256)}"`)],
  ['reserved_name', query('"key":"*"')],
  ['reserved_name', '{"type":"register","key":"all","values":1}'],
  ['reserved_name', '{"type":"register","key":"*","values":1}'],
  ['reserved_name', '{"type":"destruction","key":"all"}'],
  ['reserved_name', '{"type":"destruction","key":"*"}'],

  ['invalid_name', register('"values":1,"instance":7')],
  ['invalid_name', register('"values":1,"instance":""')],
  ['reserved_name', register('"values":1,"instance":"*"')],
  ['reserved_name', register('"values":1,"instance":"all"')],
  ['invalid_name', query('"key":"redis","instance":false')],
  ['reserved_name', query('"key":"redis","instance":"*"')],
  ['bad_request', query('"key":"all","instance":"a"')],
  ['invalid_name', '{"type":"destruction","key":"redis","instance":["*"]}'],
  ['reserved_name', '{"type":"destruction","key":"redis","instance":"all"}'],

  ['bad_request', '{"type":"register","key":"redis"}'],
  ['bad_request', register('"values":1e999')],
  ['bad_request', register('"values":{"a":[0,-1e999]}')],
  ['invalid_timeout', register('"values":1,"timeout":0')],
  ['invalid_timeout', register('"values":1,"timeout":"1e3"')],
  ['invalid_timeout', register('"values":1,"timeout":1e999')],
  ['invalid_timeout', register('"values":1,"timeout":{}')],
  ['bad_request', register('"values":1,"tags":"a"')],
  ['bad_request', register('"values":1,"tags":{}')],
  ['bad_request', register('"values":1,"tags":["a",7]')],
  ['bad_request', register('"values":1,"tags":[null]')],
  ['bad_request', register('"values":1,"meta":"a"')],
  ['bad_request', register('"values":1,"meta":["a"]')],
  ['bad_request', register('"values":1,"meta":{"a":7}')],
  ['bad_request', register('"values":1,"meta":{"a":null}')],
  ['bad_request', register('"values":1,"meta":{"__proto__":7}')],
  ['bad_request', register('"values":1,"weight":-1')],
  ['bad_request', register('"values":1,"weight":0.5')],
  ['bad_request', register('"values":1,"weight":65536')],
  ['bad_request', register('"values":1,"weight":"1"')],

  ['bad_request', query('"key":"redis","detail":1')],
  ['bad_request', query('"key":"redis","detail":"true"')],
  ['bad_request', query('"key":"redis","limit":0')],
  ['bad_request', query('"key":"redis","limit":1.5')],
  ['bad_request', query('"key":"redis","limit":"10"')],
  ['bad_request', query('"key":"redis","limit":1e999')],
  ['bad_request', query('"key":"redis","after":-1')],
  ['bad_request', query('"key":"redis","after":9007199254740992')],
  ['bad_request', query('"key":"redis","after":[]')],
  ['bad_request', query('"key":"redis","status":"gone"')],
  ['bad_request', query('"key":"redis","status":["passing"]')],
  ['bad_request', query('"key":"redis","tags":"a"')],
  ['bad_request', query('"key":"redis","tags":[7]')],
  ['bad_request', query('"key":"redis","meta":["a"]')],
  ['bad_request', query('"key":"redis","meta":{"a":7}')],

  ['bad_request', register('"values":1,"status":"suspect"')],
  ['bad_request', register('"values":1,"status":"any"')],
  ['bad_request', register('"values":1,"status":7')],
  ['invalid_linger', register('"values":1,"linger":-1')],
  ['invalid_linger', register('"values":1,"linger":"never"')],
  ['invalid_linger', register('"values":1,"linger":"1e3"')],
  ['invalid_linger', register('"values":1,"linger":86400.1')],
  ['invalid_linger', register('"values":1,"linger":1e999')],
  ['invalid_linger', register('"values":1,"linger":{}')],
  ['bad_request', register('"values":1,"owner":""')],
  ['bad_request', register('"values":1,"owner":7')],
  ['bad_request', register('"values":1,"owner":"\\ud800"')],
  ['bad_request', register(`"values":1,"owner":"${'x'.repeat(65)}"`)],
  ['bad_request', register(`"values":1,"owner":"${'\u00e4'.repeat(33)}"`)],
  ['bad_request', register('"values":1,"generation":7')],
  ['bad_request', register('"values":1,"owner":"a","generation":0')],
  ['bad_request', register('"values":1,"owner":"a","generation":"7"')],
  ['bad_request', register('"values":1,"owner":"a","generation":7,"takeover":true')],
  ['bad_request', register('"values":1,"takeover":1')],
  ['bad_request', '{"type":"destruction","key":"redis","owner":""}'],
  ['bad_request', '{"type":"destruction","key":"redis","owner":7}'],

  ['bad_request', '{"type":"watch"}'],
  ['bad_request', '{"type":"watch","key":"redis","prefix":"r"}'],
  ['invalid_name', '{"type":"watch","key":""}'],
  ['invalid_name', '{"type":"watch","prefix":""}'],
  ['invalid_name', '{"type":"watch","prefix":"a/"}'],
  ['reserved_name', '{"type":"watch","key":"*"}'],
  ['bad_request', '{"type":"watch","key":"redis","epoch":"e"}'],
  ['bad_request', '{"type":"watch","key":"redis","after":1}'],
  ['bad_request', '{"type":"watch","key":"redis","epoch":7,"after":1}'],
  ['bad_request', '{"type":"watch","key":"redis","epoch":"e","after":-1}'],
  ['bad_request', '{"type":"watch","key":"redis","ack":"true"}'],
  ['bad_request', '{"type":"unwatch"}'],
  ['bad_request', '{"type":"unwatch","watch":0}'],
  ['bad_request', '{"type":"unwatch","watch":null}'],
  ['bad_request', '{"type":"ack","watch":1}'],
  ['bad_request', '{"type":"ack","revision":1}'],
  ['bad_request', '{"type":"ack","watch":1,"revision":-1}'],
  ['bad_request', '{"type":"acks","key":"redis"}'],
  ['reserved_name', '{"type":"acks","key":"all","revision":1}'],
  ['bad_request', '{"type":"explain"}'],
  ['reserved_name', '{"type":"explain","key":"all"}'],
  ['reserved_name', '{"type":"explain","key":"redis","instance":"*"}'],
];

describe('a field that is wrong', () => {
  it.each(WRONG_FIELDS)('is %s in %s', (code, line) => {
    expect(codeOf(line)).toBe(code);
  });
});

const LIMITS: Limits = { ...DEFAULT_LIMITS, maxValueBytes: 20, maxMetaBytes: 20 };
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
const list = (length: number, item: string) => Array.from({ length }, () => item).join(',');

/** For each limit: what just fits, and what is one too many. */
const EDGES: [code: string, fits: string, tooMuch: string][] = [
  ['value_too_large', `"values":"${'x'.repeat(18)}"`, `"values":"${'x'.repeat(19)}"`],
  ['value_too_large', `"values":"${'\u00e4'.repeat(9)}"`, `"values":"${'\u00e4'.repeat(9)}x"`],
  ['value_too_large', `"values":"${'\u670d'.repeat(6)}"`, `"values":"${'\u670d'.repeat(6)}x"`],
  ['value_too_large', '"values":[ 1234567, 1234567890 ]', '"values":[ 12345678, 1234567890 ]'],
  ['value_too_large', '"values":"\\ud800xxxxxxxxxxxx"', '"values":"\\ud800xxxxxxxxxxxxx"'],
  ['meta_too_large', `"values":1,"meta":{"a":"${'x'.repeat(12)}"}`, `"values":1,"meta":{"a":"${'x'.repeat(13)}"}`],
  ['too_many_tags', `"values":1,"tags":[${list(64, '"a"')}]`, `"values":1,"tags":[${list(65, '"a"')}]`],
  ['too_many_tags', `"values":1,"tags":["${'x'.repeat(255)}"]`, `"values":1,"tags":["${'x'.repeat(256)}"]`],
  ['too_many_tags', `"values":1,"tags":["${'\u00e4'.repeat(127)}"]`, `"values":1,"tags":["${'\u00e4'.repeat(128)}"]`],
];

describe('a limit', () => {
  it.each(EDGES)('is %s only beyond it: %s', (code, fits, tooMuch) => {
    expect(codeOf(register(fits), LIMITS)).toBeUndefined();
    expect(codeOf(register(tooMuch), LIMITS)).toBe(code);
  });

  it('is value_too_deep for more than 32 levels, of arrays, of objects, or of both', () => {
    expect(codeOf(register(`"values":${nested(32)}`))).toBeUndefined();
    expect(codeOf(register(`"values":${nested(33)}`))).toBe('value_too_deep');
    const objects = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
    expect(codeOf(register(`"values":${objects(32)}`))).toBeUndefined();
    expect(codeOf(register(`"values":${objects(33)}`))).toBe('value_too_deep');
    expect(codeOf(register(`"values":[{"a":${nested(31)}}]`))).toBe('value_too_deep');
    expect(codeOf(register(`"values":[${list(1000, '[]')},${nested(32)}]`))).toBe('value_too_deep');
  });

  it.each([
    ['value_too_deep', register(`"values":${nested(100_000)}`)],
    ['bad_request', register(`"values":1,"tags":${nested(100_000)}`)],
    ['bad_request', `{"type":"ping","id":${nested(100_000)}}`],
    ['bad_request', nested(100_000)],
    ['bad_json', '['.repeat(100_000)],
    ['bad_json', '{"a":'.repeat(100_000)],
    [undefined, `{"type":"ping","unknown":${nested(100_000)}}`],
  ])('does not take the stack: %s for 100,000 levels', (code, line) => {
    expect(codeOf(line)).toBe(code);
  });
});

describe('the error of a request', () => {
  it('carries the id, once the id is known', () => {
    expect(refusalOf('{"id":7,"type":"none"}')?.id).toBe(7);
    expect(refusalOf('{"type":"register","key":"all","values":1,"id":"x"}')?.id).toBe('x');
    expect(refusalOf('{"type":"query","id":"x"}')?.id).toBe('x');
  });

  it.each(['{"id":7,', '[7]', '{"type":"none"}', '{"type":"none","id":null}', '{"type":"ping","id":0.5}'])(
    'carries none for %s',
    (line) => {
      const refusal = refusalOf(line);
      expect(refusal).toBeDefined();
      expect(refusal?.id).toBeUndefined();
    },
  );

  it('names the field and never shows a value, which may be a secret', () => {
    const refusal = refusalOf(register('"values":1,"timeout":"secret@10.0.0.1:1"'));
    expect(refusal?.message).toContain('"timeout"');
    expect(refusal?.message).not.toContain('secret');
    expect(refusalOf('"secret@10.0.0.1:1')?.message).not.toContain('secret');
    const owner = refusalOf(register(`"values":1,"owner":"secret${'x'.repeat(65)}"`));
    expect(owner?.message).toContain('"owner"');
    expect(owner?.message).not.toContain('secret');
  });
});
