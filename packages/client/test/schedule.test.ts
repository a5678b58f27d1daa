import { describe, expect, test } from 'vitest';
import {
  backoffDelay,
  firstHeartbeatDelay,
  heartbeatDelay,
  heartbeatPatience,
  MAX_DELAY,
  retryDelay,
  spreadDelay,
} from '../src/schedule.js';

const NEVER = Number.POSITIVE_INFINITY;
const lowest = () => 0;
const middle = () => 0.5;
const highest = () => 1 - 2 ** -53;

describe('backoffDelay', () => {
  test.each([
    [0, lowest, 0],
    [0, middle, 50],
    [1, middle, 100],
    [4, middle, 800],
    [6, middle, 2500],
    [5000, middle, 2500],
  ])('after %i failures', (failures, random, delay) => {
    expect(backoffDelay(failures, { min: 100, max: 5000 }, random)).toBe(delay);
  });

  test('never exceeds the bound', () => {
    expect(backoffDelay(30, { min: 100, max: 5000 }, highest)).toBeLessThanOrEqual(5000);
  });
});

describe('heartbeatDelay', () => {
  test.each([
    [30_000, lowest, 10_000],
    [30_000, middle, 9500],
    [3, lowest, 1],
    [315_360_000_000, lowest, MAX_DELAY],
    [NEVER, middle, NEVER],
  ])('for a ttl of %d ms', (ttl, random, delay) => {
    expect(heartbeatDelay(ttl, random)).toBeCloseTo(delay, 6);
  });

  test('is at most a tenth early', () => {
    expect(heartbeatDelay(30_000, highest)).toBeCloseTo(9000, 6);
  });
});

test.each([
  [30_000, lowest, 10_000],
  [30_000, middle, 5000],
  [315_360_000_000, lowest, MAX_DELAY],
  [NEVER, middle, NEVER],
])('the first heartbeat for a ttl of %d ms', (ttl, random, delay) => {
  expect(firstHeartbeatDelay(ttl, random)).toBe(delay);
  expect(firstHeartbeatDelay(ttl, highest)).toBeGreaterThan(0);
});

test.each([
  [3000, 1000],
  [3_600_000, 10_000],
  [NEVER, 10_000],
])('a failed renewal with a ttl of %d ms is tried again after %d ms', (ttl, delay) => {
  expect(retryDelay(ttl, lowest)).toBe(delay);
});

describe('spreadDelay', () => {
  test.each([
    ['a tenth of a short ttl', 2000, 2000, 100],
    ['a second at most', 60_000, 60_000, 500],
    ['a second at most without a ttl', NEVER, NEVER, 500],
    ['half of what is left', 10_000, 300, 75],
    ['nothing where nothing is left', 10_000, -5, 0],
  ])('is over %s', (_, ttl, left, delay) => {
    expect(spreadDelay(ttl, left, middle)).toBe(delay);
  });
});

test.each([
  [30_000, 5000, 5000],
  [3000, 5000, 1000],
  [30, 5000, 250],
  [30, 100, 100],
  [NEVER, 5000, 5000],
])('with a ttl of %d ms and a timeout of %d ms a silence of %d ms is death', (ttl, timeout, patience) => {
  expect(heartbeatPatience(ttl, timeout)).toBe(patience);
});
