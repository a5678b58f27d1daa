/**
 * Time, as everything in these packages sees it. No other file calls `Date.now`, `performance.now` or
 * `setTimeout`: who needs time is handed a `Clock`, so that a test can hold the clock in its hand.
 */
export interface Clock {
  /** Milliseconds that only go forward, from an arbitrary start. Fractions are kept. */
  monotonic(): number;
  /** Milliseconds since the Unix epoch. May jump either way when the machine's clock is set. */
  wall(): number;
  /** Calls `action` once, no sooner than `ms` milliseconds from now: at most 2,147,483,647, some 24 days. */
  after(ms: number, action: () => void): Timer;
}

/** A timer that has been set. It does not keep the process alive unless `ref()` is called. */
export interface Timer {
  cancel(): void;
  /** From now on the process stays alive until the timer has fired or is cancelled. */
  ref(): void;
}

export const systemClock: Clock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  after(ms, action) {
    const timeout = setTimeout(action, ms).unref();
    return {
      cancel: () => clearTimeout(timeout),
      ref: () => void timeout.ref(),
    };
  },
};
