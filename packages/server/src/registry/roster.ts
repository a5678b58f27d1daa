import type { Instance } from './instance.js';

/** Below this a roster is not worth tidying. */
const TIDY_FROM = 1024;

/**
 * All instances in the order of their generations, so that pages and snapshots have an order in which an
 * instance never moves. Removing leaves an empty seat; when more than half are empty, all move up.
 */
export class Roster {
  #seats: (Instance | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Seats an instance whose generation is above all that are seated. */
  add(instance: Instance): void {
    instance.seat = this.#seats.length;
    this.#seats.push(instance);
    this.#size += 1;
  }

  /** Gives the seat of `old` to `instance`, which is the same generation, changed. */
  replace(old: Instance, instance: Instance): void {
    instance.seat = old.seat;
    this.#seats[old.seat] = instance;
  }

  remove(instance: Instance): void {
    this.#seats[instance.seat] = undefined;
    this.#size -= 1;
    if (this.#seats.length > TIDY_FROM && this.#size * 2 < this.#seats.length) this.#tidy();
  }

  clear(): void {
    this.#seats = [];
    this.#size = 0;
  }

  /** Those with a generation above `generation`, in order. Nothing may change while it is walked. */
  *after(generation: number): Generator<Instance> {
    for (let seat = this.#firstAfter(generation); seat < this.#seats.length; seat += 1) {
      const instance = this.#seats[seat];
      if (instance !== undefined) yield instance;
    }
  }

  /** A copy of the whole, for who walks it over many turns. */
  toArray(): Instance[] {
    return this.#seats.filter((instance) => instance !== undefined);
  }

  /** Binary search; it steps over empty seats. */
  #firstAfter(generation: number): number {
    let low = 0;
    let high = this.#seats.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      let probe = middle;
      while (probe < high && this.#seats[probe] === undefined) probe += 1;
      const instance = this.#seats[probe];
      if (probe === high || instance === undefined || instance.generation > generation) high = middle;
      else low = probe + 1;
    }
    return low;
  }

  #tidy(): void {
    this.#seats = this.toArray();
    this.#seats.forEach((instance, seat) => {
      if (instance !== undefined) instance.seat = seat;
    });
  }
}
