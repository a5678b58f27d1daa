import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Change, RegisterChange } from '../src/change.js';
import { History } from '../src/registry/history.js';
import { Registry } from '../src/registry/registry.js';
import { changesAfter } from './changes.js';
import { PLAIN } from './harness.js';

function registration(revision: number, key: string, generation = revision, values = revision): RegisterChange {
  const body = `"values":${values},"timeout":1`;
  return {
    kind: 'register',
    revision,
    key,
    instance: '',
    generation,
    at: 0,
    registered: 0,
    ttl: 1000,
    body,
    ...PLAIN,
    expiresAt: 1000,
  };
}

test('applying depends on the state and the change alone: the same changes give the same registry', () => {
  const change = fc.record({
    kind: fc.constantFrom('register', 'update', 'destroy', 'expire'),
    key: fc.constantFrom('a', 'b', 'c'),
    stale: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change), (steps) => {
      const first = new Registry(100);
      const second = new Registry(100);
      const model = new Map<string, { generation: number; revision: number }>();
      steps.forEach(({ kind, key, stale }, index) => {
        const revision = index + 1;
        const generation = (model.get(key)?.generation ?? 0) - (stale ? 1 : 0);
        const made: Change =
          kind === 'register'
            ? registration(revision, key)
            : kind === 'update'
              ? registration(revision, key, generation)
              : { kind: kind as 'destroy', revision, key, instance: '', generation, at: 0, expiresAt: 1000 };
        const isEffective = kind === 'register' || (model.has(key) && !stale);
        expect(first.apply({ ...made })).toBe(isEffective);
        second.apply({ ...made });
        if (!isEffective) return;
        if (kind === 'register') model.set(key, { generation: revision, revision });
        else if (kind === 'update') model.set(key, { generation, revision });
        else model.delete(key);
      });
      const shown = (registry: Registry) =>
        registry.all().map(({ key, generation, revision, body }) => ({ key, generation, revision, body }));
      expect(shown(first)).toEqual(shown(second));
      expect(
        Object.fromEntries(shown(first).map(({ key, generation, revision }) => [key, { generation, revision }])),
      ).toEqual(Object.fromEntries(model));
      expect(first.revision).toBe(steps.length);
    }),
  );
});

test('history gives the changes after a revision, or says that it no longer has them all', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 0, max: 45 }),
      (capacity, count, after) => {
        const history = new History(capacity);
        const all = Array.from({ length: count }, (_, index) => registration((index + 1) * 2, 'a'));
        for (const change of all) history.push(change);
        const wanted = all.filter((change) => change.revision > after);
        const isHeld = wanted.length <= capacity;
        expect(changesAfter(history, after)).toEqual(isHeld ? wanted : undefined);
      },
    ),
  );
});

test('history holds no more than its size allows, and always the last change', () => {
  const history = new History(100, 1000);
  for (let revision = 1; revision <= 50; revision += 1) {
    history.push({ ...registration(revision, 'a'), body: 'x'.repeat(revision === 50 ? 5000 : 90) });
    expect(changesAfter(history, revision - 1)).toHaveLength(1);
    if (revision < 50) expect(changesAfter(history, revision - 11) ?? []).toHaveLength(revision < 11 ? 0 : 11);
  }
  expect(changesAfter(history, 48)).toBeUndefined();
});

test('history begins anew after a snapshot: what is before it is not there', () => {
  const history = new History(10);
  history.push(registration(1, 'a'));
  history.restart(7);
  expect(changesAfter(history, 6)).toBeUndefined();
  expect(changesAfter(history, 7)).toEqual([]);
  history.push(registration(8, 'a'));
  expect(changesAfter(history, 7)).toMatchObject([{ revision: 8 }]);
});
