import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../src/clock.js';
import { ManualClock } from '../src/testing.js';

describe('a manual clock', () => {
  it('stands still until it is moved', () => {
    const clock = new ManualClock(5000);
    expect([clock.monotonic(), clock.wall()]).toEqual([0, 5000]);
    clock.advance(250.5);
    expect([clock.monotonic(), clock.wall()]).toEqual([250.5, 5250.5]);
  });

  it('fires every timer once, at its time and in the order of their times', () => {
    const clock = new ManualClock();
    const fired: [string, number][] = [];
    const log = (name: string) => () => void fired.push([name, clock.monotonic()]);
    clock.after(30, log('late'));
    clock.after(10, log('early'));
    clock.after(10, log('early too'));
    clock.after(31, log('never'));
    clock.advance(30);
    clock.advance(0);
    expect(fired).toEqual([
      ['early', 10],
      ['early too', 10],
      ['late', 30],
    ]);
    expect(clock.timers).toBe(1);
  });

  it('fires timers that a timer sets, where they are due in the same advance', () => {
    const clock = new ManualClock();
    const ticks: number[] = [];
    const tick = (): void => {
      ticks.push(clock.monotonic());
      clock.after(10, tick);
    };
    clock.after(10, tick);
    clock.advance(35);
    expect(ticks).toEqual([10, 20, 30]);
    expect(clock.monotonic()).toBe(35);
  });

  it('does not fire a timer that was cancelled, also by another timer', () => {
    const clock = new ManualClock();
    const action = vi.fn();
    const timer = clock.after(20, action);
    clock.after(10, () => timer.cancel());
    clock.advance(100);
    expect(action).not.toHaveBeenCalled();
    expect(clock.timers).toBe(0);
  });

  it('fires at once, but not before it is moved, where the time is zero or negative', () => {
    const clock = new ManualClock();
    const action = vi.fn();
    clock.after(0, action);
    clock.after(-5, action);
    expect(action).not.toHaveBeenCalled();
    clock.advance(0);
    expect(action).toHaveBeenCalledTimes(2);
    expect(clock.monotonic()).toBe(0);
  });

  it('runs nothing during a stall, and what is overdue after it', () => {
    const clock = new ManualClock();
    const seen: number[] = [];
    clock.after(10, () => seen.push(clock.monotonic()));
    clock.after(20, () => seen.push(clock.monotonic()));
    clock.after(5000, () => seen.push(clock.monotonic()));
    clock.stall(1000);
    expect(seen).toEqual([1000, 1000]);
    expect(clock.monotonic()).toBe(1000);
  });

  it('jumps the wall only, and either way', () => {
    const clock = new ManualClock(10_000);
    const action = vi.fn();
    clock.after(100, action);
    clock.jumpWall(3_600_000);
    clock.jumpWall(-7_200_000);
    expect(clock.wall()).toBe(10_000 - 3_600_000);
    expect(clock.monotonic()).toBe(0);
    expect(action).not.toHaveBeenCalled();
  });
});

describe('the clock of the system', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('goes forward, and tells the time of day', () => {
    const [before, wall] = [systemClock.monotonic(), systemClock.wall()];
    vi.advanceTimersByTime(1500);
    expect(systemClock.monotonic() - before).toBe(1500);
    expect(systemClock.wall() - wall).toBe(1500);
  });

  it('calls back once after the time, unless it was cancelled', () => {
    const [kept, cancelled] = [vi.fn(), vi.fn()];
    systemClock.after(100, kept);
    systemClock.after(100, cancelled).cancel();
    vi.advanceTimersByTime(99);
    expect(kept).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1000);
    expect(kept).toHaveBeenCalledTimes(1);
    expect(cancelled).not.toHaveBeenCalled();
  });

  it('keeps the process alive only where it is told to', () => {
    const set = vi.spyOn(globalThis, 'setTimeout');
    const timer = systemClock.after(100, () => {});
    const timeout = set.mock.results[0]?.value;
    expect(timeout.hasRef()).toBe(false);
    timer.ref();
    expect(timeout.hasRef()).toBe(true);
    timer.cancel();
  });
});
