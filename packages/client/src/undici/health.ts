import type { Backoff } from '../schedule.js';

/** When an instance that fails is left alone, and for how long; as Envoy's outlier detection has it. */
export interface Ejection {
  /** Failures in a row. */
  readonly after: number;
  /** ms; it doubles with every further time from `min` to `max`. */
  readonly time: Backoff;
}

/**
 * How one instance fares. When its time out of rotation is over, the next request is the test: one more failure
 * ejects it again, for twice as long, and one success makes all forgotten. All times are of one monotonic clock.
 */
export class Health {
  /** In a row. */
  #failures = 0;
  #ejections = 0;
  #ejectedUntil = Number.NEGATIVE_INFINITY;

  isEjected(now: number): boolean {
    return now < this.#ejectedUntil;
  }

  /** What was sent before an ejection and succeeds during it ends nothing: most of what it was sent had failed. */
  succeeded(now: number): void {
    if (this.isEjected(now)) return;
    this.#failures = 0;
    this.#ejections = 0;
  }

  /** @param mayEject whether enough others would be left. */
  failed(now: number, { after, time }: Ejection, mayEject: boolean): void {
    if (this.isEjected(now)) return;
    this.#failures += 1;
    if (this.#failures < after || !mayEject) return;
    this.#ejectedUntil = now + Math.min(time.max, time.min * 2 ** this.#ejections);
    this.#ejections += 1;
    this.#failures = after - 1;
  }

  /** It asked to be left alone for so long. */
  rest(until: number): void {
    this.#ejectedUntil = Math.max(this.#ejectedUntil, until);
  }
}
