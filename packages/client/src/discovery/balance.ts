import type { Instance } from './instance.js';
import { PowerOfTwo } from './power-of-two.js';
import { Rendezvous } from './rendezvous.js';
import { RoundRobin, WeightedTurns } from './turns.js';

/**
 * How the next instance is chosen.
 *
 * - `round-robin`: in turns, whatever their weights.
 * - `weighted`: in turns, each as often as its weight says, and evenly spread.
 * - `power-of-two`: two at random by weight, and of these the one with less in flight for its weight.
 * - `rendezvous`: the same one for the same key, as long as it is there. Of the keys of one that goes each other gets
 *   its share, and no other key moves.
 */
export type Balance = keyof typeof BALANCERS;

/**
 * Made for one list of instances and thrown away with it, so that a pick has nothing to look up. No pick allocates.
 * With n instances it costs a constant in turns, log n by weight or power of two, and n by rendezvous.
 */
export interface Balancer {
  /** @param key is for `rendezvous`; the others do not look at it. */
  pick(key?: string): Instance | undefined;
}

type MakeBalancer = new (instances: readonly Instance[], random: () => number) => Balancer;

/** One row per strategy. */
const BALANCERS = {
  'round-robin': RoundRobin,
  weighted: WeightedTurns,
  'power-of-two': PowerOfTwo,
  rendezvous: Rendezvous,
} as const satisfies Record<string, MakeBalancer>;

export function isBalance(text: unknown): text is Balance {
  return typeof text === 'string' && Object.hasOwn(BALANCERS, text);
}

/** @param random gives a number from 0 up to, but not, 1. */
export function makeBalancer(balance: Balance, instances: readonly Instance[], random: () => number): Balancer {
  return new BALANCERS[balance](instances, random);
}

/**
 * Which of the usable instances take requests: those of a weight above 0, unless there is none; of these the ones in
 * the caller's own zone, unless there is none.
 */
export function candidates(usable: readonly Instance[], zone: string | undefined): readonly Instance[] {
  const weighty = unlessEmpty(
    usable.filter(({ weight }) => weight > 0),
    usable,
  );
  if (zone === undefined) return weighty;
  return unlessEmpty(
    weighty.filter(({ meta }) => meta['zone'] === zone),
    weighty,
  );
}

function unlessEmpty<T>(preferred: readonly T[], others: readonly T[]): readonly T[] {
  return preferred.length > 0 ? preferred : others;
}
