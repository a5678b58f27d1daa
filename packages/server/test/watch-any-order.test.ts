import { type Event, RegistryError, type WatchMessage } from '@reg/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Daemon, startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { settle, turn } from './settle.js';
import { nameOf, View, Watcher } from './watcher.js';

const SCOPES: readonly WatchMessage[] = [
  { key: 'a' },
  { key: 'ab' },
  { prefix: 'a' },
  { prefix: 'ab' },
  { key: 'all' },
];

/** A connection, and what each of its watches knows. */
class Follower {
  readonly #daemon: Daemon;
  readonly #log: HeldLog;
  #watcher: Watcher;
  #views = new Map<number, { readonly what: WatchMessage; readonly view: View }>();
  #requested: { readonly what: WatchMessage; readonly view: View }[] = [];

  constructor(daemon: Daemon, log: HeldLog) {
    this.#daemon = daemon;
    this.#log = log;
    this.#watcher = this.#connect();
  }

  watch(what: WatchMessage, from?: View): void {
    const view = new View(from);
    const resume = view.revision === undefined ? {} : { epoch: view.epoch, after: view.revision };
    this.#requested.push({ what, view });
    this.#watcher.peer.send({ type: 'watch', ...what, ...resume });
  }

  async unwatch(place: number): Promise<void> {
    await this.take();
    const number = [...this.#views.keys()][place % this.#views.size];
    if (number === undefined) return;
    this.#watcher.peer.send({ type: 'unwatch', watch: number });
    this.#views.delete(number);
  }

  /** Breaks the connection, and resumes all watches over another. */
  async reconnect(): Promise<void> {
    await this.take();
    const watches = [...this.#views.values(), ...this.#requested];
    this.#watcher.peer.hangUp();
    await settle(2);
    this.#watcher = this.#connect();
    this.#views = new Map();
    this.#requested = [];
    for (const { what, view } of watches) this.watch(what, view);
  }

  pause(): void {
    this.#watcher.peer.stream.pause();
  }

  resume(): void {
    this.#watcher.peer.stream.resume();
  }

  /** Takes what has come. @returns how much that was. */
  async take(): Promise<number> {
    for (const { ok, watch } of await this.#watcher.replies()) {
      if (!ok || typeof watch !== 'number') continue;
      const requested = this.#requested.shift();
      if (requested !== undefined) this.#views.set(watch, requested);
    }
    const events = await this.#watcher.events();
    for (const event of events) {
      if ('revision' in event) expect(event.revision).toBeLessThanOrEqual(this.#log.durable);
      this.#tell(event);
    }
    return events.length;
  }

  /** Holds every view against the registry. */
  check(): void {
    expect(this.#requested).toEqual([]);
    for (const { what, view } of this.#views.values()) {
      expect(view.revision).toBeGreaterThanOrEqual(0);
      const actual = [...view.services.values()].map(({ key, instance, values, revision }) => [
        nameOf({ key, instance: instance ?? '' }),
        values,
        revision,
      ]);
      expect(actual.sort()).toEqual(
        this.#daemon.server.registry
          .all()
          .filter(({ key }) => isIn(what, key))
          .map(({ key, id, body, revision }) => [
            nameOf({ key, instance: id }),
            JSON.parse(`{${body}}`).values,
            revision,
          ])
          .sort(),
      );
    }
  }

  #connect(): Watcher {
    return new Watcher(this.#daemon, { highWaterMark: 512 });
  }

  #tell(event: Event): void {
    for (const [number, { view }] of this.#views) {
      if (event.type === 'progress' || event.watch === number) view.take(event);
    }
  }
}

function isIn({ key, prefix }: WatchMessage, name: string): boolean {
  return prefix === undefined ? key === 'all' || key === name : name.startsWith(prefix);
}

type Step =
  | { readonly do: 'register' | 'destroy'; readonly changes: readonly Changed[]; readonly isCommitted: boolean }
  | { readonly do: 'commit'; readonly count: number }
  | { readonly do: 'undo' }
  | { readonly do: 'pause' | 'resume' | 'reconnect'; readonly who: number }
  | { readonly do: 'watch'; readonly who: number; readonly what: WatchMessage }
  | { readonly do: 'unwatch'; readonly who: number; readonly place: number };

interface Changed {
  readonly key: string;
  readonly instance: string;
  /** How long the value is at least. */
  readonly size: number;
}

const who = fc.nat(1);
const changed: fc.Arbitrary<Changed> = fc.record({
  key: fc.constantFrom('a', 'ab', 'abc', 'b'),
  instance: fc.constantFrom('1', '2'),
  size: fc.constantFrom(1, 1, 600, 3000),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constantFrom('register' as const, 'register' as const, 'destroy' as const),
      changes: fc.array(changed, { minLength: 1, maxLength: 5 }),
      isCommitted: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('commit' as const), count: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('undo' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reconnect' as const), who }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('watch' as const), who, what: fc.constantFrom(...SCOPES) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unwatch' as const), who, place: fc.nat(5) }) },
);

test('whatever happens in whatever order, every watcher comes to know what is registered, and is told nothing twice', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const log = new HeldLog();
      await using daemon = await startDaemon({ log, history: 8 });
      const writer = new Watcher(daemon);
      const [first, second] = [new Follower(daemon, log), new Follower(daemon, log)];
      const follower = (place: number): Follower => (place === 0 ? first : second);
      first.watch({ prefix: 'a' });
      second.watch({ key: 'all' });
      let count = 0;
      for (const next of steps) {
        count += 1;
        switch (next.do) {
          case 'register':
          case 'destroy':
            for (const { key, instance, size } of next.changes) {
              const values = `${count}`.padEnd(size, '.');
              const type = next.do === 'register' ? 'register' : 'destruction';
              writer.peer.send({ type, key, instance, values, timeout: 'never' });
            }
            await settle(2);
            if (next.isCommitted) log.commit();
            break;
          case 'commit':
            log.commit(next.count);
            break;
          case 'undo':
            log.undo(new RegistryError('storage_full'));
            break;
          case 'pause':
            follower(next.who).pause();
            break;
          case 'resume':
            follower(next.who).resume();
            break;
          case 'watch':
            follower(next.who).watch(next.what);
            break;
          case 'unwatch':
            await follower(next.who).unwatch(next.place);
            break;
          case 'reconnect':
            await follower(next.who).reconnect();
            break;
        }
        await turn();
      }
      await settle();
      log.commit();
      for (const each of [first, second]) {
        each.resume();
        while ((await each.take()) > 0);
        each.check();
      }
      expect(daemon.server.connections).toBe(3);
    }),
    { numRuns: 200 },
  );
}, 60_000);
