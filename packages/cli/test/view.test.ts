import type { InstanceRecord, WatchEvent } from '@reg/client';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nameOf } from '../src/names.js';
import { View } from '../src/view.js';

function record(instance: string, fields: Partial<InstanceRecord> = {}): InstanceRecord {
  const generation = fields.generation ?? 1;
  return {
    key: 'web',
    instance,
    values: 'a:1',
    timeout: 30,
    revision: generation,
    registered: 0,
    generation,
    ...fields,
  };
}

function state(...services: InstanceRecord[]): WatchEvent {
  return { type: 'state', services };
}

function synced(revision: number, warming = false): WatchEvent {
  return { type: 'synced', epoch: 'e', revision, ...(warming && { warming }) };
}

function put(change: 'registered' | 'updated', service: InstanceRecord): WatchEvent {
  return { type: 'change', revision: service.revision, at: 5, change, service };
}

function end(change: 'expired' | 'destroyed', instance: string, revision: number): WatchEvent {
  return { type: 'change', revision, at: 5, change, service: { key: 'web', instance, generation: 1 } };
}

const RESET: WatchEvent = { type: 'reset', reason: 'compacted' };

/** What each event means, as `what name`. */
function tell(view: View, ...events: WatchEvent[]): string[] {
  return events.flatMap((event) => view.take(event).map(({ what, record }) => `${what} ${nameOf(record)}`));
}

function namesOf(view: View): string[] {
  return view.records.map(nameOf).sort();
}

describe('what a watch tells', () => {
  it('is nothing before the first state is whole', () => {
    const view = new View();
    expect(tell(view, state(record('a')))).toEqual([]);
    expect({ standing: view.standing, names: namesOf(view) }).toEqual({ standing: 'unknown', names: [] });
    expect(tell(view, state(record('b')), synced(3))).toEqual(['present web/a', 'present web/b']);
    expect({ standing: view.standing, revision: view.revision }).toEqual({ standing: 'synced', revision: 3 });
  });

  it('is a change after another', () => {
    const view = new View();
    tell(view, synced(0));
    expect(
      tell(
        view,
        put('registered', record('a')),
        put('updated', record('a', { values: 'b:1', revision: 2 })),
        put('updated', record('a', { values: 'b:1', status: 'suspect', revision: 3 })),
        put('updated', record('a', { values: 'b:1', revision: 4 })),
        put('registered', record('a', { generation: 5 })),
        end('expired', 'a', 6),
      ),
    ).toEqual([
      'registered web/a',
      'updated web/a',
      'suspect web/a',
      'passing web/a',
      'taken over web/a',
      'expired web/a',
    ]);
    expect(namesOf(view)).toEqual([]);
  });

  it('has what an instance was when it ended, and when that was', () => {
    const view = new View();
    tell(view, state(record('a')), synced(1));
    expect(view.take(end('destroyed', 'a', 2))).toEqual([{ what: 'destroyed', record: record('a'), at: 5 }]);
    const unknown = { key: 'web', instance: 'b', generation: 1 };
    expect(view.take(end('destroyed', 'b', 3))).toEqual([{ what: 'destroyed', record: unknown, at: 5 }]);
  });

  it('is after a reset what is otherwise than before', () => {
    const view = new View();
    const before = [record('same'), record('other'), record('ill'), record('again'), record('gone')];
    tell(view, state(...before), synced(5));
    expect(tell(view, RESET, state(record('same'), record('new'), record('other', { values: 'b:1' })))).toEqual([]);
    expect(namesOf(view)).toEqual(before.map(nameOf).sort());
    const rest = state(record('ill', { status: 'critical' }), record('again', { generation: 9 }));
    expect(tell(view, rest, synced(9))).toEqual([
      'present web/new',
      'updated web/other',
      'critical web/ill',
      'registered web/again',
      'gone web/gone',
    ]);
  });

  it('is suspect, and not gone, where the registry has just restarted', () => {
    const view = new View();
    tell(view, state(record('a'), record('b')), synced(5));
    expect(tell(view, RESET, synced(0, true))).toEqual(['suspect web/a', 'suspect web/b']);
    expect(view.standing).toBe('warming');
    expect(view.records.map(({ status }) => status)).toEqual(['suspect', 'suspect']);
    expect(tell(view, put('registered', record('a', { generation: 1 })))).toEqual(['registered web/a']);
    expect(tell(view, synced(1))).toEqual(['gone web/b']);
    expect({ standing: view.standing, names: namesOf(view) }).toEqual({ standing: 'synced', names: ['web/a'] });
  });

  it('says that something is suspect once, however often the registry restarts', () => {
    const view = new View();
    tell(view, state(record('a')), synced(5));
    expect(tell(view, RESET, synced(0, true), RESET, synced(0, true), RESET, synced(0))).toEqual([
      'suspect web/a',
      'gone web/a',
    ]);
  });

  it('adds up to what the registry has, whatever comes in whatever order', () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const step = fc.oneof(
      fc.record({ kind: fc.constant('put' as const), name, values: fc.constantFrom('x', 'y') }),
      fc.record({ kind: fc.constant('end' as const), name }),
      fc.record({ kind: fc.constant('reset' as const), warming: fc.boolean(), lost: fc.boolean() }),
    );
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const view = new View();
        const registry = new Map<string, InstanceRecord>();
        tell(view, synced(0));
        let revision = 0;
        for (const taken of steps) {
          revision += 1;
          if (taken.kind === 'put') {
            const { name: instance, values } = taken;
            const before = registry.get(instance);
            const now = record(instance, { values, revision, generation: before?.generation ?? revision });
            registry.set(instance, now);
            tell(view, put(before ? 'updated' : 'registered', now));
          } else if (taken.kind === 'end') {
            if (registry.delete(taken.name)) tell(view, end('expired', taken.name, revision));
          } else {
            if (taken.lost) registry.clear();
            tell(view, RESET, state(...registry.values()), synced(revision, taken.warming));
          }
        }
        tell(view, synced(revision));
        const shown = new Map(view.records.map((each) => [each.instance, each]));
        expect(shown).toEqual(registry);
      }),
    );
  });
});
