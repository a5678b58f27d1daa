import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_LINGER, MAX_TIMEOUT } from '../src/limits.js';
import { lingerToMs, parseLinger, parseTimeout, timeoutToMs } from '../src/timeout.js';

describe('a timeout', () => {
  it.each([
    [undefined, 30],
    [null, 30],
    ['never', 'never'],
    [30, 30],
    ['30', 30],
    [0.25, 0.25],
    ['0.25', 0.25],
    ['.5', 0.5],
    ['5.', 5],
    ['007', 7],
    [1e-9, 1e-9],
    [MAX_TIMEOUT, MAX_TIMEOUT],
    [String(MAX_TIMEOUT), MAX_TIMEOUT],
  ])('%j is %j', (given, timeout) => {
    expect(parseTimeout(given)).toBe(timeout);
  });

  it.each([
    0,
    -0,
    -1,
    '0',
    '0.0',
    '-1',
    '+1',
    '',
    ' ',
    ' 30',
    '30 ',
    '30\n',
    '30s',
    '1e3',
    '0x10',
    '1_000',
    '1,5',
    '.',
    '1.2.3',
    'Infinity',
    'NaN',
    'Never',
    'forever',
    '\u0663\u0660',
    `0.${'0'.repeat(400)}1`,
    '9'.repeat(400),
    MAX_TIMEOUT + 1,
    MAX_TIMEOUT + 0.001,
    String(MAX_TIMEOUT + 1),
    Number.POSITIVE_INFINITY,
    Number.NaN,
    true,
    false,
    [30],
    ['never'],
    {},
  ])('may not be %j', (given) => {
    expect(() => parseTimeout(given)).toThrow(expect.objectContaining({ code: 'invalid_timeout' }));
  });

  it('is the same as a number and as its decimal string', () => {
    const seconds = fc.integer({ min: 1, max: MAX_TIMEOUT * 1000 }).map((ms) => ms / 1000);
    fc.assert(
      fc.property(seconds, (timeout) => {
        expect(parseTimeout(String(timeout))).toBe(timeout);
        expect(parseTimeout(timeout)).toBe(timeout);
      }),
    );
  });

  it('is seconds on the wire and milliseconds inside', () => {
    expect(timeoutToMs(1.5)).toBe(1500);
    expect(timeoutToMs('never')).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a linger', () => {
  it.each([
    [undefined, undefined, Number.POSITIVE_INFINITY],
    [null, undefined, Number.POSITIVE_INFINITY],
    [0, 0, 0],
    ['0', 0, 0],
    [2, 2, 2000],
    ['.5', 0.5, 500],
    [MAX_LINGER, MAX_LINGER, MAX_LINGER * 1000],
  ])('%j is %j, which is %d ms', (given, linger, ms) => {
    expect(parseLinger(given)).toBe(linger);
    expect(lingerToMs(linger)).toBe(ms);
  });

  it.each([
    -1,
    '-1',
    '',
    '2s',
    '1e3',
    'never',
    MAX_LINGER + 1,
    '86400.5',
    Number.NaN,
    Number.POSITIVE_INFINITY,
    true,
    [2],
    {},
  ])('%j is none', (given) => {
    expect(() => parseLinger(given)).toThrow(expect.objectContaining({ code: 'invalid_linger' }));
  });
});
