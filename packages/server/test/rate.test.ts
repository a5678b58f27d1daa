import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Rate } from '../src/rate.js';

test('as many as there are in a second come at once, and then one whenever it is due', () => {
  const rate = new Rate(4, 1000);
  expect([1, 2, 3, 4].map(() => rate.take(1000))).toEqual([0, 0, 0, 0]);
  expect(rate.take(1000)).toBe(0.25);
  expect(rate.take(1100)).toBeCloseTo(0.15);
  expect(rate.take(1250)).toBe(0);
  expect(rate.take(1250)).toBe(0.25);
  // However long nobody asks, there is no more than a second's worth.
  expect([1, 2, 3, 4, 5].map(() => rate.take(60_000))).toEqual([0, 0, 0, 0, 0.25]);
});

test('in no span of time there are more than it says, and who waits as told is let', () => {
  const steps = fc.array(fc.nat(700), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), steps, (perSecond, pauses) => {
      const rate = new Rate(perSecond, 0);
      const taken: number[] = [];
      let now = 0;
      for (const pause of pauses) {
        now += pause;
        const wait = rate.take(now);
        if (wait === 0) {
          taken.push(now);
          continue;
        }
        now += wait * 1000 + 1e-6;
        expect(rate.take(now)).toBe(0);
        taken.push(now);
      }
      for (const [index, from] of taken.entries()) {
        const inSpan = taken.slice(index).filter((at) => at <= from + 1000).length;
        expect(inSpan).toBeLessThanOrEqual(2 * perSecond + 1);
      }
    }),
  );
});
