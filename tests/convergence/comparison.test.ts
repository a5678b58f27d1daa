import { expect, test } from 'vitest';
import { compare, type Listed, type Owned, type View } from './comparison.js';

const owned: Owned = { key: 'web', instance: 'a', values: { owner: 'w0.1' }, state: 'registered', owner: 'w0.1/0' };
const listed: Listed = { key: 'web', instance: 'a', values: { owner: 'w0.1' }, generation: 3, revision: 5 };
const view: View = { name: 'w1.1/0', what: 'web', listed: [{ ...listed, status: 'passing' }] };

test('nothing is wrong where owners, registry and views agree', () => {
  expect(compare([owned], [listed], [view])).toEqual([]);
  expect(compare([], [], [{ ...view, listed: [] }])).toEqual([]);
});

test('a view answers for what it watches and for nothing else', () => {
  const other: View = { ...view, what: 'mail', listed: [] };
  expect(compare([owned], [listed], [other])).toEqual([]);
  for (const what of ['all', { prefix: 'w' }]) {
    expect(compare([owned], [listed], [{ ...view, what, listed: [] }])).toHaveLength(1);
  }
});

const changed: [string, Partial<Listed>][] = [
  ['values', { values: { owner: 'w0.2' } }],
  ['status', { status: 'suspect' }],
];
test.each(changed)('an instance with other %s than its owner has is found', (_, difference) => {
  expect(compare([owned], [{ ...listed, ...difference }], [])).toHaveLength(1);
});

const seen: [string, Partial<Listed>][] = [
  ...changed,
  ['revision', { revision: 4 }],
  ['generation', { generation: 2 }],
  ['name', { instance: 'b' }],
];
test.each(seen)('a view with another %s than the registry is found', (_, difference) => {
  expect(compare([owned], [listed], [{ ...view, listed: [{ ...listed, ...difference }] }])).not.toEqual([]);
});

test('what is missing, nobody owns, is there twice, or is not said to be registered is found', () => {
  expect(compare([owned], [], [])).toEqual(['web/a of w0.1/0 is not registered']);
  expect(compare([], [listed], [])).toEqual(['web/a is registered, and nobody owns it']);
  expect(compare([owned], [listed, listed], [])).toEqual(['web/a is registered twice']);
  expect(compare([owned], [listed], [{ ...view, listed: [listed, listed] }])).toHaveLength(1);
  expect(compare([{ ...owned, state: 'lost' }], [listed], [])).toHaveLength(1);
});
