import { describe, expect, test } from 'vitest';
import type { Peer } from '../harness.js';
import { settle } from '../settle.js';
import { enter, pass, rule, startGuarded, TokensFile } from './tokens-file.js';

/** Every request there is, about the service `pay` where it is about one; `right` is what it takes. */
const REQUESTS = [
  { right: 'register', request: { type: 'register', key: 'pay', values: 'x' } },
  { right: 'register', request: { type: 'register', key: 'pay', instance: 'a', values: 'x', owner: 'o', id: 1 } },
  { right: 'register', request: { type: 'destruction', key: 'pay' } },
  { right: 'register', request: { type: 'destruction', key: 'pay', instance: '*' } },
  { right: 'query', request: { type: 'query', key: 'pay' } },
  { right: 'query', request: { type: 'query', key: 'pay', instance: 'a', detail: true, status: 'any' } },
  { right: 'query', request: { type: 'explain', key: 'pay' } },
  { right: 'watch', request: { type: 'watch', key: 'pay' } },
  { right: 'watch', request: { type: 'acks', key: 'pay', revision: 0 } },
  { right: 'admin', request: { type: 'status' } },
  { right: 'admin', request: { type: 'audit' } },
  { right: 'admin', request: { type: 'backup' } },
  { right: 'identity', request: { type: 'query', key: 'all' } },
  { right: 'identity', request: { type: 'query', key: 'all', limit: 5 } },
  { right: 'identity', request: { type: 'watch', key: 'all' } },
  { right: 'identity', request: { type: 'watch', prefix: 'pa' } },
  { right: 'identity', request: { type: 'heartbeat' } },
  { right: 'identity', request: { type: 'ping' } },
  { right: 'identity', request: { type: 'unwatch', watch: 1 } },
  { right: 'identity', request: { type: 'ack', watch: 1, revision: 0 } },
  { right: 'nothing', request: { type: 'hello' } },
] as const;

type Right = (typeof REQUESTS)[number]['right'];

/** Every kind of caller, and what of the above it may do. */
const KNOWN: readonly (readonly [kind: string, rules: Parameters<typeof rule>[], may: readonly Right[]])[] = [
  ['without rules', [], []],
  ['who may register it', [[['register'], 'pay']], ['register']],
  ['who may query it', [[['query'], 'pay']], ['query']],
  ['who may watch it', [[['watch'], 'pay']], ['watch']],
  ['who may do all but rule', [[['register', 'query', 'watch'], 'pay']], ['register', 'query', 'watch']],
  ['who may do all on its prefix', [[['register', 'query', 'watch'], 'p*']], ['register', 'query', 'watch']],
  ['who may do all on every name', [[['register', 'query', 'watch'], '*']], ['register', 'query', 'watch']],
  [
    'who may query its prefix and watch it',
    [
      [['query'], 'pa*'],
      [['watch'], 'pay'],
    ],
    ['query', 'watch'],
  ],
  ['who may do all on another name', [[['register', 'query', 'watch'], 'payments']], []],
  ['who may do all on another prefix', [[['register', 'query', 'watch'], 'pay-*', 'Pay']], []],
  ['who is admin', [[['admin'], '*']], ['register', 'query', 'watch', 'admin']],
];

const UNKNOWN = ['nobody', 'with a wrong secret', 'with an unknown id', 'with an expired token', 'with a revoked one'];

function isRefused(reply: Record<string, unknown>): string | undefined {
  const error = reply['error'] as { code: string } | undefined;
  return error?.code === 'unauthenticated' || error?.code === 'forbidden' ? error.code : undefined;
}

describe.each(KNOWN)('a caller %s', (_, rules, may) => {
  test.each(REQUESTS)('$request: needs $right', async ({ right, request }) => {
    const file = new TokensFile();
    const token = file.add(
      'they',
      rules.map((given) => rule(...given)),
    );
    const daemon = await startGuarded(file);
    const peer = await enter(daemon, token);
    const reply = await peer.ask(request);
    const isAllowed = right === 'nothing' || right === 'identity' || may.includes(right);
    expect(isRefused(reply)).toBe(isAllowed ? undefined : 'forbidden');
    if (right === 'identity' || isAllowed) return;
    expect(reply).toMatchObject({
      ok: false,
      error: { message: expect.stringMatching(/they .*(right to \w+ "pay"|no admin)/) },
    });
    expect(daemon.server.registry.revision).toBe(0);
  });
});

test('the table has every type of request', async () => {
  const file = new TokensFile();
  const token = file.add('they', []);
  const peer = await enter(await startGuarded(file), token);
  const { error } = await peer.ask({ type: 'none' });
  const { message } = error as { message: string };
  const types = message.slice(message.indexOf('are ') + 4).split(', ');
  expect(new Set(types)).toEqual(new Set([...REQUESTS.map(({ request }) => request.type), 'auth']));
});

describe.each(UNKNOWN)('a caller %s', (kind) => {
  test.each(REQUESTS)('$request is not answered, but for hello', async ({ right, request }) => {
    const file = new TokensFile();
    const everything = [rule(['admin'], '*')];
    const token = file.add('they', everything);
    const [, id = '', secret = ''] = /^reg_([a-z0-9]+)_(.*)$/.exec(token) ?? [];
    const last = secret.at(-2) === 'A' ? 'B' : 'A';
    const tokens: Record<string, string | undefined> = {
      nobody: undefined,
      'with a wrong secret': `reg_${id}_${secret.slice(0, -2)}${last}${secret.slice(-1)}`,
      'with an unknown id': `reg_0${id}_${secret}`,
      'with an expired token': file.add('late', everything, { expires: Date.UTC(2026, 0, 1) }),
      'with a revoked one': file.add('gone', everything, { revoked: 1 }),
    };
    const daemon = await startGuarded(file);
    const peer = daemon.connect();
    const given = tokens[kind];
    if (given !== undefined) expect(isRefused(await peer.ask({ type: 'auth', token: given }))).toBe('unauthenticated');
    expect(isRefused(await peer.ask(request))).toBe(right === 'nothing' ? undefined : 'unauthenticated');
    expect(daemon.server.registry.revision).toBe(0);
    await settle();
    expect(peer.waiting).toBe(0);
  });
});

describe('before it has authenticated', () => {
  test.each([
    'hello?',
    '[]',
    '{"type":"nothing of the kind"}',
    '{"type":"query"}',
    '{"type":"auth"}',
    '{"type":"auth","token":7}',
    '\xff',
    '{"type":"register","key":"all","values":1}',
  ])('a connection is not told what is wrong with %s', async (line) => {
    const daemon = await startGuarded(new TokensFile());
    const peer = daemon.connect();
    peer.send(Buffer.from(`${line}\r\n`, 'latin1'));
    expect(await peer.receive()).toMatchObject({ ok: false, error: { code: 'unauthenticated' } });
  });

  test('a connection is told by hello what it needs to authenticate, and nothing else', async () => {
    const file = new TokensFile();
    const token = file.add('they', []);
    const daemon = await startGuarded(file);
    const peer = daemon.connect();
    const reply = await peer.ask({ type: 'hello', id: 1 });
    expect(Object.keys(reply)).toEqual(['ok', 'id', 'server', 'protocol', 'authentication', 'limits']);
    expect(reply).toMatchObject({ authentication: 'required' });
    await peer.ask({ type: 'auth', token });
    expect(await peer.ask({ type: 'hello' })).toMatchObject({ authentication: 'required', revision: 0, log: 'memory' });
  });

  test('a connection that does not authenticate is closed in the time of a handshake, whatever it says', async () => {
    const file = new TokensFile();
    const token = file.add('they', [rule(['query'], '*')]);
    const daemon = await startGuarded(file, { maxConnections: 3 });
    const [silent, talkative] = [daemon.connect(), daemon.connect()];
    const known = await enter(daemon, token);
    await pass(daemon, 9000);
    expect(await talkative.ask({ type: 'hello' })).toMatchObject({ ok: true });
    expect(await daemon.connect().receive()).toMatchObject({ error: { limit: 'maxConnections' } });
    await pass(daemon, 2000);
    for (const peer of [silent, talkative]) {
      expect(await peer.receive()).toMatchObject({ ok: false, error: { code: 'unauthenticated' } });
    }
    await pass(daemon, 6000);
    expect(daemon.server.connections).toBe(1);
    expect(await known.ask({ type: 'ping' })).toEqual({ ok: true });
    // One that was somebody is told so too, and closed, so that its client comes back with the token of now.
    file.change('they', { revoked: 1 });
    await pass(daemon, 12_000);
    expect(await known.receive()).toMatchObject({ error: { code: 'unauthenticated' } });
    await pass(daemon, 6000);
    expect(daemon.server.connections).toBe(0);
  });

  test('the id of a request comes back all the same', async () => {
    const daemon = await startGuarded(new TokensFile());
    const peer = daemon.connect();
    expect(await peer.ask({ type: 'query', id: 'q' })).toMatchObject({ id: 'q', error: { code: 'unauthenticated' } });
  });
});

describe('a flood of requests that are refused', () => {
  async function outcomes(peer: Peer, request: object | string): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (let n = 0; n < 100; n += 1) {
      const { error } = (await peer.ask(request)) as unknown as { error: { code: string } };
      counts[error.code] = (counts[error.code] ?? 0) + 1;
    }
    return counts;
  }

  test('is bounded where they are forbidden, on a connection and over all of a caller', async () => {
    const file = new TokensFile();
    const token = file.add('they', [rule(['query'], 'pay')]);
    const daemon = await startGuarded(file, { maxRequestsPerSecond: 11, maxRequestsPerSecondPerCaller: 15 });
    const mail = { type: 'query', key: 'mail' };
    // The first of its eleven was to authenticate.
    expect(await outcomes(await enter(daemon, token), mail)).toEqual({ forbidden: 10, over_limit: 90 });
    expect(await outcomes(await enter(daemon, token), mail)).toEqual({ forbidden: 5, over_limit: 95 });
  });

  test.each([
    ['somebody who is not known', { type: 'query', key: 'mail' }],
    ['a kind that nobody can read', '{"type":"query"\r\n'],
    ['somebody with a wrong token', { type: 'auth', token: 'reg_nobodys_aaaaaaaaaaaaaaaaaaaaaaaa' }],
  ])('is bounded where they are of %s', async (_, request) => {
    const daemon = await startGuarded(new TokensFile(), { maxRequestsPerSecond: 10 });
    expect(await outcomes(daemon.connect(), request)).toMatchObject({ over_limit: 90 });
  });
});

describe('auth', () => {
  test('says who the caller is, and until when', async () => {
    const file = new TokensFile();
    const expires = Date.UTC(2027, 0, 1);
    const token = file.add('payments', [], { expires });
    const daemon = await startGuarded(file);
    expect(await daemon.connect().ask({ type: 'auth', token, id: 1 })).toEqual({
      ok: true,
      id: 1,
      caller: 'payments',
      expires,
    });
  });

  test('may be followed by requests at once', async () => {
    const file = new TokensFile();
    const token = file.add('payments', [rule(['register'], 'pay')]);
    const daemon = await startGuarded(file);
    const peer = daemon.connect();
    peer.send(`{"type":"auth","token":"${token}"}\r\n{"type":"register","key":"pay","values":"x","timeout":30}\r\n`);
    expect(await peer.receive()).toMatchObject({ ok: true, caller: 'payments' });
    expect(await peer.receive()).toMatchObject({ ok: true, result: 'registered' });
  });

  test('makes a connection another caller, and leaves it as it is where it fails', async () => {
    const file = new TokensFile();
    const reader = file.add('reader', [rule(['query'], 'pay')]);
    const writer = file.add('writer', [rule(['register'], 'pay')]);
    const daemon = await startGuarded(file);
    const peer = await enter(daemon, writer);
    await peer.ask({ type: 'register', key: 'pay', values: 'x' });
    expect(await peer.ask({ type: 'auth', token: 'reg_nobodys_aaaaaaaaaaaaaaaaaaaaaaaa' })).toMatchObject({
      ok: false,
    });
    expect(await peer.ask({ type: 'register', key: 'pay', values: 'y' })).toMatchObject({ result: 'updated' });
    await peer.ask({ type: 'auth', token: reader });
    expect(isRefused(await peer.ask({ type: 'register', key: 'pay', values: 'z' }))).toBe('forbidden');
    expect(await peer.ask({ type: 'query', key: 'pay' })).toMatchObject({ services: [{ values: 'y' }] });
    // It holds what the one before it has registered, and has no right to keep that alive.
    expect(await peer.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 0 });
  });

  test('shows no token, whatever is wrong with it', async () => {
    const file = new TokensFile();
    const token = file.add('gone', [], { revoked: 1 });
    const daemon = await startGuarded(file);
    const peer = daemon.connect();
    for (const given of [token, `${token}x`, 'hunter2', 'reg__', 'reg_a_b']) {
      expect(JSON.stringify(await peer.ask({ type: 'auth', token: given }))).not.toContain(given);
    }
  });

  test('takes any token where nobody has to authenticate', async () => {
    const file = new TokensFile();
    const daemon = await startGuarded(file, { tokens: undefined });
    const peer = daemon.connect();
    expect(await peer.ask({ type: 'auth', token: 'whatever' })).toEqual({ ok: true, caller: 'anybody' });
    expect(await peer.ask({ type: 'status' })).toMatchObject({ ok: true });
  });
});

describe('a line that the daemon knows word for word, since an admin has sent it', () => {
  const LINES = [
    { right: 'register', line: '{"type":"register","key":"pay","values":"x","timeout":30}\r\n' },
    { right: 'query', line: '{"type":"query","key":"pay"}\r\n' },
  ] as const;

  async function startKnowing(file: TokensFile) {
    const token = file.add('admin', [rule(['admin'], '*')]);
    const daemon = await startGuarded(file);
    const admin = await enter(daemon, token);
    for (const { line } of [...LINES, ...LINES]) expect(await admin.ask(line)).toMatchObject({ ok: true });
    const { known } = daemon.server.registry;
    for (const { line } of LINES) expect(known.find(Buffer.from(line), 0)).toBeGreaterThanOrEqual(0);
    return daemon;
  }

  describe.each(KNOWN)('is answered to a caller %s', (_, rules, may) => {
    test.each(LINES)('only with the right to $right', async ({ right, line }) => {
      const file = new TokensFile();
      const token = file.add(
        'caller',
        rules.map((given) => rule(...given)),
      );
      const peer = await enter(await startKnowing(file), token);
      expect(isRefused(await peer.ask(line))).toBe(may.some((given) => given === right) ? undefined : 'forbidden');
    });
  });

  test.each(LINES)(
    'is answered to nobody who has not authenticated, and to nobody any more who is revoked: $right',
    async ({ line }) => {
      const file = new TokensFile();
      const token = file.add('caller', [rule(['register', 'query'], 'pay')]);
      const daemon = await startKnowing(file);
      expect(isRefused(await daemon.connect().ask(line))).toBe('unauthenticated');
      const peer = await enter(daemon, token);
      expect(isRefused(await peer.ask(line))).toBeUndefined();
      file.change('caller', { revoked: 1 });
      await pass(daemon, 1000);
      expect(isRefused(await peer.ask(line))).toBe('unauthenticated');
    },
  );
});

describe('a request for many services', () => {
  async function furnished() {
    const file = new TokensFile();
    const daemon = await startGuarded(file);
    const admin = file.add('admin', [rule(['admin'], '*')]);
    const some = file.add('some', [rule(['query', 'watch'], 'a-*', 'c')]);
    await pass(daemon, 500);
    const owner = await enter(daemon, admin);
    for (const key of ['a-1', 'a-2', 'b', 'c', 'cc']) await owner.ask({ type: 'register', key, values: key });
    return { daemon, owner, peer: await enter(daemon, some) };
  }
  const keysOf = (reply: Record<string, unknown>) => (reply['services'] as { key: string }[]).map(({ key }) => key);

  test('is answered with what the caller may see, whole or in pages', async () => {
    const { peer, owner } = await furnished();
    expect(keysOf(await owner.ask({ type: 'query', key: 'all' }))).toEqual(['a-1', 'a-2', 'b', 'c', 'cc']);
    expect(keysOf(await peer.ask({ type: 'query', key: 'all' }))).toEqual(['a-1', 'a-2', 'c']);
    const found: string[] = [];
    for (let after = 0; ; ) {
      const page = await peer.ask({ type: 'query', key: 'all', limit: 1, after });
      found.push(...keysOf(page));
      // Where the next page begins is no hint at what lies between.
      if (page['next'] !== undefined) expect(page).toMatchObject({ services: [{ generation: page['next'] }] });
      if (page['next'] === undefined) break;
      after = page['next'] as number;
    }
    expect(found).toEqual(['a-1', 'a-2', 'c']);
  });

  test('is not counted where it cannot be told', async () => {
    const { peer, owner } = await furnished();
    await peer.ask({ type: 'watch', key: 'all', ack: true });
    await settle();
    expect(await owner.ask({ type: 'acks', key: 'a-1', revision: 1 })).toMatchObject({ watches: 1 });
    expect(await owner.ask({ type: 'acks', key: 'b', revision: 1 })).toMatchObject({ watches: 0 });
    expect(await owner.ask({ type: 'explain', key: 'a-1' })).toMatchObject({ watches: 1, watchers: ['local'] });
    expect(await owner.ask({ type: 'explain', key: 'b' })).toMatchObject({ watches: 0, watchers: [] });
  });
});
