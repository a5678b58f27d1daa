import type { InstanceRecord } from '@reg/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Instance } from '../src/discovery/instance.js';
import { isEmpty, View } from '../src/discovery/view.js';
import type { WatchEvent } from '../src/index.js';
import { record } from './fake-watches.js';

const RESET: WatchEvent = { type: 'reset', reason: 'compacted' };

function state(...services: InstanceRecord[]): WatchEvent {
  return { type: 'state', services };
}

function synced(warming = false): WatchEvent {
  return { type: 'synced', epoch: 'one', revision: 1, ...(warming && { warming: true as const }) };
}

function registered(service: InstanceRecord): WatchEvent {
  return { type: 'change', revision: service.revision, at: 1, change: 'registered', service };
}

function gone(instance: string, change: 'expired' | 'destroyed' = 'expired'): WatchEvent {
  return { type: 'change', revision: 1, at: 1, change, service: { key: 'payments', instance, generation: 1 } };
}

function viewOf(...events: WatchEvent[]): View {
  const view = new View({});
  for (const event of events) view.apply(event);
  return view;
}

function names(instances: readonly Instance[]): string {
  return instances
    .map(({ instance = '' }) => instance)
    .sort()
    .join(' ');
}

describe('what is usable', () => {
  const passing = record('p');
  const suspect = record('s', { status: 'suspect' });
  const draining = record('d', { status: 'draining' });
  const critical = record('c', { status: 'critical' });

  test('the passing ones', () => {
    const view = viewOf(state(passing, suspect, draining, critical), synced());
    expect(names(view.usable)).toBe('p');
    expect(names(view.all)).toBe('c d p s');
  });

  test('where none is passing, the suspect and the draining, never the critical', () => {
    expect(names(viewOf(state(suspect, draining, critical), synced()).usable)).toBe('d s');
    expect(names(viewOf(state(critical), synced()).usable)).toBe('');
  });

  test('follows the status, and the arrays that were given away do not change', () => {
    const view = viewOf(state(passing, record('q')), synced());
    const before = view.usable;
    view.apply(registered({ ...passing, status: 'suspect', revision: 200 }));
    expect(names(view.usable)).toBe('q');
    expect(names(before)).toBe('p q');
  });
});

describe('a state', () => {
  test('takes the place of what was known when it is whole, and not before', () => {
    const view = viewOf(state(record('a'), record('b')), synced());
    view.apply(RESET);
    view.apply(state(record('c')));
    expect(names(view.all)).toBe('a b');
    const { added, removed } = view.apply(synced());
    expect(names(view.all)).toBe('c');
    expect([names(added), names(removed)]).toEqual(['c', 'a b']);
  });

  test('that is empty empties the view', () => {
    const view = new View({});
    view.preload([record('a')]);
    expect(names(view.apply(synced()).removed)).toBe('a');
    expect(view.usable).toEqual([]);
  });

  test('that says what is known already changes nothing, and the instances stay the same objects', () => {
    const [a, b] = [record('a'), record('b')];
    const view = viewOf(state(a, b), synced());
    const before = view.all;
    view.apply(RESET);
    view.apply(state({ ...b }, { ...a }));
    expect(isEmpty(view.apply(synced()))).toBe(true);
    expect(new Set(view.all)).toEqual(new Set(before));
  });

  test('of another epoch that uses the same revisions again is another', () => {
    const a = record('a');
    const view = viewOf(state(a), synced());
    view.apply(RESET);
    view.apply(state({ ...a, values: 'elsewhere.test:80' }));
    expect(names(view.apply(synced()).changed)).toBe('a');
    expect(view.all[0]?.address?.host).toBe('elsewhere.test');
  });

  test('is followed by the changes that were made while it was told', () => {
    const view = viewOf(state(record('a'), record('b')), gone('a'), registered(record('c')), synced());
    expect(names(view.all)).toBe('b c');
  });
});

describe('while the registry is warming up', () => {
  test('what it does not list is kept as suspect, and goes on to be used', () => {
    const view = viewOf(state(record('a'), record('b')), synced());
    view.apply(RESET);
    view.apply(state(record('b')));
    const difference = view.apply(synced(true));
    expect(names(difference.changed)).toBe('a b');
    expect(view.all.map(({ instance, status }) => `${instance} ${status}`).sort()).toEqual(['a suspect', 'b passing']);
    expect(names(view.usable)).toBe('a b');
  });

  test('what has not come back when that is over is gone', () => {
    const view = viewOf(state(record('a'), record('b'), record('c')), synced(), RESET, synced(true));
    view.apply(registered(record('a')));
    expect(names(view.usable)).toBe('a b c');
    expect(names(view.apply(synced()).removed)).toBe('b c');
    expect(names(view.all)).toBe('a');
    expect(view.all[0]?.status).toBe('passing');
  });

  test('what was not passing before is not used for that', () => {
    const view = viewOf(state(record('a', { status: 'critical' }), record('b', { status: 'suspect' }), record('c')));
    for (const event of [synced(), RESET, synced(true)]) view.apply(event);
    expect(names(view.usable)).toBe('c');
    expect(names(view.all)).toBe('a b c');
  });

  test('another restart keeps what the one before has kept', () => {
    const b = record('b');
    const view = viewOf(state(record('a'), b), synced(), RESET, state(b), synced(true), RESET, state(b), synced(true));
    expect(names(view.usable)).toBe('a b');
    view.apply(synced());
    expect(names(view.usable)).toBe('b');
  });

  test('an empty answer of a registry that is not warming is the truth', () => {
    const view = viewOf(state(record('a')), synced(), RESET, synced());
    expect(view.all).toEqual([]);
  });
});

describe('requests in flight', () => {
  test('are counted on through changes, and each ends once', () => {
    const view = viewOf(state(record('a')), synced());
    const [before] = view.all;
    if (!before) throw new Error('nothing is there');
    const end = Instance.track(before);
    view.apply(registered(record('a', { generation: 9 })));
    const [after] = view.all;
    expect(after).not.toBe(before);
    expect(after?.inFlight).toBe(1);
    end();
    end();
    expect(after?.inFlight).toBe(0);
  });
});

test('only what is selected is in the view, and it comes and goes with its labels', () => {
  const view = new View({ tags: ['v2'], meta: { zone: 'a' } });
  const both = { tags: ['v2', 'x'], meta: { zone: 'a', more: 'b' } };
  view.apply(state(record('a', both), record('b', { tags: ['v2'] }), record('c', { ...both, tags: ['v1'] })));
  view.apply(synced());
  expect(names(view.all)).toBe('a');
  expect(names(view.apply(registered(record('b', both))).added)).toBe('b');
  expect(names(view.apply(registered(record('a', { meta: both.meta }))).removed)).toBe('a');
  expect(names(view.all)).toBe('b');
});

/** What a view ought to hold: worked out anew from all events, without regard to cost. */
function model(events: readonly WatchEvent[]): Map<string, InstanceRecord> {
  let shown = new Map<string, InstanceRecord>();
  let building: Map<string, InstanceRecord> | undefined = new Map();
  let missing = new Set<string>();
  for (const event of events) {
    const target: Map<string, InstanceRecord> = building ?? shown;
    if (event.type === 'reset') {
      building = new Map();
    } else if (event.type === 'state') {
      building ??= new Map();
      for (const service of event.services) building.set(service.instance ?? '', service);
    } else if (event.type === 'change' && (event.change === 'registered' || event.change === 'updated')) {
      target.set(event.service.instance ?? '', event.service);
      if (!building) missing.delete(event.service.instance ?? '');
    } else if (event.type === 'change') {
      target.delete(event.service.instance ?? '');
      if (!building) missing.delete(event.service.instance ?? '');
    } else if (event.type === 'synced') {
      const told = new Map(building ?? [...shown].filter(([name]) => !missing.has(name)));
      const absent = [...shown].filter(([name]) => !told.has(name));
      missing = new Set(event.warming ? absent.map(([name]) => name) : []);
      for (const [name, service] of event.warming ? absent : []) {
        told.set(name, service.status === undefined ? { ...service, status: 'suspect' } : service);
      }
      shown = told;
      building = undefined;
    }
  }
  return shown;
}

const someRecord = fc
  .record({
    instance: fc.constantFrom('a', 'b', 'c', 'd'),
    status: fc.constantFrom(undefined, 'suspect' as const, 'draining' as const, 'critical' as const),
    generation: fc.integer({ min: 1, max: 3 }),
    values: fc.constantFrom('x.test:1', 'y.test:2'),
  })
  .map(({ instance, status, ...fields }) => record(instance, { ...fields, ...(status && { status }) }));

const someEvent: fc.Arbitrary<WatchEvent> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(RESET) },
  { weight: 2, arbitrary: fc.array(someRecord, { maxLength: 4 }).map((services) => state(...services)) },
  { weight: 3, arbitrary: fc.boolean().map(synced) },
  { weight: 5, arbitrary: someRecord.map(registered) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('expired', 'destroyed'))
      .map(([name, change]) => gone(name, change)),
  },
);

test('after any events the view is what they say, and what it tells adds up to it', () => {
  fc.assert(
    fc.property(fc.array(someEvent, { maxLength: 40 }), (events) => {
      const view = new View({});
      const listener = new Map<string, InstanceRecord>();
      for (const [index, event] of events.entries()) {
        const { added, removed, changed } = view.apply(event);
        for (const { instance = '', record } of added) {
          expect(listener.has(instance)).toBe(false);
          listener.set(instance, record);
        }
        for (const { instance = '', record } of changed) {
          expect(listener.has(instance)).toBe(true);
          listener.set(instance, record);
        }
        for (const { instance = '' } of removed) expect(listener.delete(instance)).toBe(true);
        const expected = model(events.slice(0, index + 1));
        expect(new Map(view.all.map(({ instance = '', record }) => [instance, record]))).toEqual(expected);
        expect(listener).toEqual(expected);
      }
    }),
    { numRuns: 500 },
  );
});
