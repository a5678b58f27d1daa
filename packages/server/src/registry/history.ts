import type { Change } from '../change.js';

/**
 * The latest changes, in order, in a ring: what a watcher that was away for a moment has missed. Bounded by
 * count; who asks further back than it reaches is told so, and starts from the present state instead.
 */
export class History {
  readonly #ring: (Change | undefined)[];
  #oldest = 0;
  #size = 0;
  /** Every change after this revision is held. */
  #since = 0;

  /** @param capacity how many changes are held. */
  constructor(capacity: number) {
    this.#ring = new Array<Change | undefined>(capacity).fill(undefined);
  }

  push(change: Change): void {
    if (this.#size === this.#ring.length) {
      this.#since = this.#ring[this.#oldest]?.revision ?? change.revision;
      this.#ring[this.#oldest] = change;
      this.#oldest = (this.#oldest + 1) % this.#ring.length;
    } else {
      this.#ring[(this.#oldest + this.#size) % this.#ring.length] = change;
      this.#size += 1;
    }
  }

  /** Forgets everything: what comes next comes after `revision`. */
  restart(revision: number): void {
    this.#ring.fill(undefined);
    this.#oldest = 0;
    this.#size = 0;
    this.#since = revision;
  }

  /** The changes after `revision`, in order; `undefined` where some of them are no longer held. */
  after(revision: number): Change[] | undefined {
    if (revision < this.#since) return undefined;
    const changes: Change[] = [];
    for (let index = this.#size - 1; index >= 0; index -= 1) {
      const change = this.#ring[(this.#oldest + index) % this.#ring.length];
      if (change === undefined || change.revision <= revision) break;
      changes.push(change);
    }
    return changes.reverse();
  }
}
