import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Balance, type Balancer, candidates, makeBalancer } from '../src/discovery/balance.js';
import { Instance } from '../src/discovery/instance.js';
import { record } from './fake-watches.js';

function make(weights: readonly number[]): Instance[] {
  return weights.map((weight, index) => new Instance(record(`i-${index}`, { weight })));
}

/** The same numbers in each run, from 0 to 1: Mulberry32. */
function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How often each was picked in so many picks, as a share of all. */
function shares(balancer: Balancer, instances: readonly Instance[], picks: number, key?: (pick: number) => string) {
  const counts = new Map<Instance | undefined, number>();
  for (let pick = 0; pick < picks; pick += 1) {
    const instance = balancer.pick(key?.(pick));
    counts.set(instance, (counts.get(instance) ?? 0) + 1);
  }
  return instances.map((instance) => (counts.get(instance) ?? 0) / picks);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 12 });

test.each(['round-robin', 'weighted', 'power-of-two', 'rendezvous'] as const)(
  '%s picks nothing from nothing, and the only one from one',
  (balance) => {
    expect(makeBalancer(balance, [], Math.random).pick('k')).toBeUndefined();
    const [only] = make([0]);
    expect(only && makeBalancer(balance, [only], Math.random).pick('k')).toBe(only);
  },
);

describe('round-robin', () => {
  test('takes each in its turn, and begins anywhere', () => {
    const instances = make([1, 5, 1]);
    const balancer = makeBalancer('round-robin', instances, () => 0.5);
    const names = Array.from({ length: 5 }, () => balancer.pick()?.instance);
    expect(names).toEqual(['i-1', 'i-2', 'i-0', 'i-1', 'i-2']);
  });
});

describe('weighted', () => {
  test('gives each its share to within two picks, however many', () => {
    fc.assert(
      fc.property(weights, fc.integer({ min: 1, max: 2000 }), fc.integer(), (weights, picks, seed) => {
        const instances = make(weights);
        const found = shares(makeBalancer('weighted', instances, seeded(seed)), instances, picks);
        for (const [index, weight] of weights.entries()) {
          expect(Math.abs((found[index] ?? 0) * picks - (weight / sum(weights)) * picks)).toBeLessThan(2);
        }
      }),
    );
  });

  test('spreads the heavy one evenly', () => {
    const [heavy, ...light] = make([8, 1, 1]);
    if (!heavy) throw new Error('no instance');
    const balancer = makeBalancer('weighted', [heavy, ...light], seeded(1));
    const picks = Array.from({ length: 1000 }, () => (balancer.pick() === heavy ? 'h' : 'l')).join('');
    expect(picks).not.toContain('lll');
    expect(picks).not.toContain('h'.repeat(10));
  });

  test('keeps the shares after very many picks, when the dues are counted anew', () => {
    const instances = make([2, 1]);
    const balancer = makeBalancer('weighted', instances, seeded(3));
    for (let pick = 0; pick < 3_000_100; pick += 1) balancer.pick();
    expect(shares(balancer, instances, 3000)[0]).toBeCloseTo(2 / 3, 2);
  });
});

describe('power-of-two', () => {
  test('shares are as the weights where nothing is in flight', () => {
    fc.assert(
      fc.property(weights, fc.integer(), (weights, seed) => {
        const instances = make(weights);
        const found = shares(makeBalancer('power-of-two', instances, seeded(seed)), instances, 20_000);
        for (const [index, weight] of weights.entries()) {
          expect(Math.abs((found[index] ?? 0) - weight / sum(weights))).toBeLessThan(0.025);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('never takes the busier of two, for its weight', () => {
    const [small, big] = make([1, 4]);
    if (!small || !big) throw new Error('no instances');
    const balancer = makeBalancer('power-of-two', [small, big], seeded(2));
    const end = Instance.track(small);
    const ends = [1, 2, 3].map(() => Instance.track(big));
    for (let pick = 0; pick < 100; pick += 1) expect(balancer.pick()).toBe(big);
    end();
    for (let pick = 0; pick < 100; pick += 1) expect(balancer.pick()).toBe(small);
    for (const end of ends) end();
    expect(shares(balancer, [small, big], 1000).every((share) => share > 0.1)).toBe(true);
  });
});

describe('rendezvous', () => {
  const keys = Array.from({ length: 500 }, (_, index) => `key-${index}`);

  test('moves the keys of an instance that goes, and no other', () => {
    fc.assert(
      fc.property(weights, fc.nat(), (weights, which) => {
        const instances = make(weights);
        const gone = instances[which % instances.length];
        const before = makeBalancer('rendezvous', instances, Math.random);
        const after = makeBalancer(
          'rendezvous',
          instances.filter((instance) => instance !== gone),
          Math.random,
        );
        for (const key of keys) {
          const instance = before.pick(key);
          if (instance !== gone) expect(after.pick(key)).toBe(instance);
          else expect(after.pick(key)).not.toBe(gone);
        }
      }),
    );
  });

  test('all callers come to the same answer, whatever the order of what they know', () => {
    const instances = make([1, 2, 3, 4, 5]);
    const one = makeBalancer('rendezvous', instances, () => 0);
    const other = makeBalancer('rendezvous', instances.toReversed(), () => 0.9);
    for (const key of keys) expect(one.pick(key)).toBe(other.pick(key));
  });

  test.each([
    ['with keys', (pick: number) => `customer ${pick}`],
    ['without keys', undefined],
  ])('shares are as the weights, %s', (_, key) => {
    fc.assert(
      fc.property(weights, (weights) => {
        const instances = make(weights);
        const found = shares(
          makeBalancer('rendezvous', instances, () => 0.3),
          instances,
          20_000,
          key,
        );
        for (const [index, weight] of weights.entries()) {
          expect(Math.abs((found[index] ?? 0) - weight / sum(weights))).toBeLessThan(0.025);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('what the heavier one gains is taken from each of the others', () => {
    const light = make([1, 1, 1, 1]);
    const heavy = make([4, 1, 1, 1]);
    const before = makeBalancer('rendezvous', light, Math.random);
    const after = makeBalancer('rendezvous', heavy, Math.random);
    for (const key of keys) {
      const now = after.pick(key)?.instance;
      if (now !== 'i-0') expect(now).toBe(before.pick(key)?.instance);
    }
  });
});

describe('the candidates', () => {
  const names = (instances: readonly Instance[]) => instances.map(({ instance }) => instance);
  const instance = (name: string, weight: number, zone?: string) =>
    new Instance(record(name, { weight, ...(zone && { meta: { zone } }) }));

  test('those without weight come only where there are no others', () => {
    expect(names(candidates([instance('a', 0), instance('b', 2)], undefined))).toEqual(['b']);
    expect(names(candidates([instance('a', 0), instance('b', 0)], undefined))).toEqual(['a', 'b']);
  });

  test('the own zone comes first, and the others where it has none that takes requests', () => {
    const here = instance('here', 1, 'z1');
    const there = instance('there', 1, 'z2');
    const nowhere = instance('nowhere', 1);
    expect(names(candidates([here, there, nowhere], 'z1'))).toEqual(['here']);
    expect(names(candidates([there, nowhere], 'z1'))).toEqual(['there', 'nowhere']);
    expect(names(candidates([instance('idle', 0, 'z1'), there], 'z1'))).toEqual(['there']);
    expect(names(candidates([here, there], undefined))).toEqual(['here', 'there']);
  });
});

const ALL: readonly Balance[] = ['round-robin', 'weighted', 'power-of-two', 'rendezvous'];

test('weights of 0 count as equal where there are no others', () => {
  for (const balance of ALL) {
    const instances = make([0, 0, 0, 0]);
    const found = shares(makeBalancer(balance, instances, seeded(7)), instances, 20_000, (pick) => `k${pick}`);
    for (const share of found) expect(share).toBeCloseTo(0.25, 1);
  }
});
