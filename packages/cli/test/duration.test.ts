import { describe, expect, it } from 'vitest';
import { age, lapse, parseDuration, readDuration } from '../src/duration.js';

describe('a duration', () => {
  it.each([
    ['30', 30_000],
    ['0.5', 500],
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['0', 0],
  ])('of %s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', 's', 'ms', '-1', '1e3', '1 s', '30 ', '1w', '1m30s', '5S', 'never', '0x10', 'Infinity'])(
    'is not %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  it('is refused beyond its range, naming the flag', () => {
    const range = { most: 60_000 };
    expect(readDuration('60s', '--wait', range)).toBe(60_000);
    for (const text of ['0', '61s', 'soon']) {
      expect(() => readDuration(text, '--wait', range)).toThrow(
        expect.objectContaining({ code: 'usage', message: expect.stringContaining(`--wait must be a time above 0s`) }),
      );
    }
  });
});

describe('an age', () => {
  it.each([
    [-5000, '0s'],
    [999, '0s'],
    [119_999, '119s'],
    [120_000, '2m'],
    [7_199_999, '119m'],
    [7_200_000, '2h'],
    [172_799_999, '47h'],
    [172_800_000, '2d'],
    [400 * 86_400_000, '400d'],
  ])('of %d ms is %s', (ms, text) => {
    expect(age(ms)).toBe(text);
  });
});

describe('a lapse', () => {
  it.each([
    [-1, '0s'],
    [0, '0s'],
    [0.2, '1ms'],
    [949.4, '949ms'],
    [950, '1s'],
    [1250, '1.3s'],
    [9999, '10s'],
    [10_500, '10s'],
    [120_000, '2m'],
  ])('of %d ms is %s', (ms, text) => {
    expect(lapse(ms)).toBe(text);
  });
});
