import type { Instance } from './instance.js';

/** How finely deadlines are filed, in ms. Expiry is late by at most this and the expiry loop's interval. */
const TICK_MS = 10;
/** The wheel goes round in 82 s; what is due later is filed at its far end, and from there again. */
const SLOTS = 8192;

/**
 * Deadlines, filed by when they may be due. A renewal does not touch the wheel: an instance that comes round
 * and has been renewed is filed again. So a heartbeat costs one write, an instance is looked at about once per
 * ttl (or per turn of the wheel), and there is no timer but the one that drives the wheel.
 */
export class TimingWheel {
  readonly #slots: Instance[][] = Array.from({ length: SLOTS }, () => []);
  /** The tick whose slot is being looked at; all before it are done. */
  #cursor: number;
  #size = 0;

  /** @param now where the wheel begins: every deadline is filed from there on. */
  constructor(now: number) {
    this.#cursor = tickOf(now);
  }

  /** How many deadlines are filed. */
  get size(): number {
    return this.#size;
  }

  file(instance: Instance): void {
    if (instance.expiresAt === Number.POSITIVE_INFINITY) return;
    const tick = Math.min(Math.max(tickOf(instance.expiresAt), this.#cursor), this.#cursor + SLOTS - 1);
    const slot = this.#slotAt(tick);
    instance.tick = tick;
    instance.place = slot.length;
    slot.push(instance);
    this.#size += 1;
  }

  remove(instance: Instance): void {
    if (instance.tick === -1) return;
    const slot = this.#slotAt(instance.tick);
    const last = slot.pop();
    if (last !== undefined && last !== instance) {
      slot[instance.place] = last;
      last.place = instance.place;
    }
    instance.tick = -1;
    this.#size -= 1;
  }

  refile(instance: Instance): void {
    this.remove(instance);
    this.file(instance);
  }

  clear(): void {
    for (const slot of this.#slots) slot.length = 0;
    this.#size = 0;
  }

  /**
   * Adds to `due` those whose deadline has passed; they stay filed until they are removed. Looks at no more
   * than `most` instances, and only into ticks that are wholly over, so that none is looked at in vain.
   *
   * @returns whether every tick that is over is done; if not, the caller ends what is due and comes back.
   */
  collect(now: number, most: number, due: Instance[]): boolean {
    const end = tickOf(now);
    let looks = most;
    while (this.#cursor < end) {
      const slot = this.#slotAt(this.#cursor);
      for (let place = slot.length - 1; place >= 0; place -= 1) {
        if (looks === 0) return false;
        looks -= 1;
        const instance = slot[place];
        if (instance === undefined) continue;
        if (instance.expiresAt <= now) due.push(instance);
        else this.refile(instance);
      }
      if (slot.length > 0) return false;
      // An array that was long keeps its room when it is emptied, and there are thousands of them.
      this.#slots[this.#cursor % SLOTS] = [];
      this.#cursor += 1;
    }
    return true;
  }

  /** How many of those that are filed have a deadline that has passed. */
  countDue(now: number): number {
    const end = Math.min(tickOf(now), this.#cursor + SLOTS - 1);
    let count = 0;
    for (let tick = this.#cursor; tick <= end; tick += 1) {
      for (const { expiresAt } of this.#slotAt(tick)) if (expiresAt <= now) count += 1;
    }
    return count;
  }

  #slotAt(tick: number): Instance[] {
    const slot = this.#slots[tick % SLOTS];
    if (slot === undefined) throw new RangeError(`no slot for tick ${tick}`);
    return slot;
  }
}

function tickOf(time: number): number {
  return Math.floor(time / TICK_MS);
}
