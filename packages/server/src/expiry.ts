import { RegistryError, type Timer } from '@reg/protocol';
import type { RegistryClock } from './clock.js';
import type { Log } from './log/log.js';
import type { Logger } from './logger.js';
import { endOf, type Instance } from './registry/instance.js';
import type { Registry } from './registry/registry.js';

/** How often deadlines are looked at, in ms. It also keeps the clock looked at; see `RegistryClock`. */
const INTERVAL_MS = 20;
/** How many instances are looked at in one turn, so that a mass expiry leaves room for everything else. */
const LOOKS_PER_TURN = 2000;
/** How long nothing is proposed after the log has refused it. Nobody sees it: queries leave out what has expired. */
const REFUSED_MS = 1000;

/** Ends what was not renewed. An expiry is a change like any other, ordered by the log. */
export class ExpiryLoop {
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #clock: RegistryClock;
  readonly #logger: Logger;
  #timer: Timer | undefined;
  /** Registry time until which the log is left alone. */
  #refusedUntil = 0;
  /** The last turn could not finish what was due. */
  #isBehind = false;

  constructor(registry: Registry, log: Log, clock: RegistryClock, logger: Logger) {
    this.#registry = registry;
    this.#log = log;
    this.#clock = clock;
    this.#logger = logger;
  }

  start(): void {
    this.#timer = this.#clock.after(INTERVAL_MS, () => this.#turn());
  }

  /** Ends the loop, and what has expired: the next start would give it the grace of those who live. */
  stop(): void {
    this.#timer?.cancel();
    const now = this.#clock.now();
    const due: Instance[] = [];
    this.#registry.collectDue(now, Number.POSITIVE_INFINITY, due);
    this.end(due);
  }

  #turn(): void {
    // The look at the clock is owed in any case.
    const now = this.#clock.now();
    const isDone = now < this.#refusedUntil || this.#expire(now);
    this.#warn(isDone, now);
    this.#timer = this.#clock.after(isDone ? INTERVAL_MS : 0, () => this.#turn());
  }

  /** @returns whether nothing is left to do for now. */
  #expire(now: number): boolean {
    for (let left = LOOKS_PER_TURN; left > 0; ) {
      const due: Instance[] = [];
      const isDone = this.#registry.collectDue(now, left, due);
      if (!this.end(due)) {
        this.#refusedUntil = now + REFUSED_MS;
        return true;
      }
      if (isDone) return true;
      // It comes back with nothing where others took all the looks.
      left = due.length === 0 ? 0 : left - due.length;
    }
    return false;
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
    try {
      for (const instance of due) {
        const change = endOf('expire', instance, this.#clock.wall());
        const ordered = this.#log.propose(change);
        if (ordered instanceof Promise) this.#await(instance, change.expiresAt, ordered);
      }
      return true;
    } catch (error) {
      if (error instanceof RegistryError) return false;
      throw error;
    }
  }

  /** While a log that orders elsewhere has not said, it is not proposed again. */
  #await(instance: Instance, expiresAt: number, ordered: Promise<unknown>): void {
    this.#registry.unfile(instance);
    ordered.catch(() => this.#registry.refile(instance, expiresAt));
  }
}
