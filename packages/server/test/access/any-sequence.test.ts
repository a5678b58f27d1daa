import type { Event } from '@reg/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ACTIONS, parseRules, Rights, type Rule } from '../../src/access/rules.js';
import type { Daemon } from '../harness.js';
import { Watcher } from '../watcher.js';
import { pass, startGuarded, TokensFile } from './tokens-file.js';

const NAMES = ['a', 'a-1', 'a-2', 'ab', 'b'];
const CALLERS = ['first', 'second'] as const;
type CallerName = (typeof CALLERS)[number];

const actions = fc.subarray(['register', 'query', 'watch'] as const, { minLength: 1 });
const names = fc.subarray(['a', 'a-1', 'ab', 'b', 'a*', 'a-*', 'b*', '*'], { minLength: 1 });
const someRules = fc.array(fc.record({ actions, names }), { maxLength: 3 });

/** The rules once more, as plainly as they can be read. */
function allows(rules: readonly Rule[], action: Rule['actions'][number], name: string): boolean {
  return rules.some(
    (rule) =>
      (rule.actions.includes(action) || rule.actions.includes('admin')) &&
      rule.names.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern)),
  );
}

interface Sent {
  readonly type: string;
  readonly key?: string;
}

type Step =
  | { readonly does: 'auth'; readonly as: CallerName | 'wrong' }
  | { readonly does: 'send'; readonly request: Sent }
  | { readonly does: 'rule'; readonly of: CallerName; readonly rules: readonly Rule[] }
  | { readonly does: 'remove'; readonly of: CallerName };

const name = fc.constantFrom(...NAMES);
const named = (type: string, more: object = {}) => name.map((key) => ({ type, key, ...more }));
const request = fc.oneof(
  named('register', { values: 'x', timeout: 'never' }),
  name.map((key) => ({ type: 'register', key, values: 'y', owner: 'o', takeover: true })),
  named('destruction'),
  named('destruction', { instance: '*' }),
  named('query'),
  named('explain'),
  named('watch'),
  named('acks', { revision: 0 }),
  fc.constantFrom(
    { type: 'query', key: 'all' },
    { type: 'watch', key: 'all' },
    { type: 'watch', prefix: 'a' },
    { type: 'heartbeat' },
    { type: 'ping' },
    { type: 'status' },
    { type: 'unwatch', watch: 1 },
    { type: 'ack', watch: 1, revision: 1 },
  ),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ does: fc.constant('auth' as const), as: fc.constantFrom(...CALLERS, 'wrong' as const) }),
  },
  { weight: 8, arbitrary: fc.record({ does: fc.constant('send' as const), request }) },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant('rule' as const), of: fc.constantFrom(...CALLERS), rules: someRules }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('remove' as const), of: fc.constantFrom(...CALLERS) }) },
);

const NEEDED: Readonly<Record<string, 'register' | 'query' | 'watch'>> = {
  register: 'register',
  destruction: 'register',
  query: 'query',
  explain: 'query',
  watch: 'watch',
  acks: 'watch',
};

describe('rights', () => {
  test('allow what the rules say, and nothing else', () => {
    fc.assert(
      fc.property(someRules, name, fc.constantFrom('register', 'query', 'watch'), (rules, service, action) => {
        const rights = new Rights(parseRules(JSON.parse(JSON.stringify(rules))));
        expect(rights.allows(action, service)).toBe(allows(rules, action, service));
        expect(rights.sight(action)?.has(service) ?? true).toBe(allows(rules, action, service));
        expect(rights.isAdmin).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  test('that see the same are told to be the same, and others not', () => {
    const tagOf = (...patterns: string[]) => new Rights([{ actions: ['watch'], names: patterns }]).sight('watch')?.tag;
    expect(tagOf('a', 'b*')).toBe(tagOf('b*', 'a', 'a'));
    expect(new Set([tagOf('a'), tagOf('a*'), tagOf('a', 'b'), tagOf('ab'), tagOf(), tagOf('*')]).size).toBe(6);
  });

  test.each([
    [{ actions: ['register'], names: ['all'] }, /"all"/],
    [{ actions: ['register'], names: ['a/b'] }, /"a\/b"/],
    [{ actions: ['register'], names: ['a/*'] }, /"a\/\*"/],
    [{ actions: ['register'], names: [''] }, /""/],
    [{ actions: ['own'], names: ['a'] }, /no action "own"; actions are register, query, watch, admin/],
    [{ actions: ['admin'], names: ['a*'] }, /"admin" is about everything/],
    [{ actions: 'register', names: ['a'] }, /arrays of strings/],
    [{ actions: ['register'] }, /arrays of strings/],
    [null, /arrays of strings/],
  ])('are not made of %j', (given, message) => {
    expect(() => parseRules([given])).toThrow(message);
  });

  test('has a word for each action', () => {
    expect(ACTIONS).toEqual(['register', 'query', 'watch', 'admin']);
  });
});

/** What came of the sequences: a property that tries nothing proves nothing. */
const seen = { done: 0, forbidden: 0, unauthenticated: 0, shown: 0 };

/** A daemon, the rules in force, and a connection whose caller they are about. */
class Trial {
  readonly #file: TokensFile;
  readonly #rules: Record<CallerName, readonly Rule[] | undefined>;
  readonly #tokens: Readonly<Record<CallerName | 'admin', string>>;
  readonly #daemon: Daemon;
  readonly #peer: Watcher;
  /** Who changes everything again and again, so that there is something to see. */
  readonly #other: Watcher;
  #caller: CallerName | undefined;
  #rounds = 0;

  private constructor(file: TokensFile, rules: Readonly<Record<CallerName, readonly Rule[]>>, daemon: Daemon) {
    this.#file = file;
    this.#rules = { ...rules };
    this.#tokens = {
      first: file.add('first', rules.first),
      second: file.add('second', rules.second),
      admin: file.add('admin', [{ actions: ['admin'], names: ['*'] }]),
    };
    this.#daemon = daemon;
    daemon.server.reload();
    this.#peer = new Watcher(daemon);
    this.#other = new Watcher(daemon);
  }

  static async start(rules: Readonly<Record<CallerName, readonly Rule[]>>): Promise<Trial> {
    const file = new TokensFile();
    const trial = new Trial(file, rules, await startGuarded(file));
    await trial.#other.ask({ type: 'auth', token: trial.#tokens.admin });
    await trial.#stir();
    return trial;
  }

  async take(one: Step): Promise<void> {
    if (one.does === 'auth') await this.#authenticate(one.as);
    else if (one.does === 'send') await this.#send(one.request);
    else if (this.#rules[one.of] !== undefined) await this.#rewrite(one);
    this.#see(await this.#peer.events());
    await this.#stir();
    this.#see(await this.#peer.events());
  }

  close(): PromiseLike<void> {
    return this.#daemon[Symbol.asyncDispose]();
  }

  async #authenticate(as: CallerName | 'wrong'): Promise<void> {
    const token = as === 'wrong' ? `${this.#tokens.first}x` : this.#tokens[as];
    const reply = await this.#peer.ask({ type: 'auth', token });
    if (!reply.ok) return;
    if (as === 'wrong') throw new Error('a wrong token was taken');
    expect(this.#rules[as], 'a removed token was taken').toBeDefined();
    this.#caller = as;
  }

  async #rewrite(one: Extract<Step, { does: 'rule' | 'remove' }>): Promise<void> {
    this.#rules[one.of] = one.does === 'rule' ? one.rules : undefined;
    if (one.does === 'rule') this.#file.change(one.of, { rules: one.rules });
    else this.#file.remove(one.of);
    if (one.does === 'remove' && this.#caller === one.of) this.#caller = undefined;
    await pass(this.#daemon, 500);
  }

  async #send(sent: Sent): Promise<void> {
    const before = this.#daemon.server.registry.revision;
    const reply = await this.#peer.ask(sent);
    const { code } = (reply['error'] ?? {}) as { code?: string };
    const action = NEEDED[sent.type];
    if (this.#caller === undefined) {
      expect(code).toBe('unauthenticated');
      seen.unauthenticated += 1;
    } else if (sent.type === 'status') {
      expect(code).toBe('forbidden');
    } else if (action !== undefined && sent.key !== undefined && sent.key !== 'all') {
      expect(code === 'forbidden', JSON.stringify([sent, reply])).toBe(!this.#mayDo(action, sent.key));
      seen[code === 'forbidden' ? 'forbidden' : 'done'] += 1;
    }
    if (!reply.ok) expect(this.#daemon.server.registry.revision).toBe(before);
    for (const { key } of (reply['services'] ?? []) as { key: string }[]) this.#checkShown('query', key);
  }

  #see(events: readonly Event[]): void {
    for (const event of events) {
      if (event.type === 'change') this.#checkShown('watch', event.service.key);
      if (event.type === 'state') for (const { key } of event.services) this.#checkShown('watch', key);
    }
  }

  #checkShown(action: 'query' | 'watch', key: string): void {
    seen.shown += 1;
    expect(this.#mayDo(action, key), `${key} was shown`).toBe(true);
  }

  #mayDo(action: 'register' | 'query' | 'watch', key: string): boolean {
    return this.#caller !== undefined && allows(this.#rules[this.#caller] ?? [], action, key);
  }

  async #stir(): Promise<void> {
    this.#rounds += 1;
    for (const key of NAMES) await this.#other.ask({ type: 'register', key, values: this.#rounds });
  }
}

test('no sequence of messages gains a right', async () => {
  const enter = fc.record({ does: fc.constant('auth' as const), as: fc.constantFrom(...CALLERS) });
  await fc.assert(
    fc.asyncProperty(
      fc.record({ first: someRules, second: someRules }),
      fc.array(enter, { maxLength: 1 }),
      fc.array(step, { minLength: 5, maxLength: 25 }),
      async (rules, beginning, steps) => {
        const trial = await Trial.start(rules);
        for (const one of [...beginning, ...steps]) await trial.take(one);
        await trial.close();
      },
    ),
    { numRuns: 60 },
  );
  expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(50);
});
