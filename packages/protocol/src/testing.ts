import type { Clock, Timer } from './clock.js';

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #monotonic = 0;
  #wall: number;
  readonly #timers = new Set<{ at: number; action: () => void }>();

  /** @param wall where the wall clock starts, in ms since the Unix epoch. */
  constructor(wall = Date.UTC(2026, 0, 1)) {
    this.#wall = wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  wall(): number {
    return this.#wall;
  }

  after(ms: number, action: () => void): Timer {
    const timer = { at: this.#monotonic + Math.max(0, ms), action };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer), ref: () => {} };
  }

  /** Lets `ms` milliseconds pass as they do in a healthy process: every timer fires when it is due. */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (let next = this.#earliest(); next && next.at <= end; next = this.#earliest()) {
      this.#pass(Math.max(0, next.at - this.#monotonic));
      this.#timers.delete(next);
      next.action();
    }
    this.#pass(end - this.#monotonic);
  }

  /** Lets `ms` milliseconds pass while nothing runs, as under SIGSTOP; overdue timers fire afterwards. */
  stall(ms: number): void {
    this.#pass(ms);
    this.advance(0);
  }

  /** Sets the wall clock forward or back, as an administrator or NTP would. */
  jumpWall(ms: number): void {
    this.#wall += ms;
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  #pass(ms: number): void {
    this.#monotonic += ms;
    this.#wall += ms;
  }

  #earliest(): { at: number; action: () => void } | undefined {
    let earliest: { at: number; action: () => void } | undefined;
    for (const timer of this.#timers) if (!earliest || timer.at < earliest.at) earliest = timer;
    return earliest;
  }
}
