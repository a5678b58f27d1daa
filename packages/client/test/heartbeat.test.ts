import { describe, expect, test } from 'vitest';
import { FakeDaemon, FakeRegistry, failure, later, onOwnTurn, outcome, settle } from './fake-daemon.js';

function started(options = {}) {
  const daemon = new FakeDaemon();
  const registry = new FakeRegistry();
  daemon.script = registry.script;
  return { daemon, registry, client: daemon.client(options) };
}

const registers = (daemon: FakeDaemon) => daemon.requests.filter(({ type }) => type === 'register');

describe('register', () => {
  test('resolves when the registry has it, with what the registry said', async () => {
    const { daemon, client } = started();
    const registration = await client.register(
      'payments',
      { host: 'a', port: 1 },
      { ttl: 10, instance: 'x', tags: ['t'] },
    );
    expect(registration).toMatchObject({
      key: 'payments',
      instance: 'x',
      state: 'registered',
      revision: 1,
      generation: 1,
    });
    expect(daemon.requests).toEqual([
      { type: 'register', key: 'payments', instance: 'x', values: { host: 'a', port: 1 }, timeout: 10, tags: ['t'] },
    ]);
  });

  test('makes up an instance id of its own, unless told to be the unnamed one', async () => {
    const { daemon, client } = started();
    const [a, b] = [await client.register('s', 1), await client.register('s', 1)];
    expect(a.instance).toMatch(new RegExp(`-${process.pid}-[0-9a-f]{8}$`));
    expect(b.instance).not.toBe(a.instance);
    const unnamed = await client.register('s', 1, { instance: null, ttl: 'never' });
    expect(unnamed.instance).toBeNull();
    expect(daemon.requests.at(-1)).toEqual({ type: 'register', key: 's', values: 1, timeout: 'never' });
  });

  test.each([
    ['reserved_name', 'all', {}],
    ['invalid_name', 'a/b', {}],
    ['invalid_name', 's', { instance: '' }],
    ['invalid_timeout', 's', { ttl: 0 }],
  ])('rejects bad input with %s before it is sent, in the background too', async (code, key, options) => {
    const { daemon, client } = started();
    expect(await outcome(client.register(key, 1, options))).toBe(code);
    expect(await outcome(client.register(key, 1, { ...options, background: true }))).toBe(code);
    expect(daemon.dials).toBe(0);
  });

  test('rejects at once what the registry refuses, and keeps and destroys nothing', async () => {
    const { daemon, client } = started();
    daemon.script = () => 'value_too_large';
    const error = await failure(client.register('s', 1, { instance: null }));
    expect(error.code).toBe('value_too_large');
    await daemon.pass(60_000, 1000);
    expect(daemon.words()).toEqual(['register s']);
    expect(daemon.clock.timers).toBe(0);
  });

  test('tries again what may pass, until requestTimeout', async () => {
    const { daemon, registry, client } = started();
    daemon.script = () => 'storage_full';
    const registered = later(client.register('s', 1));
    await daemon.pass(1000);
    expect(registers(daemon).length).toBeGreaterThan(2);
    daemon.script = registry.script;
    await daemon.pass(2000);
    expect((await registered).state).toBe('registered');
  });

  test('says what the registry last answered when requestTimeout is over', async () => {
    const { daemon, client } = started();
    daemon.script = ({ type }) => (type === 'register' ? 'storage_full' : undefined);
    const registered = later(client.register('s', 1));
    await daemon.pass(5000);
    expect(await failure(registered)).toMatchObject({ code: 'storage_full', name: 'ReplyError' });
  });

  test('is not stopped by a connection that breaks before the reply', async () => {
    const { daemon, registry, client } = started();
    daemon.script = () => undefined;
    const registered = later(client.register('s', 1));
    await settle();
    daemon.script = registry.script;
    daemon.last.close();
    await daemon.pass(50);
    expect((await registered).state).toBe('registered');
  });

  test('leaves no mark where it was aborted beforehand', async () => {
    const { daemon, registry, client } = started();
    await client.request('register', { key: 's', values: 'of somebody else' });
    const signal = AbortSignal.abort('enough');
    const aborted = onOwnTurn(() => client.register('s', 1, { instance: null, signal }));
    expect(await failure(aborted)).toMatchObject({ code: 'aborted', cause: 'enough' });
    await daemon.pass(10_000);
    expect(daemon.words()).toEqual(['register s']);
    expect(registry.instances.size).toBe(1);
  });

  test.each([{ tags: ['a'], meta: { f: () => 1 } }, { meta: { s: Symbol('s') } }])(
    'refuses labels that JSON cannot say: %j',
    async (labels) => {
      const { daemon, client } = started();
      const options: object = labels;
      expect(await outcome(client.register('s', 1, options))).toBe('bad_request');
      expect(daemon.dials).toBe(0);
    },
  );

  test('destroys what may be there when it gives up without knowing', async () => {
    const { daemon, client } = started();
    daemon.script = () => undefined;
    const abort = new AbortController();
    const registered = later(client.register('s', 1, { instance: 'x', signal: abort.signal }));
    await settle();
    abort.abort('enough');
    expect(await failure(registered)).toMatchObject({ code: 'aborted', cause: 'enough' });
    await settle();
    expect(daemon.words()).toEqual(['register s x', 'destruction s x']);
  });

  test('destroys nothing where nothing was ever sent', async () => {
    const { daemon, client } = started();
    daemon.mode = 'refusing';
    const registered = later(client.register('s', 1));
    await daemon.pass(5000);
    expect(await failure(registered)).toMatchObject({ code: 'connect_failed', cause: { code: 'ECONNREFUSED' } });
    daemon.mode = 'up';
    await daemon.pass(10_000);
    expect(daemon.requests).toEqual([]);
  });

  test('shows in its error who asked', async () => {
    const { daemon, client } = started();
    daemon.script = () => 'value_too_large';
    async function theOneWhoAsked(): Promise<unknown> {
      return client.register('s', 1);
    }
    expect((await failure(theOneWhoAsked())).stack).toContain('theOneWhoAsked');
  });
});

describe('heartbeats', () => {
  test('come at a third of the ttl, a twentieth early with a middling jitter, the first anywhere before', async () => {
    const { daemon, client } = started();
    await client.register('s', 1, { ttl: 30, instance: 'x' });
    await daemon.pass(4999);
    expect(registers(daemon)).toHaveLength(1);
    await daemon.pass(1);
    expect(registers(daemon)).toHaveLength(2);
    await daemon.pass(9499);
    expect(registers(daemon)).toHaveLength(2);
    await daemon.pass(1);
    expect(registers(daemon)).toHaveLength(3);
    expect(registers(daemon)[2]).toEqual(registers(daemon)[0]);
  });

  test('of what was registered at once are spread over a third of the ttl, again after a reconnect', async () => {
    const draws = Array.from({ length: 40 }, (_, i) => ((i * 7) % 40) / 40);
    let drawn = 0;
    const { daemon, client } = started({ random: () => draws[drawn++ % draws.length] ?? 0 });
    await Promise.all(draws.map(() => client.register('s', 1, { ttl: 30 })));
    const busiest = async () => {
      let most = 0;
      for (let second = 0; second < 10; second += 1) {
        const before = registers(daemon).length;
        await daemon.pass(1000);
        most = Math.max(most, registers(daemon).length - before);
      }
      return most;
    };
    expect(await busiest()).toBeLessThan(10);
    daemon.last.close();
    await daemon.pass(2000);
    expect(registers(daemon).length).toBeGreaterThanOrEqual(120);
    expect(await busiest()).toBeLessThan(15);
  });

  test('do not compete with the caller for maxQueue', async () => {
    const { daemon, client } = started({ maxQueue: 2 });
    const registration = await client.register('s', 1, { ttl: 3 });
    daemon.script = () => undefined;
    for (const key of ['a', 'b']) later(client.query(key, { timeout: 60_000 }));
    expect(await outcome(client.query('c'))).toBe('queue_full');
    const second = client.register('s', 2);
    await daemon.pass(500);
    expect(registers(daemon)).toHaveLength(3);
    const found = { revision: 1, services: [] };
    const held = { result: 'renewed', revision: 1, generation: 1, registered: 1 };
    daemon.last.reply(found, found, held, held);
    await second;
    expect(registration.error).toBeUndefined();
  });

  test('have no floor', async () => {
    const { daemon, client } = started();
    await client.register('s', 1, { ttl: 0.03 });
    await daemon.pass(95, 1);
    expect(registers(daemon).length).toBeGreaterThanOrEqual(9);
  });

  test('are not needed without a ttl', async () => {
    const { daemon, client } = started();
    await client.register('s', 1, { ttl: 'never' });
    expect(daemon.clock.timers).toBe(0);
  });

  test('of a ttl of years do not overflow the timers', async () => {
    const { daemon, client } = started();
    const registration = await client.register('s', 1, { ttl: 315_360_000 });
    const events: string[] = [];
    registration.on('lost', () => events.push('lost'));
    await daemon.pass(2 ** 31 * 2, 2 ** 29);
    expect(registers(daemon).length).toBeLessThan(6);
    expect(events).toEqual([]);
  });

  test('never queue up behind a daemon that is slow', async () => {
    const { daemon, client } = started();
    await client.register('s', 1, { ttl: 3 });
    daemon.script = () => undefined;
    await daemon.pass(1450);
    expect(registers(daemon)).toHaveLength(2);
  });

  test('find a dead connection before the ttl is over', async () => {
    const { daemon, registry, client } = started();
    const registration = await client.register('s', 1, { ttl: 3 });
    const events: string[] = [];
    registration.on('lost', ({ reason }) => events.push(reason));
    daemon.script = () => undefined;
    await daemon.pass(1450);
    expect(daemon.last.closed).toBe(false);
    daemon.script = registry.script;
    await daemon.pass(2000);
    expect(daemon.connections[0]?.closed).toBe(true);
    expect(daemon.dials).toBe(2);
    expect(events).toEqual([]);
  });

  test('send what was registered, whatever the caller did to its objects since', async () => {
    const { daemon, client } = started();
    const values = { port: 1 };
    const tags = ['a'];
    await client.register('s', values, { ttl: 3, tags });
    values.port = 2;
    tags.push('b');
    await daemon.pass(1000);
    expect(registers(daemon)).toHaveLength(2);
    expect(registers(daemon)[1]).toMatchObject({ values: { port: 1 }, tags: ['a'] });
  });
});

describe('after a reconnect', () => {
  test('a registration is renewed at once, but for a spread of at most a tenth of its ttl', async () => {
    const { daemon, client } = started();
    await client.register('s', 1, { ttl: 4 });
    daemon.last.close();
    await daemon.pass(50);
    expect(daemon.dials).toBe(2);
    expect(daemon.last.requests).toEqual([]);
    await daemon.pass(199, 1);
    expect(daemon.last.requests).toEqual([]);
    await daemon.pass(1);
    expect(daemon.last.requests).toHaveLength(1);
  });

  test('one without a ttl is registered again', async () => {
    const { daemon, registry, client } = started();
    const registration = await client.register('s', 1, { ttl: 'never' });
    registry.forget();
    daemon.last.close();
    await daemon.pass(1000);
    expect(daemon.last.requests).toHaveLength(1);
    expect(registration.generation).toBe(2);
  });

  test('one without a ttl is tried again where that failed', async () => {
    const { daemon, registry, client } = started();
    await client.register('s', 1, { ttl: 'never' });
    daemon.script = () => 'storage_full';
    daemon.last.close();
    await daemon.pass(1000);
    expect(daemon.last.requests).toHaveLength(1);
    daemon.script = registry.script;
    await daemon.pass(10_000);
    expect(daemon.last.requests).toHaveLength(2);
    await daemon.pass(100_000, 1000);
    expect(daemon.last.requests).toHaveLength(2);
  });

  test('a client with registrations comes back by itself', async () => {
    const { daemon, client } = started();
    await client.register('s', 1);
    daemon.mode = 'refusing';
    daemon.last.close();
    await daemon.pass(20_000);
    daemon.mode = 'up';
    await daemon.pass(6000);
    expect(daemon.last.requests).toHaveLength(1);
  });
});
