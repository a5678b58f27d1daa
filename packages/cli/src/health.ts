/**
 * What a check says in the course of time. One look begins `interval` after the last, and not before that is over.
 *
 *     unknown ──▶ passing ◀──▶ critical      one look that passes is enough; it takes two that fail in a row to be
 *                                            critical, and before the first that passes nothing is
 */

import type { Clock, Timer } from '@reg/protocol';
import type { Check } from './check.js';

export interface HealthHandler {
  /** It works, for the first time or again. */
  passing(): void;
  /** It worked, and does not any more. */
  critical(reason: string): void;
  /** It has not worked yet; told once. */
  waiting(reason: string): void;
}

const FAILURES = 2;

/** How long after a look at what has not worked yet the next comes at most, in ms: it may be about to. */
const EAGER_MS = 250;

/** How long one look may take at least, in ms, however short the interval. */
const LEAST_PATIENCE_MS = 1000;

export class Health {
  readonly #check: Check;
  readonly #interval: number;
  readonly #clock: Clock;
  readonly #handler: HealthHandler;
  #verdict: 'unknown' | 'passing' | 'critical' = 'unknown';
  /** Looks in a row that failed. */
  #failures = 0;
  #stopped = false;
  #timer: Timer | undefined;
  /** Of the look that is under way. */
  #look: AbortController | undefined;

  /** @param interval ms */
  constructor(check: Check, interval: number, clock: Clock, handler: HealthHandler) {
    this.#check = check;
    this.#interval = interval;
    this.#clock = clock;
    this.#handler = handler;
  }

  start(): void {
    void this.#lookOnce();
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#look?.abort();
  }

  async #lookOnce(): Promise<void> {
    const began = this.#clock.monotonic();
    const failure = await this.#failureOf();
    if (this.#stopped) return;
    if (failure === undefined) this.#passed();
    else this.#failed(failure);
    const pace = this.#verdict === 'unknown' ? Math.min(this.#interval, EAGER_MS) : this.#interval;
    const left = Math.max(0, began + pace - this.#clock.monotonic());
    this.#timer = this.#clock.after(left, () => void this.#lookOnce());
  }

  /** Looks, and says what was wrong; `undefined` where nothing was. */
  async #failureOf(): Promise<string | undefined> {
    const controller = new AbortController();
    this.#look = controller;
    const timer = this.#clock.after(Math.max(this.#interval, LEAST_PATIENCE_MS), () => controller.abort());
    try {
      await this.#check(controller.signal);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      timer.cancel();
    }
  }

  #passed(): void {
    this.#failures = 0;
    if (this.#verdict === 'passing') return;
    this.#verdict = 'passing';
    this.#handler.passing();
  }

  #failed(reason: string): void {
    this.#failures += 1;
    if (this.#verdict === 'unknown' && this.#failures === 1) this.#handler.waiting(reason);
    if (this.#verdict !== 'passing' || this.#failures < FAILURES) return;
    this.#verdict = 'critical';
    this.#handler.critical(reason);
  }
}
