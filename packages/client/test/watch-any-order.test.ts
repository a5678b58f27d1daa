import type { InstanceRecord } from '@reg/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Watch, WatchEvent } from '../src/index.js';
import { type FakeConnection, FakeDaemon, type Fields, later, settle } from './fake-daemon.js';
import { record } from './fake-watches.js';

/**
 * A registry that tells its watches everything, piece by piece, and may be cut off after any of them. Each change has
 * the revision after the one before it, so that a reader can tell whether one is missing.
 */
class ToldRegistry {
  readonly instances = new Map<string, InstanceRecord>();
  revision = 0;
  /** Changes before this one are no longer held. */
  #held = 1;
  #epoch = 1;
  #changes: object[] = [];
  readonly #watches = new Map<FakeConnection, { readonly number: number; readonly due: object[] }>();

  get epoch(): string {
    return `epoch ${this.#epoch}`;
  }

  answer(request: Fields, connection: FakeConnection): object {
    if (request['type'] === 'unwatch') this.#watches.delete(connection);
    if (request['type'] !== 'watch') return {};
    const watch = { number: connection.requests.length, due: this.#begin(request) };
    this.#watches.set(connection, watch);
    return { watch: watch.number, epoch: this.epoch, progress: 10 };
  }

  change(name: string, isThere: boolean): void {
    if (!isThere && !this.instances.has(name)) return;
    this.revision += 1;
    const { revision } = this;
    const service = isThere ? record(name, { revision }) : { key: 'payments', instance: name, generation: 1 };
    if (isThere) this.instances.set(name, record(name, { revision }));
    else this.instances.delete(name);
    const change = { type: 'change', revision, at: 1, change: isThere ? 'registered' : 'expired', service };
    this.#changes.push(change);
    for (const { due } of this.#watches.values()) due.push(change);
  }

  compact(): void {
    this.#held = this.revision + 1;
  }

  /** Without its memory. */
  restart(): void {
    this.#epoch += 1;
    this.revision = 0;
    this.#held = 1;
    this.#changes = [];
    this.instances.clear();
    this.#watches.clear();
  }

  /** Tells each connection so many of the events that are due. */
  tell(count: number): void {
    for (const [connection, { number, due }] of this.#watches) {
      const lines = due.splice(0, count).map((event) => `${JSON.stringify({ watch: number, ...event })}\r\n`);
      connection.raw(lines.join(''));
    }
  }

  #begin({ epoch, after }: Fields): object[] {
    const synced = { type: 'synced', epoch: this.epoch, revision: this.revision };
    const state = [...this.instances.values()].map((service) => ({ type: 'state', services: [service] }));
    if (typeof after !== 'number') return [...state, synced];
    if (epoch !== this.epoch) return [{ type: 'reset', reason: 'epoch' }, ...state, synced];
    if (after + 1 < this.#held) return [{ type: 'reset', reason: 'compacted' }, ...state, synced];
    return [...this.#changes.slice(after), synced];
  }
}

/** What a reader makes of the events, and what it finds wrong with them. */
class Reader {
  readonly instances = new Map<string, number>();
  readonly wrong: string[] = [];
  #revision: number | undefined;

  take(event: WatchEvent): void {
    if (event.type === 'reset') {
      this.instances.clear();
      this.#revision = undefined;
    } else if (event.type === 'state') {
      if (this.#revision !== undefined) this.wrong.push('a state without a reset');
      for (const { instance = '', revision } of event.services) this.instances.set(instance, revision);
    } else if (event.type === 'synced') {
      if (this.#revision !== undefined && this.#revision !== event.revision) {
        this.wrong.push(`synced at ${event.revision} after ${this.#revision}`);
      }
      this.#revision = event.revision;
    } else {
      if (event.revision !== (this.#revision ?? 0) + 1) this.wrong.push(`${event.revision} after ${this.#revision}`);
      this.#revision = event.revision;
      const { instance = '' } = event.service;
      if (event.change === 'expired') this.instances.delete(instance);
      else this.instances.set(instance, event.revision);
    }
  }
}

type Step =
  | { readonly kind: 'change'; readonly name: string; readonly isThere: boolean }
  | { readonly kind: 'tell' | 'read'; readonly count: number }
  | { readonly kind: 'hang up' | 'restart' | 'compact' | 'refuse' | 'accept' | 'turn' | 'pass' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      isThere: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constantFrom('tell', 'read'), count: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('hang up', 'pass') }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('restart', 'compact', 'refuse', 'accept', 'turn') }) },
);

class Run {
  readonly registry = new ToldRegistry();
  readonly reader = new Reader();
  readonly #daemon = new FakeDaemon();
  readonly #watch: Watch;
  #reading = 0;

  constructor() {
    this.#daemon.script = (request, connection) => this.registry.answer(request, connection);
    this.#watch = this.#daemon.client().watch('payments');
    this.#read(1);
  }

  async take(step: Step): Promise<void> {
    if (step.kind === 'change') this.registry.change(step.name, step.isThere);
    else if (step.kind === 'tell') this.registry.tell(step.count);
    else if (step.kind === 'read') this.#read(step.count);
    else if (step.kind === 'compact') this.registry.compact();
    else if (step.kind === 'pass') await this.#daemon.pass(500, 100);
    else if (step.kind === 'turn') await settle();
    else if (step.kind === 'refuse' || step.kind === 'accept') {
      this.#daemon.mode = step.kind === 'refuse' ? 'refusing' : 'up';
    } else {
      this.#daemon.connections.at(-1)?.close();
      if (step.kind === 'restart') this.registry.restart();
    }
  }

  /** Lets everything be told and read. */
  async finish(): Promise<void> {
    this.#daemon.mode = 'up';
    this.#read(1000);
    for (let round = 0; round < 12; round += 1) {
      await this.#daemon.pass(1000, 250);
      this.registry.tell(1000);
    }
    await settle();
  }

  #read(count: number): void {
    for (let more = this.#reading; more < count; more += 1) {
      this.#reading += 1;
      const next = later(this.#watch.next());
      next.then(({ value }) => {
        this.#reading -= 1;
        if (value) this.reader.take(value);
      });
    }
  }
}

test('whatever happens, every change is told once and in order, or a reset says that it was not', async () => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
    const run = new Run();
    for (const step of steps) await run.take(step);
    await run.finish();
    expect(run.reader.wrong).toEqual([]);
    const there = [...run.registry.instances].map(([name, { revision }]) => [name, revision]);
    expect([...run.reader.instances].sort()).toEqual(there.sort());
  });
  await fc.assert(property, { numRuns: 100 });
});
