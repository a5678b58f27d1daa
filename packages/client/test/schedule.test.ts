import { describe, expect, test } from 'vitest';
import {
  ackDelay,
  backoffDelay,
  blockedFor,
  dialDelay,
  firstHeartbeatDelay,
  forbearance,
  heartbeatDelay,
  heartbeatPatience,
  lookInterval,
  MAX_DELAY,
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
    [315_360_000_000, lowest, 10_000],
    [NEVER, middle, 9500],
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
  [315_360_000_000, lowest, 10_000],
  [NEVER, middle, 5000],
])('the first heartbeat for a ttl of %d ms', (ttl, random, delay) => {
  expect(firstHeartbeatDelay(ttl, random)).toBe(delay);
  expect(firstHeartbeatDelay(ttl, highest)).toBeGreaterThan(0);
});

test.each([
  [0, 1, 50],
  [3, 1, 400],
  [0, 2, 50],
  [1, 2, 50],
  [2, 2, 50],
  [3, 2, 100],
  [4, 2, 50],
  [5, 2, 200],
  [100, 2, 50],
  [101, 2, 2500],
])('after %i failures the next of %i endpoints is dialled in %d ms', (failures, endpoints, delay) => {
  expect(dialDelay(failures, endpoints, { min: 100, max: 5000 }, middle)).toBe(delay);
});

describe('spreadDelay', () => {
  test.each([
    ['a tenth of a short ttl', 2000, NEVER, 2000, 100],
    ['a quarter of the linger', 60_000, 2000, 60_000, 250],
    ['nothing without a linger to spend', 60_000, 0, 60_000, 0],
    ['a second at most', 60_000, NEVER, 60_000, 500],
    ['a second at most without a ttl', NEVER, NEVER, NEVER, 500],
    ['half of what is left', 10_000, NEVER, 300, 75],
    ['nothing where nothing is left', 10_000, NEVER, -5, 0],
  ])('is over %s', (_, ttl, linger, left, delay) => {
    expect(spreadDelay(ttl, linger, left, middle)).toBe(delay);
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

test.each([
  [0, 1, 1],
  [1, 1, 2],
  [2, 1, 4],
  [50, 1, 4],
  [2, 3, 1],
  [3, 3, 2],
])('after %d failures with %d endpoints a silence is borne %d times as long', (failures, endpoints, times) => {
  expect(forbearance(failures, endpoints)).toBe(times);
});

test.each([
  [1200, 100],
  [315_360_000_000_000, MAX_DELAY],
  [NEVER, NEVER],
])('with a ttl of %d ms the loop is looked at every %d ms', (ttl, interval) => {
  expect(lookInterval(ttl)).toBe(interval);
});

test.each([
  [500, 1200, 0],
  [501, 1200, 401],
  [100_000, NEVER, 0],
])('%d ms between two looks with a ttl of %d ms are a block of %d ms', (between, ttl, length) => {
  expect(blockedFor(between, ttl)).toBe(length);
});

test('who waits for acknowledgements asks often at first', () => {
  expect([0, 1, 2, 3, 10].map(ackDelay)).toEqual([25, 50, 100, 200, 200]);
});
