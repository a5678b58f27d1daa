import type { Instance } from './instance.js';

/** How many seats a row has. */
const SEATS = 1024;
/** The deadline of a seat that is empty, and of one that never expires. */
const NEVER = Number.POSITIVE_INFINITY;
/** The deadline of one that has expired, and whose end is being ordered. */
const ENDING = Number.NEGATIVE_INFINITY;

/** So many instances that follow one another in the order of generations, and their deadlines. */
export class Row {
  /** All that sit here have this generation or a later one, and all in rows before it an earlier one. */
  readonly first: number;
  readonly instances = new Array<Instance | undefined>(SEATS).fill(undefined);
  /** By seat, in registry time. */
  readonly deadlines = new Float64Array(SEATS).fill(NEVER);
  /** How many seats were taken, one after the other; some of them may be empty again. */
  taken = 0;
  /** How many instances sit here. */
  size = 0;
  /** No deadline is before this. Renewals do not touch it, so there may be none until much later. */
  earliest = NEVER;

  constructor(first: number) {
    this.first = first;
  }

  /** Seats an instance behind all others. */
  add(instance: Instance, expiresAt: number): void {
    this.#seat(instance, this.taken, expiresAt);
    this.taken += 1;
    this.size += 1;
  }

  remove(instance: Instance): void {
    this.instances[instance.seat] = undefined;
    this.deadlines[instance.seat] = NEVER;
    this.size -= 1;
    instance.row = undefined;
  }

  /** Gives the seat of `old` to `instance`, which is the same generation, changed. */
  replace(old: Instance, instance: Instance, expiresAt: number): void {
    this.#seat(instance, old.seat, expiresAt);
    old.row = undefined;
  }

  setDeadline(seat: number, expiresAt: number): void {
    this.deadlines[seat] = expiresAt;
    if (expiresAt < this.earliest && expiresAt !== ENDING) this.earliest = expiresAt;
  }

  /** Adds to `due` whose deadline has passed, until there are `most`. @returns whether these are all. */
  collectDue(now: number, most: number, due: Instance[]): boolean {
    let earliest = NEVER;
    for (let seat = 0; seat < this.taken; seat += 1) {
      const deadline = this.deadlines[seat] ?? NEVER;
      if (deadline === ENDING) continue;
      if (deadline < earliest) earliest = deadline;
      if (deadline > now) continue;
      if (due.length === most) return false;
      const instance = this.instances[seat];
      if (instance !== undefined) due.push(instance);
    }
    this.earliest = earliest;
    return true;
  }

  countDue(now: number): number {
    if (this.earliest > now) return 0;
    return this.deadlines.reduce((count, deadline) => (deadline <= now && deadline !== ENDING ? count + 1 : count), 0);
  }

  /** Moves all up, so that the empty seats are behind them, and those of `next` after them. */
  gather(next?: Row): void {
    const { taken } = this;
    this.taken = 0;
    this.size = 0;
    this.#take(this, taken);
    this.instances.fill(undefined, this.taken, taken);
    this.deadlines.fill(NEVER, this.taken, taken);
    if (next !== undefined) this.#take(next, next.taken);
  }

  #take({ instances, deadlines }: Row, taken: number): void {
    for (let seat = 0; seat < taken; seat += 1) {
      const instance = instances[seat];
      if (instance !== undefined) this.add(instance, deadlines[seat] ?? NEVER);
    }
  }

  #seat(instance: Instance, seat: number, expiresAt: number): void {
    this.instances[seat] = instance;
    instance.row = this;
    instance.seat = seat;
    this.setDeadline(seat, expiresAt);
  }
}

/**
 * All instances in the order of their generations, so that pages and snapshots have an order in which an instance
 * never moves; and when each is due. They sit in rows. Removing leaves an empty seat, and rows that fit into one become
 * one, so that no operation costs more than a row.
 *
 * A renewal is one write into the row's deadlines. Who is due is found by going through those, of the rows where
 * somebody may be: a µs for each row, once per renewal interval or so, and some ms for a million instances where every
 * row has somebody at every look. Nothing is filed by time, and there is no timer but the one that looks.
 */
export class Roster {
  #rows: Row[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Seats an instance whose generation is above all that are seated. */
  add(instance: Instance, expiresAt: number): void {
    this.#rowFor(instance.generation).add(instance, expiresAt);
    this.#size += 1;
  }

  remove(instance: Instance): void {
    const { row } = instance;
    if (row === undefined) return;
    row.remove(instance);
    this.#size -= 1;
    if (row.size === SEATS / 2 || row.size === 0) this.#tidy(row);
  }

  /** Gives the seat of `old` to `instance`, which is the same generation, changed. */
  replace(old: Instance, instance: Instance, expiresAt: number): void {
    old.row?.replace(old, instance, expiresAt);
  }

  setDeadline({ row, seat }: Instance, expiresAt: number): void {
    row?.setDeadline(seat, expiresAt);
  }

  /** Has one that has expired not found by `collectDue` until it is given a deadline again. */
  suspend({ row, seat }: Instance): void {
    row?.setDeadline(seat, ENDING);
  }

  clear(): void {
    this.#rows = [];
    this.#size = 0;
  }

  /** Those with a generation above `generation`, in order. Nothing may change while they are walked. */
  *after(generation: number): Generator<Instance> {
    for (let index = this.#indexOf(generation); index < this.#rows.length; index += 1) {
      for (const instance of this.#rows[index]?.instances ?? []) {
        if (instance !== undefined && instance.generation > generation) yield instance;
      }
    }
  }

  /** A copy of the whole, for who walks it over many turns. */
  toArray(): Instance[] {
    return this.#rows.flatMap(({ instances }) => instances.filter((instance) => instance !== undefined));
  }

  /**
   * Adds to `due` those whose deadline has passed, until there are `most`. They are found again until they are removed.
   *
   * @returns whether these are all; if not, the caller ends them and comes back.
   */
  collectDue(now: number, most: number, due: Instance[]): boolean {
    for (const row of this.#rows) {
      if (row.earliest <= now && !row.collectDue(now, most, due)) return false;
    }
    return true;
  }

  /** How many have a deadline that has passed. */
  countDue(now: number): number {
    return this.#rows.reduce((count, row) => count + row.countDue(now), 0);
  }

  /** Where one of this generation is to sit. */
  #rowFor(generation: number): Row {
    const last = this.#rows.at(-1);
    if (last !== undefined && last.taken === SEATS && last.size <= SEATS / 2) last.gather();
    if (last !== undefined && last.taken < SEATS) return last;
    const row = new Row(generation);
    this.#rows.push(row);
    return row;
  }

  /** Joins a row that is half empty with those beside it, as far as they fit. So of any two rows one is half full. */
  #tidy(row: Row): void {
    let index = this.#indexOf(row.first);
    while (this.#join(index)) {}
    while (this.#join(index - 1)) index -= 1;
  }

  /** @returns whether the row and the next fitted into one. */
  #join(index: number): boolean {
    const row = this.#rows[index];
    const next = this.#rows[index + 1];
    if (row === undefined || next === undefined || row.size + next.size > SEATS) return false;
    row.gather(next);
    this.#rows.splice(index + 1, 1);
    return true;
  }

  /** Binary search for the row in which one of this generation would sit. */
  #indexOf(generation: number): number {
    let low = 0;
    let high = this.#rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const row = this.#rows[middle];
      if (row !== undefined && row.first <= generation) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
