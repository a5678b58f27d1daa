import type { Timer } from '@reg/protocol';
import type { RegistryClock } from './clock.js';
import { type Log, REFUSED_MS, tryToPropose } from './log/log.js';
import type { Logger } from './logger.js';
import { endOf, type Instance } from './registry/instance.js';
import type { Registry } from './registry/registry.js';

/** How often deadlines are looked at, in ms. It also keeps the clock looked at; see `RegistryClock`. */
const INTERVAL_MS = 20;
/** For how long instances are ended in one turn of the loop, so that a mass expiry leaves time for everything else, in ms. */
const TURN_MS = 5;
/** How many are ended at a time, before it is looked whether that is over. */
const BATCH = 500;
/** How soon changes go on where those who watch are still to be told of the last ones, in ms. */
export const WAIT_MS = 1;

/** Who is told of the ends, as far as they have to be waited for. */
export interface Audience {
  /** How many more changes may be made now so that nobody who listens misses any. It is not 0 for long. */
  readonly room: number;
}

/**
 * Ends what was not renewed. An expiry is a change like any other, ordered by the log.
 *
 * Of a mass of instances that are due some are ended in each turn of the loop, and no more than those who watch can be
 * told: ends are made faster than they are written, and who falls behind by more than history holds would be told of no
 * end but of the state. It costs nobody anything: queries leave out what has expired, ended or not, and deadlines do
 * not move. Who does not read holds this up for a moment once, and never again.
 */
export class ExpiryLoop {
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #audience: Audience;
  readonly #clock: RegistryClock;
  readonly #logger: Logger;
  #timer: Timer | undefined;
  /** Registry time until which the log is left alone. Nobody sees it: queries leave out what has expired. */
  #refusedUntil = 0;
  /** The last turn could not finish what was due. */
  #isBehind = false;
  #isStopped = false;

  constructor(registry: Registry, log: Log, audience: Audience, clock: RegistryClock, logger: Logger) {
    this.#registry = registry;
    this.#log = log;
    this.#audience = audience;
    this.#clock = clock;
    this.#logger = logger;
  }

  start(): void {
    this.#timer = this.#clock.after(INTERVAL_MS, () => this.#turn());
  }

  /** Ends the loop, and what has expired: the next start would give it the grace of those who live. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    const now = this.#clock.now();
    const due: Instance[] = [];
    this.#registry.collectDue(now, Number.POSITIVE_INFINITY, due);
    this.end(due);
  }

  #turn(): void {
    if (this.#isStopped) return;
    // The look at the clock is owed in any case.
    const now = this.#clock.now();
    const wait = now < this.#refusedUntil ? INTERVAL_MS : this.#expire(now);
    this.#warn(wait === INTERVAL_MS, now);
    if (wait === 0) setImmediate(() => this.#turn());
    else this.#timer = this.#clock.after(wait, () => this.#turn());
  }

  /** @returns in how many ms there is more to do. */
  #expire(now: number): number {
    const end = this.#clock.busy() + TURN_MS;
    let { room } = this.#audience;
    do {
      const due: Instance[] = [];
      // Where there is no room it says whether there is anything to wait with.
      const isDone = this.#registry.collectDue(now, Math.min(room, BATCH), due);
      if (!this.end(due)) {
        this.#refusedUntil = now + REFUSED_MS;
        return INTERVAL_MS;
      }
      if (isDone) return INTERVAL_MS;
      room -= due.length;
      if (room === 0) return WAIT_MS;
    } while (this.#clock.busy() < end);
    return 0;
  }

  /** Says once of a mass expiry that it is one. */
  #warn(isDone: boolean, now: number): void {
    if (!isDone && !this.#isBehind) {
      this.#logger.warn({ overdue: this.#registry.overdue(now) }, 'more instances expire than one turn can end');
    }
    this.#isBehind = !isDone;
  }

  /** Has instances ended that have expired. @returns whether the log took it. */
  end(due: readonly Instance[]): boolean {
    const wall = this.#clock.wall();
    for (const instance of due) {
      const change = endOf('expire', instance, wall);
      const ordered = tryToPropose(this.#log, change);
      if (ordered === undefined) return false;
      if (ordered instanceof Promise) this.#await(instance, change.expiresAt, ordered);
    }
    return true;
  }

  /** While a log that orders elsewhere has not said, it is not proposed again. */
  #await(instance: Instance, expiresAt: number, ordered: Promise<unknown>): void {
    this.#registry.unfile(instance);
    ordered.catch(() => this.#registry.refile(instance, expiresAt));
  }
}
