import { RegistryError, type Timer } from '@reg/protocol';
import type { RegistryClock } from './clock.js';
import type { Log } from './log/log.js';
import { endOf, type Instance } from './registry/instance.js';
import type { Registry } from './registry/registry.js';

/** How often deadlines are looked at, in ms. It also keeps the clock looked at; see `RegistryClock`. */
const INTERVAL_MS = 20;
/** How many instances are looked at in one turn, so that a mass expiry leaves room for everything else. */
const LOOKS_PER_TURN = 2000;
/** How long the loop rests when the log takes no changes. Nobody sees it: queries leave out what has expired. */
const REFUSED_MS = 1000;

/** Ends what was not renewed. An expiry is a change like any other, ordered by the log. */
export class ExpiryLoop {
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #clock: RegistryClock;
  #timer: Timer | undefined;

  constructor(registry: Registry, log: Log, clock: RegistryClock) {
    this.#registry = registry;
    this.#log = log;
    this.#clock = clock;
  }

  start(): void {
    this.#timer = this.#clock.after(INTERVAL_MS, () => this.#turn());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #turn(): void {
    const due: Instance[] = [];
    const done = this.#registry.collectDue(this.#clock.now(), LOOKS_PER_TURN, due);
    const next = this.#expire(due) ? (done ? INTERVAL_MS : 0) : REFUSED_MS;
    this.#timer = this.#clock.after(next, () => this.#turn());
  }

  /** @returns whether the log took them. */
  #expire(due: readonly Instance[]): boolean {
    try {
      for (const instance of due) this.#log.propose(endOf('expire', instance, this.#clock.wall()));
      return true;
    } catch (error) {
      if (error instanceof RegistryError) return false;
      throw error;
    }
  }
}
