import { ManualClock } from '@reg/protocol/testing';
import { expect, test } from 'vitest';
import { RegistryClock, Turn } from '../src/clock.js';
import { turn as nextTurn } from './settle.js';

const MS = 20;

function begin() {
  const clock = new ManualClock();
  const registryClock = new RegistryClock(clock);
  const turn = new Turn(registryClock, MS);
  const begun = registryClock.busy();
  expect(turn.endFrom(begun)).toBe(begun + MS);
  /** When the turn is over, `ms` after now. */
  const endAfter = (ms: number) => {
    clock.advance(ms);
    return turn.endFrom(registryClock.busy()) - begun;
  };
  return { clock, turn, endAfter };
}

test('who asks in the same turn of the loop has what is left of it', () => {
  const { clock, turn, endAfter } = begin();
  expect(endAfter(MS - 1)).toBe(MS);
  expect(turn.hasTime).toBe(true);
  clock.advance(1);
  expect(turn.hasTime).toBe(false);
});

test('who asks in a later turn of the loop has all of it', async () => {
  const { turn, endAfter } = begin();
  endAfter(MS);
  await nextTurn();
  expect(turn.hasTime).toBe(true);
  expect(endAfter(0)).toBe(MS + MS);
});

test('turns of the loop within a millisecond share one, which ends with the last of them', async () => {
  const { turn, endAfter } = begin();
  await nextTurn();
  expect(endAfter(0.5)).toBe(MS);
  // This turn of the loop goes on for longer.
  expect(endAfter(0.5)).toBe(1 + MS);
  expect(endAfter(MS)).toBe(1 + MS);
  expect(turn.hasTime).toBe(false);
});

test('is begun again for who may not be left out, and only where it was used up', () => {
  const { turn, endAfter } = begin();
  endAfter(MS - 1);
  turn.renew();
  expect(endAfter(0)).toBe(MS);
  endAfter(1);
  turn.renew();
  expect(endAfter(0)).toBe(MS + MS);
});
