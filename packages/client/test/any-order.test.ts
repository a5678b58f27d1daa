import fc from 'fast-check';
import { test } from 'vitest';
import { type Client, RegistryError } from '../src/index.js';
import { type FakeConnection, FakeDaemon, type Fields, settle } from './fake-daemon.js';

/**
 * Each request carries a number of its own, and its reply carries it back. Whatever happens to the connection
 * and to the callers, nobody may get another's number, and everybody gets exactly one outcome.
 */
type Step =
  | { readonly kind: 'request'; readonly type: 'query' | 'register' | 'destruction'; readonly timeout: number }
  | { readonly kind: 'abort'; readonly which: number }
  | { readonly kind: 'reply'; readonly count: number; readonly cuts: readonly number[] }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'hang up' | 'turn' | 'refuse' | 'accept' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('request' as const),
      type: fc.constantFrom('query', 'register', 'destruction'),
      timeout: fc.integer({ min: 1, max: 3000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abort' as const), which: fc.nat() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('reply' as const),
      count: fc.integer({ min: 1, max: 5 }),
      cuts: fc.array(fc.nat(), { maxLength: 6 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 2000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('hang up', 'refuse', 'accept') }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
);

class Run {
  readonly daemon = new FakeDaemon();
  readonly #client: Client = this.daemon.client({ requestTimeout: 1000, maxQueue: 20 });
  readonly #aborts: AbortController[] = [];
  readonly #outcomes: Promise<void>[] = [];
  readonly #answered = new Map<FakeConnection, number>();
  readonly wrong: string[] = [];
  settled = 0;

  get made(): number {
    return this.#outcomes.length;
  }

  async take(step: Step): Promise<void> {
    if (step.kind === 'request') this.#request(step.type, step.timeout);
    else if (step.kind === 'abort') this.#aborts[step.which % this.#aborts.length]?.abort();
    else if (step.kind === 'reply') await this.#reply(step.count, step.cuts);
    else if (step.kind === 'pass') await this.daemon.pass(step.ms, 250);
    else if (step.kind === 'turn') await settle();
    else if (step.kind === 'hang up') this.daemon.connections.at(-1)?.close();
    else this.daemon.mode = step.kind === 'refuse' ? 'refusing' : 'up';
  }

  /** Answers everything until nobody waits any more. */
  async finish(): Promise<void> {
    this.daemon.mode = 'up';
    for (let round = 0; round < 100 && this.settled < this.made; round += 1) {
      await this.daemon.pass(250);
      await this.#reply(Number.POSITIVE_INFINITY, []);
    }
  }

  #request(type: 'query' | 'register' | 'destruction', timeout: number): void {
    const number = this.made;
    const abort = new AbortController();
    this.#aborts.push(abort);
    const message = { key: String(number), values: number };
    const check = (reply: object) => {
      const carried = 'number' in reply ? reply.number : undefined;
      if (carried !== number) this.wrong.push(`${number} got ${carried}`);
    };
    const request = this.#client.request(type, message, { timeout, signal: abort.signal });
    this.#outcomes.push(
      request
        .then(check, (error) => {
          if (!(error instanceof RegistryError) || error.code === 'bad_reply') this.wrong.push(String(error));
        })
        .then(() => {
          this.settled += 1;
        }),
    );
  }

  /** Answers the oldest requests of the present connection, cut into pieces anywhere. */
  async #reply(count: number, cuts: readonly number[]): Promise<void> {
    const connection = this.daemon.connections.at(-1);
    if (!connection) return;
    const from = this.#answered.get(connection) ?? 0;
    const requests = connection.requests.slice(from, from + count);
    this.#answered.set(connection, from + requests.length);
    const bytes = Buffer.from(requests.map((request) => `${JSON.stringify(answer(request))}\r\n`).join(''));
    const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
    let start = 0;
    for (const end of ends) {
      if (end > start) connection.raw(bytes.subarray(start, end));
      await settle();
      start = end;
    }
  }
}

function answer(request: Fields): object {
  const number = Number(request['key']);
  if (request['type'] === 'query') return { ok: true, number, revision: 1, services: [] };
  if (request['type'] === 'destruction') return { ok: true, number, removed: 0, left: 0 };
  if (number % 3 === 0) return { ok: true, number, result: 'registered', revision: 1, generation: 1, registered: 1 };
  return { ok: true, number, result: 'updated', revision: 1, generation: 1, registered: 1, text: 'ü€😀' };
}

test('whatever happens, nobody gets the reply of another, and everybody gets one outcome', async () => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
    const run = new Run();
    for (const step of steps) await run.take(step);
    await run.finish();
    if (run.wrong.length > 0) throw new Error(run.wrong.join('; '));
    if (run.settled !== run.made) throw new Error(`${run.made - run.settled} requests have no outcome`);
  });
  await fc.assert(property, { numRuns: 150 });
});
