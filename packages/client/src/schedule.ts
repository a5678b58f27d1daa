/**
 * When things are done, as pure functions: all in milliseconds, none reads a clock or sets a timer.
 * `random` gives a number from 0 up to, but not, 1.
 */

/** The longest delay that Node's timers keep; a longer one would fire at once. */
export const MAX_DELAY = 2 ** 31 - 1;

/**
 * Heartbeats come at least so often, however long the ttls are: they tell what has ended, and what connection is dead.
 * It is what the usual ttl of 30 s comes to.
 */
const MAX_HEARTBEAT_DELAY = 10_000;

/** Registrations after a reconnect are spread over at most this. */
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
 * How long to wait for the next of several endpoints. That one of them is away says nothing of the rest, so within a
 * round over all of them the bound is that of a first wait; it doubles from round to round.
 */
export function dialDelay(failures: number, endpoints: number, backoff: Backoff, random: () => number): number {
  const round = (failures + 1) % endpoints === 0 ? Math.floor(failures / endpoints) : 0;
  return backoffDelay(round, backoff, random);
}

/**
 * From the sending of one heartbeat to the next: a third of the shortest ttl, so that two may fail, and up to a tenth
 * less, so that nobody keeps step with anybody. So long waits a registration that failed, too.
 */
export function heartbeatDelay(ttl: number, random: () => number): number {
  return Math.min(ttl / 3, MAX_HEARTBEAT_DELAY) * (1 - 0.1 * random());
}

/**
 * From the first confirmed registration of a connection to its first heartbeat: anywhere within the delay. Clients
 * that came back together would otherwise send their heartbeats together for as long as they run, since the jitter of
 * a tenth takes hours to part them.
 */
export function firstHeartbeatDelay(ttl: number, random: () => number): number {
  return Math.min(ttl / 3, MAX_HEARTBEAT_DELAY) * (1 - random());
}

/**
 * From a reconnect to the registration. Spread, or ten thousand clients would fall on a daemon that has just come
 * up; but never over more than a quarter of the linger or half of what is `left` of the ttl, or the spread itself would
 * lose it.
 */
export function spreadDelay(ttl: number, linger: number, left: number, random: () => number): number {
  return random() * Math.max(0, Math.min(MAX_SPREAD, ttl / 10, linger / 4, left / 2));
}

/** How long a heartbeat waits for its reply before a silent connection is given up: the ttl must outlive it. */
export function heartbeatPatience(ttl: number, requestTimeout: number): number {
  return Math.min(Math.max(ttl / 3, MIN_PATIENCE), requestTimeout);
}

/**
 * How many times longer than usual a silence is borne after `failures` failures in a row: twice after a round over all
 * endpoints, then four times. Who gives up a connection that was taken and never answered goes to the end of the queue
 * of a daemon that ten thousand others have found again as well, and leaves it a dead connection to take before theirs:
 * if all do so, the daemon is never done. What it costs: a peer that takes connections and never answers is found later.
 */
export function forbearance(failures: number, endpoints: number): number {
  return 2 ** Math.min(Math.floor(failures / endpoints), 2);
}

/** How often the event loop is looked at, so that it is known when it stood still; `Infinity` where the ttl is. */
export function lookInterval(ttl: number): number {
  return ttl === Number.POSITIVE_INFINITY ? ttl : Math.min(ttl / 12, MAX_DELAY);
}

/** For how long the loop stood still at least between two looks, where that is more than a third of the ttl; else 0. */
export function blockedFor(between: number, ttl: number): number {
  const length = between - lookInterval(ttl);
  return length > ttl / 3 ? length : 0;
}

/** From one question who has acknowledged to the next, after `asked` of them. */
export function ackDelay(asked: number): number {
  return Math.min(25 * 2 ** asked, 200);
}
