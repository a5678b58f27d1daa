import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ACTIONS, parseRules, Rights, type Rule } from '../../src/access/rules.js';
import { settle } from '../harness.js';
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

type Step =
  | { readonly does: 'auth'; readonly as: CallerName | 'wrong' }
  | { readonly does: 'send'; readonly request: { readonly type: string; readonly key?: string } }
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
    { type: 'register', key: 'a' },
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

test('no sequence of messages gains a right', async () => {
  const seen = { done: 0, forbidden: 0, unauthenticated: 0, events: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.record({ first: someRules, second: someRules }),
      fc.array(step, { minLength: 5, maxLength: 25 }),
      async (given, steps) => {
        const file = new TokensFile();
        const rules: Record<CallerName, readonly Rule[] | undefined> = { ...given };
        const tokens = { first: file.add('first', given.first), second: file.add('second', given.second) };
        const admin = file.add('admin', [{ actions: ['admin'], names: ['*'] }]);
        const daemon = await startGuarded(file);
        const other = new Watcher(daemon);
        await other.ask({ type: 'auth', token: admin });
        const peer = new Watcher(daemon);
        let caller: CallerName | undefined;

        const mayDo = (action: Rule['actions'][number], key: string): boolean =>
          caller !== undefined && allows(rules[caller] ?? [], action, key);
        const checkShown = (records: unknown, action: Rule['actions'][number]): void => {
          for (const { key } of (records ?? []) as { key: string }[]) expect(mayDo(action, key), key).toBe(true);
        };

        for (const key of NAMES) await other.ask({ type: 'register', key, values: key });
        await settle();
        for (const one of steps) {
          if (one.does === 'auth') {
            const token = one.as === 'wrong' ? `${tokens.first}x` : tokens[one.as];
            const reply = await peer.ask({ type: 'auth', token });
            const isKnown = one.as !== 'wrong' && rules[one.as] !== undefined;
            if (reply.ok) expect(isKnown).toBe(true);
            if (reply.ok && one.as !== 'wrong') caller = one.as;
          } else if (one.does === 'rule' && rules[one.of] !== undefined) {
            rules[one.of] = one.rules;
            file.change(one.of, { rules: one.rules });
          } else if (one.does === 'remove' && rules[one.of] !== undefined) {
            rules[one.of] = undefined;
            file.remove(one.of);
            if (caller === one.of) caller = undefined;
          }
          if (one.does === 'rule' || one.does === 'remove') await pass(daemon, 500);
          if (one.does === 'send') {
            const { type, key } = one.request;
            const before = daemon.server.registry.revision;
            const reply = await peer.ask(one.request);
            const { code } = (reply['error'] ?? {}) as { code?: string };
            const action = NEEDED[type];
            if (caller === undefined) {
              expect(code).toBe('unauthenticated');
              seen.unauthenticated += 1;
            } else if (type === 'status') {
              expect(code).toBe('forbidden');
            } else if (
              action !== undefined &&
              key !== undefined &&
              key !== 'all' &&
              !('values' in one.request === false && type === 'register')
            ) {
              expect(code === 'forbidden', JSON.stringify([one.request, reply])).toBe(!mayDo(action, key));
              seen[code === 'forbidden' ? 'forbidden' : 'done'] += 1;
            }
            if (!reply.ok) expect(daemon.server.registry.revision).toBe(before);
            checkShown(reply['services'], 'query');
          }
          for (const event of await peer.events()) {
            seen.events += 1;
            if (event.type === 'change') checkShown([event.service], 'watch');
            if (event.type === 'state') checkShown(event.services, 'watch');
          }
          // Something happens to everything, for whoever watches.
          for (const key of NAMES) await other.ask({ type: 'register', key, values: `${steps.indexOf(one)}` });
          for (const event of await peer.events()) {
            seen.events += 1;
            if (event.type === 'change') checkShown([event.service], 'watch');
            if (event.type === 'state') checkShown(event.services, 'watch');
          }
        }
        await daemon[Symbol.asyncDispose]();
      },
    ),
    { numRuns: 100 },
  );
  expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(50);
});
