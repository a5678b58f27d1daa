/**
 * Rendezvous hashing (highest random weight): key and instance together give a number u from 0 to 1 that looks random,
 * and the instance with the highest ln(u) / weight has the key. Each caller comes to the same answer by itself, and an
 * instance that goes takes no number away from the others. Hashes of 32 bits by FNV-1a, mixed as MurmurHash3 does at
 * its end: not for secrets, but a key of 20 characters costs some 20 ns.
 */

import { type Instance, nameOf } from './instance.js';

const FNV_BASIS = 0x811c9dc5;
/** Any other start gives a hash that is independent enough. */
const OTHER_BASIS = 0x9e3779b1;
/** Keys for those who give none. */
const GOLDEN = 0x9e3779b9;

interface Place {
  readonly instance: Instance;
  readonly weight: number;
  /** Two hashes of its name: with one of 32 bits, one pair in 10,000 sets of 1,000 instances would be the same. */
  readonly hash: number;
  readonly other: number;
}

export class Rendezvous {
  readonly #places: readonly Place[];
  #keyless: number;

  constructor(instances: readonly Instance[], random: () => number) {
    this.#places = instances.map((instance) => {
      const name = nameOf(instance);
      const [hash, other] = [hashOf(name, FNV_BASIS), hashOf(name, OTHER_BASIS)];
      return { instance, weight: instance.weight || 1, hash, other };
    });
    this.#keyless = Math.floor(random() * 2 ** 32) | 0;
  }

  /** Without a key: any, by weight. */
  pick(key?: string): Instance | undefined {
    if (key === undefined) this.#keyless = (this.#keyless + GOLDEN) | 0;
    const keyHash = key === undefined ? this.#keyless : hashOf(key, FNV_BASIS);
    let best: Instance | undefined;
    let bestScore = Number.NEGATIVE_INFINITY;
    for (const place of this.#places) {
      // From above 0 to 1.
      const u = ((mix(mix(keyHash ^ place.hash) ^ place.other) >>> 0) + 1) / 2 ** 32;
      // ln(u) is at most u - 1, and so most are found to be beaten without a logarithm.
      if ((u - 1) / place.weight <= bestScore) continue;
      const score = Math.log(u) / place.weight;
      if (score <= bestScore) continue;
      best = place.instance;
      bestScore = score;
    }
    return best;
  }
}

function hashOf(text: string, basis: number): number {
  let hash = basis;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** Lets every bit of a number change about half of the bits of the result. */
function mix(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
