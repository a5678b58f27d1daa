import type { Instance } from './instance.js';

/**
 * Of two at random, the one with less in flight for its weight. Comparing two is nearly as good as comparing all, and
 * callers that do not know of each other do not all run to the one that is idle just now. Where nothing is in flight
 * the first of the two is taken, so that the shares are as the weights even if nobody tracks requests.
 */
export class PowerOfTwo {
  readonly #instances: readonly Instance[];
  readonly #random: () => number;
  /** The sum of the weights up to each instance, its own included. */
  readonly #sums: readonly number[];
  readonly #total: number;

  constructor(instances: readonly Instance[], random: () => number) {
    this.#instances = instances;
    this.#random = random;
    let total = 0;
    this.#sums = instances.map(({ weight }) => {
      total += weight || 1;
      return total;
    });
    this.#total = total;
  }

  pick(): Instance | undefined {
    const first = this.#draw();
    const second = this.#draw();
    const one = this.#instances[first];
    // A second draw of the same is no comparison; its neighbour is as good as any.
    const other = this.#instances[second === first ? (first + 1) % this.#instances.length : second];
    if (!one || !other) return one;
    return one.inFlight * (other.weight || 1) <= other.inFlight * (one.weight || 1) ? one : other;
  }

  /** The index of an instance, by weight: the first whose sum is above a random number. */
  #draw(): number {
    const at = this.#random() * this.#total;
    const sums = this.#sums;
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
