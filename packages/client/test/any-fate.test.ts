import fc from 'fast-check';
import { test } from 'vitest';
import type { Registration } from '../src/index.js';
import { FakeDaemon, FakeRegistry, later } from './fake-daemon.js';

/**
 * Whatever happens to the connection, to the process and to what is registered: when all is quiet again the registry
 * holds what is open, and nothing else, and what was told of each makes sense.
 */
type Step =
  | { readonly kind: 'register'; readonly ttl: number | 'never'; readonly linger: number | null }
  | { readonly kind: 'update' | 'close' | 'drain'; readonly which: number }
  | {
      readonly kind: 'end';
      readonly which: number;
      readonly reason: 'expired' | 'destroyed' | 'superseded';
      readonly silently: boolean;
    }
  | { readonly kind: 'pass' | 'stall'; readonly ms: number }
  | { readonly kind: 'hang up' | 'refuse' | 'accept' | 'forget' | 'silence' | 'speak' };

const which = fc.nat({ max: 20 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('register' as const),
      ttl: fc.constantFrom(1, 5, 30, 'never' as const),
      linger: fc.constantFrom(0, 2, null),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('update' as const, 'close' as const, 'drain' as const), which }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      which,
      reason: fc.constantFrom('expired' as const, 'destroyed' as const, 'superseded' as const),
      silently: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('pass' as const, 'stall' as const),
      ms: fc.integer({ min: 1, max: 6000 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('hang up', 'refuse', 'accept', 'forget', 'silence', 'speak'),
    }),
  },
);

interface Kept {
  readonly registration: Registration;
  readonly told: string[];
  values: number;
}

class Run {
  readonly #daemon = new FakeDaemon();
  readonly #registry = new FakeRegistry();
  readonly #client = this.#daemon.client();
  readonly #kept: Kept[] = [];

  constructor() {
    this.#daemon.script = this.#registry.script;
  }

  async take(step: Step): Promise<void> {
    const daemon = this.#daemon;
    if (step.kind === 'register') await this.#register(step.ttl, step.linger);
    else if (step.kind === 'pass') await daemon.pass(step.ms, 250);
    else if (step.kind === 'stall') daemon.clock.stall(step.ms);
    else if (step.kind === 'hang up') daemon.connections.at(-1)?.close();
    else if (step.kind === 'refuse' || step.kind === 'accept') daemon.mode = step.kind === 'refuse' ? 'refusing' : 'up';
    else if (step.kind === 'silence') daemon.script = () => undefined;
    else if (step.kind === 'speak') this.#speak();
    else if (step.kind === 'forget') this.#registry.forget();
    else if ('which' in step) this.#change(step);
  }

  async finish(): Promise<string[]> {
    this.#daemon.mode = 'up';
    this.#speak();
    await this.#daemon.pass(60_000, 250);
    return [...this.#kept.flatMap((kept) => this.#wrongOf(kept)), ...this.#leftovers()];
  }

  async #register(ttl: number | 'never', linger: number | null): Promise<void> {
    const instance = String(this.#kept.length);
    const registration = await this.#client.register('s', 0, { ttl, linger, instance, background: true });
    const told: string[] = [];
    registration.on('registered', () => told.push('registered'));
    registration.on('lost', ({ reason }) =>
      told.push(reason === 'destroyed' || reason === 'superseded' ? 'over' : 'lost'),
    );
    registration.on('recovered', () => told.push('recovered'));
    this.#kept.push({ registration, told, values: 0 });
  }

  #change(step: Extract<Step, { which: number }>): void {
    const kept = this.#kept[step.which % this.#kept.length];
    if (!kept) return;
    const { registration } = kept;
    if (step.kind === 'end') {
      const name = `s/${registration.instance}`;
      if (this.#registry.instances.has(name)) this.#registry.end(name, step.reason, step.silently);
    } else if (step.kind === 'close') {
      later(registration.close());
    } else if (step.kind === 'drain') {
      later(registration.drain({ timeout: 500 }));
    } else if (registration.state !== 'closed') {
      kept.values += 1;
      later(registration.update(kept.values));
    }
  }

  /** A daemon that was silent and owes replies is another one afterwards: replies would come out of order. */
  #speak(): void {
    if (this.#daemon.script === this.#registry.script) return;
    this.#daemon.connections.at(-1)?.close();
    this.#daemon.script = this.#registry.script;
  }

  #wrongOf({ registration, told, values }: Kept): string[] {
    const { instance, state, generation } = registration;
    const story = told.join(' ');
    const held = this.#registry.instances.get(`s/${instance}`);
    const wrong: string[] = [];
    if (!/^(registered( lost recovered)*( lost)?( over)?)?$/.test(story)) wrong.push(`it told: ${story}`);
    if (state === 'closed') return wrong;
    if (state !== 'registered' || story.endsWith('lost')) wrong.push(`it is ${state} after ${story}`);
    if (held?.generation !== generation) wrong.push(`the registry holds ${held?.generation}, not ${generation}`);
    if (held && JSON.parse(held.content).values !== values) wrong.push(`${held.content} has not ${values}`);
    return wrong.map((text) => `${instance}: ${text}`);
  }

  /** What was closed while the daemon was away may be left to its ttl; what was told that it is over may not be back. */
  #leftovers(): string[] {
    return this.#kept
      .filter(
        ({ registration, told }) => told.includes('over') && this.#registry.instances.has(`s/${registration.instance}`),
      )
      .map(({ registration }) => `${registration.instance} came back`);
  }
}

test('whatever happens, what is open is registered in the end, and what is over stays away', async () => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), async (steps) => {
    const run = new Run();
    for (const one of steps) await run.take(one);
    const wrong = await run.finish();
    if (wrong.length > 0) throw new Error(wrong.join('; '));
  });
  await fc.assert(property, { numRuns: 100 });
}, 60_000);
