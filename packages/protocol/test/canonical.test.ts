import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { CanonicalReader } from '../src/canonical.js';
import { decodeRequest, encodeRequest, RequestError } from '../src/codec.js';
import { LineReader, TOO_LONG } from '../src/framing.js';
import { DEFAULT_LIMITS, type Limits } from '../src/limits.js';
import { RequestReader } from '../src/reader.js';
import type { Request } from '../src/requests.js';
import { requests } from './requests.js';

/** What a line is: a request, or the refusal of one as its code, text and id. */
type Read = Request | readonly [string, string, unknown];

function attempt(read: () => Request | undefined): Read | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof RequestError) return [error.code, error.message, error.id];
    throw error;
  }
}

/** Everything that a reader makes of a stream that comes in these pieces. */
function readAll(pieces: readonly Buffer[], limits: Limits): Read[] {
  const reader = new RequestReader(limits);
  return pieces.flatMap((piece) => {
    reader.push(piece);
    const found: Read[] = [];
    for (let next = attempt(() => reader.next()); next !== undefined; next = attempt(() => reader.next())) {
      found.push(next);
    }
    return found;
  });
}

/** The same, line by line and without the short cut. */
function readSlowly(stream: Buffer, limits: Limits): Read[] {
  const lines = new LineReader(limits.maxLineBytes);
  lines.push(stream);
  const found: Read[] = [];
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    const whole = line;
    const read =
      whole === TOO_LONG
        ? (['line_too_long', `a line must be at most ${limits.maxLineBytes} bytes`, undefined] as const)
        : attempt(() => decodeRequest(whole, limits));
    if (read !== undefined) found.push(read);
  }
  return found;
}

function cut(stream: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (stream.length + 1)), stream.length].sort((a, b) => a - b);
  return ends.map((end, index) => stream.subarray(ends[index - 1] ?? 0, end));
}

/** Small enough that canonical requests pass them, too. */
const TIGHT: Limits = { ...DEFAULT_LIMITS, maxLineBytes: 90, maxValueBytes: 16 };

const word = fc.oneof(
  { weight: 6, arbitrary: fc.stringMatching(/^[a-z][a-z0-9.:@-]{0,20}$/) },
  { weight: 1, arbitrary: fc.constantFrom('', 'all', '*', 'a/b', 'n'.repeat(255), 'n'.repeat(256), '\u00e4', '~') },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
);
const timeout = fc.oneof(
  fc.integer({ min: 0, max: 400_000_000 }),
  fc.integer({ min: 0, max: 400_000_000 }).map(String),
  fc.constantFrom(0, 1, 0.5, '007', '0', '', 'never', 315_360_000, 315_360_001, '1000000000', 1e21, -1, null),
);
const nearly = fc.oneof(
  fc.record({ type: fc.constant('query'), key: word }),
  fc.record(
    { type: fc.constant('register'), key: word, instance: word, values: word, timeout },
    { requiredKeys: ['type', 'key', 'values', 'timeout'] },
  ),
);

/** A byte or two of it changed, put in, or gone. The bytes are those that matter to a reader of such lines. */
const damage = fc.array(
  fc.record({
    at: fc.nat(200),
    gone: fc.nat(2),
    bytes: fc.constantFrom(
      '',
      '"',
      '\\',
      ',',
      ':',
      '}',
      '{',
      '\r',
      '\n',
      '\u0000',
      ' ',
      '0',
      '9',
      '.',
      '\u00ff',
      '/',
      '\u007f',
    ),
  }),
  { maxLength: 2 },
);

const line = fc
  .record({
    text: fc.oneof(
      { weight: 4, arbitrary: nearly.map((request) => JSON.stringify(request)) },
      { weight: 1, arbitrary: requests.map((request) => JSON.stringify(request)) },
      { weight: 1, arbitrary: fc.constantFrom('', ' ', '{"type":"heartbeat"}', '{"type":"ping"}') },
    ),
    damage: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: damage }),
    ending: fc.constantFrom('\r\n', '\r\n', '\n', '\r\r\n', ''),
  })
  .map(({ text, damage, ending }) => {
    const bytes = [...Buffer.from(text)];
    for (const { at, gone, bytes: put } of damage)
      bytes.splice(at % (bytes.length + 1), gone, ...Buffer.from(put, 'latin1'));
    return Buffer.concat([Buffer.from(bytes), Buffer.from(ending)]);
  });

describe('the short cut for canonical requests', () => {
  it('changes nothing about what a stream is read as, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 12 }),
        fc.array(fc.nat(2000), { maxLength: 6 }),
        fc.constantFrom(DEFAULT_LIMITS, TIGHT),
        (lines, places, limits) => {
          const stream = Buffer.concat(lines);
          expect(readAll(cut(stream, places), limits)).toEqual(readSlowly(stream, limits));
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('changes nothing about a canonical line of which one byte is any other', () => {
    const whole = Buffer.from(encodeRequest('register', { key: 'ab', instance: 'c', values: 'd', timeout: 12 }));
    const quoted = Buffer.from(encodeRequest('register', { key: 'ab', values: 'd', timeout: '12' }));
    for (const line of [whole, quoted, Buffer.from(encodeRequest('query', { key: 'ab' }))]) {
      for (let at = 0; at < line.length; at += 1) {
        for (let byte = 0; byte < 256; byte += 1) {
          const changed = Buffer.from(line);
          changed[at] = byte;
          expect(readAll([changed], DEFAULT_LIMITS), `byte ${at} is ${byte}`).toEqual(
            readSlowly(changed, DEFAULT_LIMITS),
          );
        }
      }
    }
  });

  test.each([
    ['query', { key: 'redis' }],
    ['register', { key: 'redis', values: '123456@127.0.0.1:6379', timeout: 30 }],
    ['register', { key: 'redis', values: 'http://10.0.0.1/', timeout: '30' }],
    ['register', { key: 'a b', instance: 'one', values: '', timeout: 315_360_000 }],
    ['query', { key: 'n'.repeat(255) }],
  ] as const)('is taken by %s %j', (type, message) => {
    const line = Buffer.from(encodeRequest(type, message));
    const reader = new CanonicalReader(DEFAULT_LIMITS);
    expect(reader.read(line, 0)).toEqual(decodeRequest(line.subarray(0, -2), DEFAULT_LIMITS));
    expect(reader.end).toBe(line.length);
  });

  test.each([
    ['a service that has a word of its own', '{"type":"query","key":"all"}\r\n'],
    ['a name that is not ASCII', '{"type":"query","key":"\u00e4"}\r\n'],
    ['an escape', '{"type":"query","key":"\\u0061"}\r\n'],
    ['a line that has not ended', '{"type":"query","key":"redis"}'],
    ['fields in another order', '{"key":"redis","type":"query"}\r\n'],
    ['fields beyond those', '{"type":"query","key":"redis","detail":true}\r\n'],
    ['a number with a fraction', '{"type":"register","key":"redis","values":"a","timeout":1.5}\r\n'],
  ])('leaves %s to the codec', (_, line) => {
    expect(new CanonicalReader(DEFAULT_LIMITS).read(Buffer.from(line), 0)).toBeUndefined();
  });
});

describe('a reader of requests', () => {
  it('tells how long the request was that it gave last', () => {
    const reader = new RequestReader(DEFAULT_LIMITS);
    reader.push(Buffer.from('{"type":"query","key":"redis"}\r\n{"type": "ping"}\r\n'));
    reader.next();
    expect(reader.length).toBe(32);
    reader.next();
    expect(reader.length).toBe(16);
  });

  it('goes on behind a line that is no request', () => {
    const reader = new RequestReader(TIGHT);
    reader.push(Buffer.from(`nonsense\n${' '.repeat(200)}x\n{"type":"query","key":"redis"}\n`));
    expect(() => reader.next()).toThrow(expect.objectContaining({ code: 'bad_json' }));
    expect(() => reader.next()).toThrow(expect.objectContaining({ code: 'line_too_long' }));
    expect(reader.next()).toMatchObject({ type: 'query', key: 'redis' });
    expect(reader.next()).toBeUndefined();
  });
});
