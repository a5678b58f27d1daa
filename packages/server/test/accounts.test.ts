import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Accounts } from '../src/accounts.js';
import { enter, pass, rule, startGuarded, TokensFile } from './access/tokens-file.js';
import { type Daemon, type Peer, startDaemon } from './harness.js';
import { overLimit, register } from './over-limit.js';
import { settle } from './settle.js';

const EVERYTHING = [rule(['register', 'query', 'watch'], '*')];

/** A daemon with two callers. */
async function startWithTwo(options: Parameters<typeof startGuarded>[1]) {
  const file = new TokensFile();
  const [one, other] = [file.add('one', EVERYTHING), file.add('other', EVERYTHING)];
  const daemon = await startGuarded(file, options);
  return { file, daemon, one, other };
}

/** Two connections of one caller, and one of another. */
async function enterThrice(daemon: Daemon, one: string, other: string): Promise<[Peer, Peer, Peer]> {
  return [await enter(daemon, one), await enter(daemon, one), await enter(daemon, other)];
}

describe('max-requests-per-second-per-caller', () => {
  test('counts what all connections of a caller ask for, and touches no other caller', async () => {
    const { daemon, one, other } = await startWithTwo({ maxRequestsPerSecondPerCaller: 10 });
    const [first, second, stranger] = await enterThrice(daemon, one, other);
    for (let n = 0; n < 5; n += 1) {
      expect(await first.ask({ type: 'ping' })).toEqual({ ok: true });
      expect(await second.ask({ type: 'ping' })).toEqual({ ok: true });
    }
    for (const peer of [first, second]) {
      expect(await peer.ask({ type: 'ping' })).toEqual(overLimit('maxRequestsPerSecondPerCaller', 0.1));
    }
    expect(await stranger.ask({ type: 'ping' })).toEqual({ ok: true });
    daemon.clock.advance(100);
    expect(await second.ask({ type: 'ping' })).toEqual({ ok: true });
    expect(await first.ask({ type: 'ping' })).toMatchObject({ ok: false });
  });

  test('is not used up by what the bound of a connection refuses, nor that by what this refuses', async () => {
    const { daemon, one, other } = await startWithTwo({ maxRequestsPerSecondPerCaller: 10, maxRequestsPerSecond: 6 });
    const [first, second] = await enterThrice(daemon, one, other);
    // One of its own six was to authenticate, when it was nobody's yet.
    for (let n = 0; n < 5; n += 1) expect(await first.ask({ type: 'ping' })).toEqual({ ok: true });
    for (let n = 0; n < 5; n += 1) {
      expect(await first.ask({ type: 'ping' })).toMatchObject(overLimit('maxRequestsPerSecond'));
    }
    for (let n = 0; n < 5; n += 1) expect(await second.ask({ type: 'ping' })).toEqual({ ok: true });
    for (let n = 0; n < 5; n += 1) {
      expect(await second.ask({ type: 'ping' })).toMatchObject(overLimit('maxRequestsPerSecondPerCaller'));
    }
  });

  test('begins no sooner anew for who connects anew', async () => {
    const { daemon, one } = await startWithTwo({ maxRequestsPerSecondPerCaller: 2 });
    const first = await enter(daemon, one);
    for (let n = 0; n < 2; n += 1) expect(await first.ask({ type: 'ping' })).toEqual({ ok: true });
    first.hangUp();
    await settle();
    const again = await enter(daemon, one);
    expect(await again.ask({ type: 'ping' })).toMatchObject(overLimit('maxRequestsPerSecondPerCaller'));
    again.hangUp();
    await pass(daemon, 500);
    const later = await enter(daemon, one);
    expect(await later.ask({ type: 'ping' })).toEqual({ ok: true });
    expect(await later.ask({ type: 'ping' })).toMatchObject({ ok: false });
  });

  test('stays the same caller when its rules change', async () => {
    const { file, daemon, one } = await startWithTwo({ maxRequestsPerSecondPerCaller: 2 });
    const peer = await enter(daemon, one);
    for (let n = 0; n < 2; n += 1) await peer.ask({ type: 'ping' });
    file.change('one', { rules: [rule(['query'], '*')] });
    daemon.server.reload();
    expect(await peer.ask({ type: 'ping' })).toMatchObject({ ok: false });
  });
});

test('max-registrations-per-second-per-caller counts changes of all its connections, not renewals', async () => {
  const { daemon, one, other } = await startWithTwo({ maxRegistrationsPerSecondPerCaller: 2 });
  const [first, second, stranger] = await enterThrice(daemon, one, other);
  await first.ask(register('a'));
  await second.ask(register('b'));
  expect(await first.ask(register('c'))).toEqual(overLimit('maxRegistrationsPerSecondPerCaller', 0.5));
  expect(await second.ask(register('a'))).toMatchObject({ result: 'renewed' });
  expect(await stranger.ask(register('c'))).toMatchObject({ result: 'registered' });
  daemon.clock.advance(500);
  expect(await first.ask(register('a', { values: 2 }))).toMatchObject({ result: 'updated' });
});

describe('max-registrations-per-caller', () => {
  test('bounds what all connections of a caller hold, and not what one takes from another of them', async () => {
    const { daemon, one, other } = await startWithTwo({ maxRegistrationsPerCaller: 2 });
    const [first, second, stranger] = await enterThrice(daemon, one, other);
    await first.ask(register('a', { owner: 'x' }));
    await second.ask(register('b'));
    for (const peer of [first, second]) {
      expect(await peer.ask(register('c'))).toEqual(overLimit('maxRegistrationsPerCaller'));
    }
    await stranger.ask(register('c'));
    expect(await first.ask(register('c'))).toEqual(overLimit('maxRegistrationsPerCaller'));
    expect(await second.ask(register('a', { owner: 'x' }))).toMatchObject({ result: 'renewed' });
    expect(await first.ask(register('a', { owner: 'y', takeover: true }))).toMatchObject({ result: 'registered' });
    expect(await first.ask(register('b', { values: 2 }))).toMatchObject({ result: 'updated' });
    await stranger.ask({ type: 'destruction', key: 'web', instance: 'b' });
    expect(await second.ask(register('d'))).toMatchObject({ result: 'registered' });
  });

  test('has room again when a connection ends', async () => {
    const { daemon, one } = await startWithTwo({ maxRegistrationsPerCaller: 1 });
    const first = await enter(daemon, one);
    const second = await enter(daemon, one);
    await first.ask(register('a'));
    expect(await second.ask(register('b'))).toMatchObject({ ok: false });
    first.hangUp();
    await settle();
    expect(await second.ask(register('a'))).toMatchObject({ result: 'renewed' });
  });

  test('cannot be got round by who registers as one caller and goes on as another', async () => {
    const { daemon, one, other } = await startWithTwo({ maxRegistrationsPerCaller: 2 });
    const peer = await enter(daemon, one);
    await peer.ask(register('a'));
    const mover = await enter(daemon, other);
    await mover.ask(register('b'));
    await mover.ask(register('c'));
    expect(await mover.ask({ type: 'auth', token: one })).toEqual(overLimit('maxRegistrationsPerCaller'));
    // It is who it was, and no attempt has failed.
    expect(await mover.ask(register('d'))).toEqual(overLimit('maxRegistrationsPerCaller'));
    await mover.ask({ type: 'destruction', key: 'web', instance: 'c' });
    expect(await mover.ask({ type: 'auth', token: one })).toMatchObject({ ok: true, caller: 'one' });
    expect(await peer.ask(register('d'))).toEqual(overLimit('maxRegistrationsPerCaller'));
    expect(await (await enter(daemon, other)).ask(register('c'))).toMatchObject({ result: 'registered' });
  });
});

test('max-watches-per-caller bounds the watches of all its connections', async () => {
  const { daemon, one, other } = await startWithTwo({ maxWatchesPerCaller: 2 });
  const [first, second, stranger] = await enterThrice(daemon, one, other);
  const watch = async (peer: Peer, key: string) => {
    const reply = await peer.ask({ type: 'watch', key });
    if (reply.ok) await peer.receive();
    return reply;
  };
  expect(await watch(first, 'a')).toMatchObject({ ok: true });
  expect(await watch(second, 'a')).toMatchObject({ ok: true });
  expect(await watch(first, 'b')).toEqual(overLimit('maxWatchesPerCaller'));
  expect(await watch(stranger, 'b')).toMatchObject({ ok: true });
  await first.ask({ type: 'unwatch', watch: 1 });
  expect(await watch(second, 'b')).toMatchObject({ ok: true });
  second.hangUp();
  await settle();
  expect(await watch(first, 'b')).toMatchObject({ ok: true });
  expect(await watch(first, 'c')).toMatchObject({ ok: true });
  expect(await watch(first, 'd')).toEqual(overLimit('maxWatchesPerCaller'));
});

test.each([
  'maxRegistrationsPerCaller',
  'maxWatchesPerCaller',
  'maxRequestsPerSecondPerCaller',
  'maxRegistrationsPerSecondPerCaller',
])('%s is refused where nobody has to say who they are', async (name) => {
  await expect(startDaemon({ [name]: 5 })).rejects.toThrow(
    expect.objectContaining({ code: 'bad_config', message: expect.stringContaining(name) }),
  );
});

/** How many accounts the daemon has that a caller has last entered. */
function watchAccounts(): () => number {
  const move = vi.spyOn(Accounts.prototype, 'move');
  onTestFinished(() => move.mockRestore());
  return () => {
    const accounts: unknown = move.mock.contexts.at(-1);
    return accounts instanceof Accounts ? accounts.size : 0;
  };
}

test('a caller is forgotten a second after its last connection has gone, and not before', async () => {
  const size = watchAccounts();
  const { daemon, one, other } = await startWithTwo({ maxWatchesPerCaller: 1 });
  const [first, second] = await enterThrice(daemon, one, other);
  expect(size()).toBe(2);
  first.hangUp();
  await pass(daemon, 5000);
  expect(size()).toBe(2);
  second.hangUp();
  await settle();
  daemon.clock.advance(1000);
  expect(size()).toBe(2);
  daemon.clock.advance(1000);
  expect(size()).toBe(1);
});

test('a caller who comes and goes between two looks is not taken for one who was away', async () => {
  const { daemon, one } = await startWithTwo({ maxRequestsPerSecondPerCaller: 2 });
  const use = async () => {
    const peer = await enter(daemon, one);
    const replies = [await peer.ask({ type: 'ping' }), await peer.ask({ type: 'ping' })];
    peer.hangUp();
    await settle();
    return replies.map(({ ok }) => ok);
  };
  expect(await use()).toEqual([true, true]);
  await pass(daemon, 1900);
  expect(await use()).toEqual([true, true]);
  await pass(daemon, 100);
  expect(await use()).toEqual([false, false]);
});

test('a caller whose token is revoked is forgotten, though its connection stays', async () => {
  const size = watchAccounts();
  const { file, daemon, one } = await startWithTwo({ maxRequestsPerSecondPerCaller: 100 });
  const peer = await enter(daemon, one);
  file.change('one', { revoked: 1 });
  await pass(daemon, 4000);
  expect(await peer.ask({ type: 'hello' })).toMatchObject({ ok: true });
  expect(size()).toBe(0);
});

test('what any callers hold and watch is counted for each, whatever they do', async () => {
  const size = watchAccounts();
  const act = fc.record({
    kind: fc.constantFrom('enter', 'enter', 'move', 'register', 'register', 'destroy', 'watch', 'unwatch', 'hang up'),
    which: fc.nat(3),
    caller: fc.nat(1),
    name: fc.nat(5),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
      const bounds = { maxRegistrationsPerCaller: 3, maxWatchesPerCaller: 2 };
      const { daemon, one, other } = await startWithTwo(bounds);
      const tokens = [one, other];
      /** Connections, each with its caller and its watches. */
      const peers: ({ peer: Peer; caller: number; watches: number[] } | undefined)[] = [];
      /** Who holds what, by name. */
      const held = new Map<number, number>();
      const heldBy = (caller: number) => [...held.values()].filter((at) => peers[at]?.caller === caller).length;
      const watchedBy = (caller: number) =>
        peers.reduce((sum, each) => sum + (each?.caller === caller ? each.watches.length : 0), 0);
      for (const { kind, which, caller, name } of acts) {
        const at = peers[which];
        if (at === undefined) {
          peers[which] = { peer: await enter(daemon, tokens[caller] ?? ''), caller, watches: [] };
        } else if (kind === 'move') {
          const own = [...held.values()].filter((place) => place === which).length;
          const fits =
            at.caller === caller ||
            ((own === 0 || heldBy(caller) + own <= 3) &&
              (at.watches.length === 0 || watchedBy(caller) + at.watches.length <= 2));
          const reply = await at.peer.ask({ type: 'auth', token: tokens[caller] });
          expect(reply.ok).toBe(fits);
          if (fits) at.caller = caller;
        } else if (kind === 'register') {
          const before = held.get(name);
          const isOwn = before !== undefined && peers[before]?.caller === at.caller;
          const fits = isOwn || heldBy(at.caller) < 3;
          expect((await at.peer.ask(register(String(name)))).ok).toBe(fits);
          if (fits) held.set(name, which);
        } else if (kind === 'destroy') {
          await at.peer.ask({ type: 'destruction', key: 'web', instance: String(name) });
          held.delete(name);
        } else if (kind === 'watch') {
          const fits = watchedBy(at.caller) < 2;
          const reply = await at.peer.ask({ type: 'watch', key: 'empty' });
          expect(reply.ok).toBe(fits);
          if (!fits) continue;
          at.watches.push(Number(reply['watch']));
          await at.peer.receive();
        } else if (kind === 'unwatch') {
          const watch = at.watches.pop();
          if (watch !== undefined) await at.peer.ask({ type: 'unwatch', watch });
        } else if (kind === 'hang up') {
          at.peer.hangUp();
          await settle();
          peers[which] = undefined;
          for (const [key, by] of held) if (by === which) held.delete(key);
        }
      }
      for (const each of peers) each?.peer.hangUp();
      await settle();
      daemon.clock.advance(2000);
      expect(size()).toBe(0);
    }),
    { numRuns: 60 },
  );
});
