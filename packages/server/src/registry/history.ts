import type { Change } from '../change.js';

/** So many characters of bodies are held at most, however few changes that are. */
const MAX_CHARS = 16 * 1024 * 1024;

/**
 * The latest changes, in order, in a ring: what a watcher that was away for a moment has missed. Bounded by count
 * and by size; who asks further back than it reaches is told so, and starts from the present state instead.
 */
export class History {
  readonly #ring: (Change | undefined)[];
  /** Of each change in the ring its revision and what it counts: the change itself may be far away by the time it goes. */
  readonly #revisions: Float64Array;
  readonly #sizes: Int32Array;
  readonly #maxChars: number;
  #oldest = 0;
  #size = 0;
  #chars = 0;
  #since = 0;

  /** @param capacity how many changes are held. */
  constructor(capacity: number, maxChars = MAX_CHARS) {
    this.#ring = new Array<Change | undefined>(capacity).fill(undefined);
    this.#revisions = new Float64Array(capacity);
    this.#sizes = new Int32Array(capacity);
    this.#maxChars = maxChars;
  }

  /** How many changes are held at most. */
  get capacity(): number {
    return this.#ring.length;
  }

  push(change: Change): void {
    const chars = charsOf(change);
    this.#chars += chars;
    while (this.#size === this.#ring.length || (this.#size > 0 && this.#chars > this.#maxChars)) this.#dropOldest();
    const place = this.#placeOf(this.#size);
    this.#ring[place] = change;
    this.#revisions[place] = change.revision;
    this.#sizes[place] = chars;
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
      if ((this.#revisions[this.#placeOf(middle)] ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The change that is `index` newer than the oldest that is held; `undefined` behind the latest. */
  at(index: number): Change | undefined {
    return index < this.#size ? this.#ring[this.#placeOf(index)] : undefined;
  }

  #dropOldest(): void {
    const place = this.#oldest;
    this.#ring[place] = undefined;
    this.#chars -= this.#sizes[place] ?? 0;
    this.#since = this.#revisions[place] ?? 0;
    this.#oldest = this.#placeOf(1);
    this.#size -= 1;
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
