import fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  type InstanceRecord,
  type KnownInstance,
  Presence,
  type Transition,
  type TypedRecord,
  type TypedWatchEvent,
  type WatchEvent,
} from '../src/index.js';
import { record } from './fake-watches.js';

const RESET: WatchEvent = { type: 'reset', reason: 'compacted' };

function state(...services: InstanceRecord[]): WatchEvent {
  return { type: 'state', services };
}

function synced(warming = false): WatchEvent {
  return { type: 'synced', epoch: 'one', revision: 1, ...(warming && { warming: true as const }) };
}

function put(change: 'registered' | 'updated', service: InstanceRecord): WatchEvent {
  return { type: 'change', revision: service.revision, at: 1, change, service };
}

function end(change: 'expired' | 'destroyed', { key, instance, generation }: InstanceRecord): WatchEvent {
  const service = { key, ...(instance !== undefined && { instance }), generation };
  return { type: 'change', revision: 1, at: 1, change, service };
}

/** Without a name it is the unnamed one. */
function nameOf({ key, instance }: InstanceRecord): string {
  return instance === undefined ? key : `${key}/${instance}`;
}

/** What each event means, as `cause name`. */
function tell(presence: Presence, ...events: WatchEvent[]): string[] {
  return events
    .flatMap((event) => presence.apply(event))
    .map(({ cause, before, now }) => `${cause} ${nameOf((now ?? before).record)}`);
}

function names(presence: Presence): string[] {
  return Array.from(presence.known, ({ record, kept }) => `${nameOf(record)}${kept ? ' kept' : ''}`).sort();
}

/** One that was told these, and that all was told. */
function presenceOf(...records: InstanceRecord[]): Presence {
  const presence = new Presence();
  tell(presence, state(...records), synced());
  return presence;
}

describe('a state', () => {
  test('is known when it is whole, in the order in which it was told', () => {
    const presence = new Presence();
    expect(tell(presence, state(record('b')), state(record('a')))).toEqual([]);
    expect(names(presence)).toEqual([]);
    expect(tell(presence, synced())).toEqual(['found payments/b', 'found payments/a']);
    expect(names(presence)).toEqual(['payments/a', 'payments/b']);
  });

  test('replaces the one before: what is as it was is not told, and stays the same object', () => {
    const [same, other, gone] = [record('same'), record('other'), record('gone')];
    const presence = presenceOf(same, other, gone);
    const [before] = presence.known;
    const told = tell(presence, RESET, state({ ...same }, { ...other, values: 'elsewhere.test:80' }), synced());
    expect(told).toEqual(['found payments/other', 'gone payments/gone']);
    const [after] = presence.known;
    expect(after).toBe(before);
  });

  test('may be cut off and begun anew', () => {
    const presence = new Presence();
    tell(presence, state(record('a')), RESET, state(record('b')), synced());
    expect(names(presence)).toEqual(['payments/b']);
  });

  test('replaces what was known before there was one', () => {
    const presence = new Presence();
    const [a, b] = [record('a'), record('b')];
    tell(presence, state(a));
    expect(presence.preload([a, b]).map(({ cause }) => cause)).toEqual(['found', 'found']);
    expect(names(presence)).toEqual(['payments/a', 'payments/b']);
    expect(tell(presence, synced())).toContain('gone payments/b');
    expect(names(presence)).toEqual(['payments/a']);
  });
});

describe('a change', () => {
  test('says what there was and what there is', () => {
    const [before, after] = [record('a'), record('a', { values: 'elsewhere.test:80' })];
    const presence = presenceOf(before);
    const known = { record: after, kept: false };
    expect(presence.apply(put('updated', after))).toEqual([
      { cause: 'updated', before: { record: before, kept: false }, now: known },
    ]);
    expect(presence.apply(end('expired', after))).toEqual([{ cause: 'expired', before: known, now: undefined }]);
    expect(presence.apply(put('registered', before))).toEqual([
      { cause: 'registered', before: undefined, now: { record: before, kept: false } },
    ]);
  });

  test('that ends what was not known is none', () => {
    expect(tell(presenceOf(), end('destroyed', record('a')))).toEqual([]);
  });

  test('while a state is told belongs to that', () => {
    const [a, b, c] = [record('a'), record('b'), record('c')];
    const presence = presenceOf(a);
    expect(tell(presence, RESET, state(a, b), end('destroyed', a), put('registered', c))).toEqual([]);
    expect(names(presence)).toEqual(['payments/a']);
    expect(tell(presence, synced())).toEqual(['found payments/b', 'found payments/c', 'gone payments/a']);
  });
});

describe('while the registry is warming', () => {
  test('what it does not list is kept, with what was told of it last', () => {
    const [a, b] = [record('a'), record('b', { status: 'draining' })];
    const presence = presenceOf(a, b);
    expect(tell(presence, RESET, state(a), synced(true))).toEqual(['kept payments/b']);
    expect([...presence.known]).toEqual([
      { record: a, kept: false },
      { record: b, kept: true },
    ]);
  });

  test('what comes back is there again, by a change or by a state that says the same as ever', () => {
    const [a, b] = [record('a'), record('b')];
    const presence = presenceOf(a, b);
    tell(presence, RESET, synced(true));
    const [registered] = presence.apply(put('registered', a));
    expect([registered?.before?.kept, registered?.now?.kept]).toEqual([true, false]);
    expect(tell(presence, RESET, state(a, b), synced(true))).toEqual(['found payments/b']);
    expect(tell(presence, synced())).toEqual([]);
    expect(names(presence)).toEqual(['payments/a', 'payments/b']);
  });

  test('another restart keeps what is kept, without a word', () => {
    const presence = presenceOf(record('a'));
    tell(presence, RESET, synced(true));
    expect(tell(presence, RESET, synced(true), synced(true))).toEqual([]);
    expect(names(presence)).toEqual(['payments/a kept']);
  });

  test('what has not come back when that is over is gone', () => {
    const [a, b] = [record('a'), record('b')];
    const presence = presenceOf(a, b);
    tell(presence, RESET, state(b), synced(true));
    expect(tell(presence, synced())).toEqual(['gone payments/a']);
    expect(names(presence)).toEqual(['payments/b']);
  });

  test('what ends is known no more', () => {
    const a = record('a');
    const presence = presenceOf(a);
    tell(presence, RESET, synced(true));
    expect(tell(presence, end('expired', a), synced())).toEqual(['expired payments/a']);
  });
});

test('instances of several services are told apart, the unnamed ones too', () => {
  const { instance: _, ...unnamed } = record('');
  const other = record('a', { key: 'ledger' });
  const presence = presenceOf(record('a'), unnamed, other);
  expect(names(presence)).toEqual(['ledger/a', 'payments', 'payments/a']);
  expect(tell(presence, end('destroyed', unnamed), end('expired', other))).toEqual([
    'destroyed payments',
    'expired ledger/a',
  ]);
  expect(names(presence)).toEqual(['payments/a']);
});

test('the records may be those of a client that knows what its services have', () => {
  type Dated = TypedRecord<Date>;
  const presence = new Presence<Dated>();
  const since = (time: number): TypedWatchEvent<Dated> => ({
    type: 'state',
    services: [{ ...record('a', { revision: 1 }), values: new Date(time) }],
  });
  const done: TypedWatchEvent<Dated> = { type: 'synced', epoch: 'one', revision: 1 };
  for (const event of [since(1), done, since(1)]) presence.apply(event);
  expect(presence.apply(done)).toEqual([]);
  presence.apply(since(2));
  const [transition] = presence.apply(done);
  expectTypeOf(transition).toEqualTypeOf<Transition<Dated> | undefined>();
  expect(transition?.now?.record.values.getTime()).toBe(2);
});

const someRecord = fc
  .record({
    key: fc.constantFrom('payments', 'ledger'),
    instance: fc.constantFrom('a', 'b'),
    generation: fc.integer({ min: 1, max: 2 }),
    values: fc.constantFrom('x.test:1', 'y.test:2'),
  })
  .map(({ instance, ...fields }) => record(instance, { ...fields, revision: 1 }));

const someEvent: fc.Arbitrary<WatchEvent> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(RESET) },
  { weight: 2, arbitrary: fc.array(someRecord, { maxLength: 4 }).map((services) => state(...services)) },
  { weight: 3, arbitrary: fc.boolean().map(synced) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom('registered' as const, 'updated' as const), someRecord)
      .map(([change, service]) => put(change, service)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom('expired' as const, 'destroyed' as const), someRecord)
      .map(([change, service]) => end(change, service)),
  },
);

test('whatever comes, each transition begins with what there was, and all of them add up to what there is', () => {
  fc.assert(
    fc.property(fc.array(someEvent, { maxLength: 40 }), (events) => {
      const presence = new Presence();
      const listener = new Map<string, KnownInstance>();
      let warming = false;
      for (const event of events) {
        for (const { before, now } of presence.apply(event)) {
          const name = nameOf((now ?? before).record);
          expect(listener.get(name)).toBe(before);
          expect(now).not.toBe(before);
          if (now) listener.set(name, now);
          else listener.delete(name);
        }
        expect(new Set(presence.known)).toEqual(new Set(listener.values()));
        if (event.type === 'synced') warming = event.warming === true;
        if (event.type === 'synced' && !warming) expect([...presence.known].some(({ kept }) => kept)).toBe(false);
      }
    }),
    { numRuns: 500 },
  );
});
