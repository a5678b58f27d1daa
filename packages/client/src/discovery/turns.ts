import type { Instance } from './instance.js';

/** Each in its turn. */
export class RoundRobin {
  readonly #instances: readonly Instance[];
  #next: number;

  constructor(instances: readonly Instance[], random: () => number) {
    this.#instances = instances;
    // Ten thousand callers that learn of a change at once must not all go on with the first of the list.
    this.#next = Math.floor(random() * instances.length);
  }

  pick(): Instance | undefined {
    const instance = this.#instances[this.#next];
    this.#next = this.#next + 1 < this.#instances.length ? this.#next + 1 : 0;
    return instance;
  }
}

/** When the next turn of an instance is, in a time of its own in which one of weight w has a turn every 1/w. */
interface Turn {
  readonly instance: Instance;
  readonly interval: number;
  due: number;
}

/** From here on the dues are counted from 0 again, or the intervals of heavy instances would be lost in rounding. */
const MAX_DUE = 1e6;

/**
 * Each as often as its weight says, never twice more or less than its share, and not in bursts: the next is the one
 * whose turn is due first. nginx finds it by looking at all, here they are in a heap.
 */
export class WeightedTurns {
  /** A turn is never due before the one at half its index. */
  readonly #heap: Turn[];

  constructor(instances: readonly Instance[], random: () => number) {
    this.#heap = instances.map((instance) => {
      const interval = 1 / (instance.weight || 1);
      // At random within the first interval: light ones would otherwise all have their turn in a row.
      return { instance, interval, due: interval * random() };
    });
    this.#heap.sort((a, b) => a.due - b.due);
  }

  pick(): Instance | undefined {
    const turn = this.#heap[0];
    if (!turn) return undefined;
    if (turn.due > MAX_DUE) this.#rewind(turn.due);
    turn.due += turn.interval;
    this.#sink(turn);
    return turn.instance;
  }

  /** Moves the turn that was the first to where it belongs now. */
  #sink(turn: Turn): void {
    const heap = this.#heap;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      let next = heap[below];
      if (!next) break;
      const beside = heap[below + 1];
      if (beside && beside.due < next.due) {
        below += 1;
        next = beside;
      }
      if (turn.due <= next.due) break;
      heap[place] = next;
      place = below;
    }
    heap[place] = turn;
  }

  #rewind(by: number): void {
    for (const turn of this.#heap) turn.due -= by;
  }
}
