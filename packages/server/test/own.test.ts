import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { own } from '../src/registry/own.js';

test('what is owned is the same text, however long and in whatever script', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 200 }).filter((each) => each.isWellFormed());
  fc.assert(
    fc.property(text, fc.constantFrom(1, 100, 2000), (piece, times) => {
      const whole = piece.repeat(times);
      expect(own(whole)).toBe(whole);
    }),
  );
});

test('what is owned keeps nothing of the text that it was cut out of', () => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const keptBy = (keep: (cut: string) => string): number => {
    collect();
    const before = process.memoryUsage().heapUsed;
    const kept = Array.from({ length: 500 }, (_, n) => {
      const chunk = Buffer.alloc(64 * 1024, `${n} `).toString('latin1');
      return keep(chunk.slice(1000, 1020));
    });
    collect();
    return (process.memoryUsage().heapUsed - before) / kept.length;
  };
  // That a cut does is what makes the test one.
  expect(keptBy((cut) => cut)).toBeGreaterThan(60_000);
  expect(keptBy(own)).toBeLessThan(2000);
});
