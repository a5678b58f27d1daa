import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Instance } from '../src/registry/instance.js';
import { Roster } from '../src/registry/roster.js';
import { instanceOf, PLAIN } from './harness.js';

const NEVER = Number.POSITIVE_INFINITY;

function create(generation: number): Instance {
  const times = { at: 0, registered: 0, ttl: 1000, expiresAt: 0 };
  const change = { kind: 'register', revision: generation, key: 's', instance: '', generation, body: '' } as const;
  return instanceOf({ ...change, ...times, ...PLAIN });
}

/** Removes what is due, as the expiry loop does. @returns what was. */
function endDue(roster: Roster, now: number, most: number): Instance[] {
  const all: Instance[] = [];
  for (;;) {
    const due: Instance[] = [];
    const isDone = roster.collectDue(now, most, due);
    for (const instance of due) roster.remove(instance);
    all.push(...due);
    if (isDone) return all;
  }
}

/** Some that remain of many, so that rows were left, emptied and joined: every `of`-th of so many. */
const thinned = fc.record({ count: fc.constantFrom(0, 10, 1024, 5000), of: fc.constantFrom(1, 2, 3, 700) });
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('add' as const), count: fc.nat(3), left: fc.nat(2000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('add' as const), count: fc.constant(1500), left: fc.nat(2000) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('remove' as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('thin' as const), of: fc.integer({ min: 2, max: 5 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('replace' as const), at: fc.nat(), left: fc.nat(2000) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('move' as const), at: fc.nat(), left: fc.nat(3000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('suspend' as const), at: fc.nat() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.nat(500),
      most: fc.integer({ min: 1, max: 5000 }),
    }),
  },
);

test('the roster keeps the order of generations, and every deadline, through any coming and going', () => {
  fc.assert(
    fc.property(thinned, fc.array(step, { maxLength: 60 }), ({ count, of }, steps) => {
      const roster = new Roster();
      /** In order; with the deadline, and whether its end is being ordered. */
      let model: { instance: Instance; due: number; isSuspended: boolean }[] = [];
      let now = 1_700_000_000_000;
      let generation = 0;
      const add = (due: number): void => {
        generation += 2;
        const instance = create(generation);
        roster.add(instance, due);
        model.push({ instance, due, isSuspended: false });
      };
      const keep = (isKept: (index: number) => boolean): void => {
        for (const [index, { instance }] of model.entries()) if (!isKept(index)) roster.remove(instance);
        model = model.filter((_, index) => isKept(index));
      };
      for (let n = 0; n < count; n += 1) add(n % 10 === 0 ? NEVER : now + (n % 1000));
      keep((index) => index % of === 0);

      for (const each of steps) {
        const at = 'at' in each ? each.at % (model.length || 1) : 0;
        const entry = model[at];
        if (each.do === 'add') for (let n = 0; n < each.count; n += 1) add(now + each.left + n);
        else if (each.do === 'thin') keep((index) => index % each.of !== 0);
        else if (each.do === 'wait') {
          now += each.ms;
          const wanted = model.filter(({ due, isSuspended }) => due <= now && !isSuspended);
          expect(roster.countDue(now)).toBe(wanted.length);
          expect(endDue(roster, now, each.most)).toEqual(wanted.map(({ instance }) => instance));
          for (const { instance } of wanted) expect(instance.expiresAt).toBe(Number.NEGATIVE_INFINITY);
          model = model.filter((other) => !wanted.includes(other));
        } else if (entry === undefined) continue;
        else if (each.do === 'remove') keep((index) => index !== at);
        else if (each.do === 'move') {
          entry.due = now + each.left;
          entry.isSuspended = false;
          roster.setDeadline(entry.instance, entry.due);
        } else if (each.do === 'replace') {
          const changed = create(entry.instance.generation);
          roster.replace(entry.instance, changed, now + each.left);
          model[at] = { instance: changed, due: now + each.left, isSuspended: false };
        } else {
          roster.suspend(entry.instance);
          entry.isSuspended = true;
        }
      }

      expect(roster.toArray()).toEqual(model.map(({ instance }) => instance));
      expect(roster.size).toBe(model.length);
      for (const { instance, due, isSuspended } of model) {
        expect(instance.expiresAt).toBe(isSuspended ? Number.NEGATIVE_INFINITY : due);
      }
      for (const index of [0, 1, model.length >> 1, model.length - 1]) {
        const after = model[index]?.instance.generation;
        if (after === undefined) continue;
        expect([...roster.after(after)]).toEqual(model.slice(index + 1).map(({ instance }) => instance));
        expect([...roster.after(after - 1)]).toEqual(model.slice(index).map(({ instance }) => instance));
      }
      expect([...roster.after(generation)]).toEqual([]);
    }),
    { numRuns: 100 },
  );
});

describe('a roster', () => {
  test('gives no more at once than it is asked for', () => {
    const roster = new Roster();
    for (let generation = 1; generation <= 10_000; generation += 1) roster.add(create(generation), 5);
    const due: Instance[] = [];
    expect(roster.collectDue(5, 2000, due)).toBe(false);
    expect(due).toHaveLength(2000);
  });

  test('keeps no row for those who are gone, in whatever order they came and went', () => {
    const roster = new Roster();
    const staying: Instance[] = [];
    for (let generation = 1; generation <= 50_000; generation += 1) {
      const instance = create(generation);
      roster.add(instance, NEVER);
      if (generation % 100 === 0) staying.push(instance);
      else roster.remove(instance);
    }
    expect(roster.toArray()).toEqual(staying);
    expect(new Set(staying.map(({ row }) => row)).size).toBe(1);
  });
});
