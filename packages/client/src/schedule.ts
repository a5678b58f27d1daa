/**
 * When things are done, as pure functions: all in milliseconds, none reads a clock or sets a timer.
 * `random` gives a number from 0 up to, but not, 1.
 */

/** The longest delay that Node's timers keep; a longer one would fire at once. */
export const MAX_DELAY = 2 ** 31 - 1;

/** How long a registration that failed waits at most before it tries again, however long its ttl is. */
const MAX_RETRY_DELAY = 10_000;

/** Renewals after a reconnect are spread over at most this. */
const MAX_SPREAD = 1000;

/**
 * A connection is not given up for a shorter silence than this, however short the ttl: a pause of the
 * daemon of some ten ms is ordinary, and dialling again would take longer than waiting for its end.
 */
const MIN_PATIENCE = 250;

export interface Backoff {
  /** The bound of the first delay; it doubles with every failure. */
  readonly min: number;
  /** The bound of every later one. */
  readonly max: number;
}

export const DEFAULT_BACKOFF: Backoff = { min: 100, max: 5000 };

/**
 * How long to wait after `failures` failures in a row (0 for the first wait). "Full jitter": anywhere between
 * nothing and the bound, because clients that lost the same daemon at the same moment must not come back at
 * the same moment.
 */
export function backoffDelay(failures: number, { min, max }: Backoff, random: () => number): number {
  return random() * Math.min(max, min * 2 ** failures);
}

/**
 * From the sending of one heartbeat to the next: a third of the ttl, so that two may fail, and up to a tenth
 * less, so that nobody keeps step with anybody. `Infinity` where the ttl is.
 */
export function heartbeatDelay(ttl: number, random: () => number): number {
  if (ttl === Number.POSITIVE_INFINITY) return ttl;
  return Math.min((ttl / 3) * (1 - 0.1 * random()), MAX_DELAY);
}

/**
 * From the first confirmed renewal, of all or of a connection, to the next: anywhere within a third of the ttl.
 * What registers a thousand instances at once would otherwise renew them at once for as long as it runs, since
 * the jitter of a tenth takes hours to part them.
 */
export function firstHeartbeatDelay(ttl: number, random: () => number): number {
  if (ttl === Number.POSITIVE_INFINITY) return ttl;
  return Math.min((ttl / 3) * (1 - random()), MAX_DELAY);
}

/** From the sending of a renewal that failed to the next. */
export function retryDelay(ttl: number, random: () => number): number {
  return Math.min(heartbeatDelay(ttl, random), MAX_RETRY_DELAY);
}

/**
 * From a reconnect to the renewal. Spread, or ten thousand clients would fall on a daemon that has just come
 * up; but never over more than half of what is `left` of the ttl, or the spread itself would lose it.
 */
export function spreadDelay(ttl: number, left: number, random: () => number): number {
  return random() * Math.max(0, Math.min(MAX_SPREAD, ttl / 10, left / 2));
}

/** How long a heartbeat waits for its reply before a silent connection is given up: the ttl must outlive it. */
export function heartbeatPatience(ttl: number, requestTimeout: number): number {
  return Math.min(Math.max(ttl / 3, MIN_PATIENCE), requestTimeout);
}
