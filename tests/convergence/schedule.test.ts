import { expect, test } from 'vitest';
import { Random } from './random.js';
import { makeSchedule, type Step } from './schedule.js';

const SHAPE = { workers: 20, clients: 10, seconds: 60, faultEvery: 8 };
const seeds = Array.from({ length: 50 }, (_, seed) => seed);
const make = (seed: number): Step[] => makeSchedule(new Random(seed), SHAPE);
const endOf = (step: Step): number => step.at + ('lasts' in step ? step.lasts : 0);

test('a seed makes the same schedule again, another seed another', () => {
  expect(make(7)).toEqual(make(7));
  expect(make(7)).not.toEqual(make(8));
});

test.each(seeds)('seed %i: in order, over in time, and nothing happens twice at once to one process', (seed) => {
  const steps = make(seed);
  expect(steps.map(({ at }) => at)).toEqual(steps.map(({ at }) => at).toSorted((a, b) => a - b));
  for (const step of steps) expect(endOf(step)).toBeLessThanOrEqual(SHAPE.seconds * 1000);
  const busyUntil = new Map<number | undefined, number>();
  for (const step of steps) {
    if (!('lasts' in step)) continue;
    const target = 'worker' in step ? step.worker : undefined;
    expect(step.at).toBeGreaterThanOrEqual(busyUntil.get(target) ?? 0);
    busyUntil.set(target, endOf(step));
  }
});

test('every kind of fault, partition and deed comes up, and the daemon dies several times a minute', () => {
  const all = seeds.flatMap(make);
  const kinds = new Set(all.map((step) => ('mode' in step ? step.mode : step.kind)));
  expect([...kinds].sort()).toEqual(
    ['crash', 'kill', 'leave', 'stop', 'replace', 'vanish', 'update', 'renew', 'destroy']
      .concat(['hold', 'delay', 'reset', 'blackhole', 'ghost', 'orphan'])
      .sort(),
  );
  for (const seed of seeds) {
    const count = (kind: Step['kind']): number => make(seed).filter((step) => step.kind === kind).length;
    expect(count('crash')).toBeGreaterThanOrEqual(5);
    expect(count('kill') + count('stop') + count('partition')).toBeGreaterThan(50);
  }
});
