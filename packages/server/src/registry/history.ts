import type { Change } from '../change.js';

/** So many characters of bodies are held at most, however few changes that are. */
const MAX_CHARS = 16 * 1024 * 1024;

/**
 * The latest changes, in order, in a ring: what a watcher that was away for a moment has missed. Bounded by count
 * and by size; who asks further back than it reaches is told so, and starts from the present state instead.
 */
export class History {
  readonly #ring: (Change | undefined)[];
  readonly #maxChars: number;
  #oldest = 0;
  #size = 0;
  #chars = 0;
  #since = 0;

  /** @param capacity how many changes are held. */
  constructor(capacity: number, maxChars = MAX_CHARS) {
    this.#ring = new Array<Change | undefined>(capacity).fill(undefined);
    this.#maxChars = maxChars;
  }

  /** How many changes are held at most. */
  get capacity(): number {
    return this.#ring.length;
  }

  push(change: Change): void {
    this.#chars += charsOf(change);
    while (this.#size === this.#ring.length || (this.#size > 0 && this.#chars > this.#maxChars)) this.#dropOldest();
    this.#ring[this.#placeOf(this.#size)] = change;
    this.#size += 1;
  }

  /** Forgets everything: what comes next comes after `revision`. */
  restart(revision: number): void {
    this.#ring.fill(undefined);
    this.#oldest = 0;
    this.#size = 0;
    this.#chars = 0;
    this.#since = revision;
  }

  /** Every change after this revision is held. */
  get since(): number {
    return this.#since;
  }

  /** Where the changes after `revision` begin, for `at`; by binary search. Good until the next `push`. */
  indexAfter(revision: number): number {
    let low = 0;
    let high = this.#size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const change = this.at(middle);
      if (change !== undefined && change.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The change that is `index` newer than the oldest that is held; `undefined` behind the latest. */
  at(index: number): Change | undefined {
    return index < this.#size ? this.#ring[this.#placeOf(index)] : undefined;
  }

  #dropOldest(): void {
    const change = this.#ring[this.#oldest];
    this.#ring[this.#oldest] = undefined;
    this.#oldest = this.#placeOf(1);
    this.#size -= 1;
    if (change === undefined) return;
    this.#chars -= charsOf(change);
    this.#since = change.revision;
  }

  /** Where in the ring the change is that is `index` newer than the oldest. */
  #placeOf(index: number): number {
    const place = this.#oldest + index;
    return place < this.#ring.length ? place : place - this.#ring.length;
  }
}

function charsOf(change: Change): number {
  return change.kind === 'register' ? change.body.length : 0;
}
