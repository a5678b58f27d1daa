import { describe, expect, test } from 'vitest';
import { FakeDaemon, FakeRegistry, failure, later, onOwnTurn, outcome, settle } from './fake-daemon.js';

function started(options = {}) {
  const daemon = new FakeDaemon();
  const registry = new FakeRegistry();
  daemon.script = registry.script;
  return { daemon, registry, client: daemon.client(options) };
}

const registers = (daemon: FakeDaemon) => daemon.requests.filter(({ type }) => type === 'register');
const heartbeats = (daemon: FakeDaemon) => daemon.requests.filter(({ type }) => type === 'heartbeat');

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
      {
        type: 'register',
        key: 'payments',
        instance: 'x',
        values: { host: 'a', port: 1 },
        timeout: 10,
        linger: 2,
        tags: ['t'],
        owner: expect.stringMatching(/^[\w-]{22}$/),
      },
    ]);
  });

  test('gives each registration a secret of its own', async () => {
    const { daemon, client } = started();
    await Promise.all([client.register('s', 1), client.register('s', 1)]);
    const [a, b] = registers(daemon);
    expect(a?.['owner']).not.toBe(b?.['owner']);
  });

  test('waits for an instance that somebody else has, and says so in the end', async () => {
    const { daemon, registry, client } = started();
    await client.request('register', { key: 's', instance: 'x', values: 1, owner: 'somebody' });
    const given = later(client.register('s', 2, { instance: 'x' }));
    await daemon.pass(5000);
    expect(await outcome(given)).toBe('owned');
    expect(registry.instances.get('s/x')?.owner).toBe('somebody');
    const waiting = later(client.register('s', 2, { instance: 'x' }));
    await daemon.pass(1000);
    registry.forget();
    await daemon.pass(2000);
    expect((await waiting).state).toBe('registered');
  });

  test('takes an instance over where it is told to, once', async () => {
    const { daemon, registry, client } = started();
    const loser = await client.register('s', 1, { instance: 'x', ttl: 3 });
    const told: string[] = [];
    loser.on('lost', ({ reason }) => told.push(reason));
    const winner = await client.register('s', 2, { instance: 'x', ttl: 3, takeover: true });
    await winner.update(3);
    expect(registers(daemon).map(({ takeover, generation }) => takeover ?? generation)).toEqual([undefined, true, 2]);
    await daemon.pass(1000);
    expect(told).toEqual(['superseded']);
    expect([loser.state, winner.state]).toEqual(['closed', 'registered']);
    await loser.close();
    expect(registry.instances.size).toBe(1);
  });

  test('makes up an instance id of its own, unless told to be the unnamed one', async () => {
    const { daemon, client } = started();
    const [a, b] = [await client.register('s', 1), await client.register('s', 1)];
    expect(a.instance).toMatch(new RegExp(`-${process.pid}-[0-9a-f]{8}$`));
    expect(b.instance).not.toBe(a.instance);
    const unnamed = await client.register('s', 1, { instance: null, ttl: 'never' });
    expect(unnamed.instance).toBeNull();
    expect(daemon.requests.at(-1)).toMatchObject({ type: 'register', key: 's', values: 1, timeout: 'never' });
    expect(daemon.requests.at(-1)).not.toHaveProperty('instance');
  });

  test.each([
    ['reserved_name', 'all', {}],
    ['invalid_name', 'a/b', {}],
    ['invalid_name', 's', { instance: '' }],
    ['invalid_timeout', 's', { ttl: 0 }],
    ['invalid_linger', 's', { linger: -1 }],
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
    expect(heartbeats(daemon)).toHaveLength(0);
    await daemon.pass(1);
    expect(heartbeats(daemon)).toEqual([{ type: 'heartbeat' }]);
    await daemon.pass(9499);
    expect(heartbeats(daemon)).toHaveLength(1);
    await daemon.pass(1);
    expect(heartbeats(daemon)).toHaveLength(2);
    expect(registers(daemon)).toHaveLength(1);
  });

  test('are one for all registrations of a client, as often as the shortest ttl needs', async () => {
    const { daemon, client } = started();
    const long = await Promise.all(Array.from({ length: 100 }, () => client.register('s', 1, { ttl: 30 })));
    await daemon.pass(5000);
    expect(heartbeats(daemon)).toHaveLength(1);
    const short = await client.register('s', 1, { ttl: 3 });
    await daemon.pass(9500);
    expect(heartbeats(daemon)).toHaveLength(11);
    await short.close();
    // The one that was due comes yet.
    await daemon.pass(950 + 9499);
    expect(heartbeats(daemon)).toHaveLength(12);
    expect(registers(daemon)).toHaveLength(101);
    expect(long.every(({ state }) => state === 'registered')).toBe(true);
  });

  test('keep all of them alive', async () => {
    const { daemon, client } = started();
    const registrations = await Promise.all([1, 2, 3].map((ttl) => client.register('s', 1, { ttl })));
    const lost: string[] = [];
    for (const registration of registrations) registration.on('lost', ({ reason }) => lost.push(reason));
    await daemon.pass(20_000);
    expect(lost).toEqual([]);
    expect(registers(daemon)).toHaveLength(3);
  });

  test('say nothing of what was registered after they were sent', async () => {
    const { daemon, registry, client } = started();
    await client.register('s', 1, { ttl: 3 });
    daemon.script = () => undefined;
    await daemon.pass(500);
    const second = client.register('s', 2, { ttl: 3 });
    await settle();
    daemon.script = registry.script;
    daemon.last.reply({ held: 1 }, { result: 'registered', revision: 2, generation: 2, registered: 1 });
    expect((await second).state).toBe('registered');
    await daemon.pass(400);
    expect(registers(daemon)).toHaveLength(2);
  });

  test('and what else the connection holds, such as what was released, do not confuse it', async () => {
    const { daemon, client } = started();
    await client.request('register', { key: 'raw', values: 1 });
    const released = await client.register('s', 1, { ttl: 3 });
    await client.register('s', 2, { ttl: 3 });
    await released.release();
    await daemon.pass(10_000);
    expect(registers(daemon)).toHaveLength(4);
    expect(heartbeats(daemon).length).toBeGreaterThan(8);
  });

  test('find what nobody has named also where the connection holds what was released', async () => {
    const { daemon, registry, client } = started();
    const registration = await client.register('s', 1, { ttl: 3, instance: 'x' });
    const released = await client.register('s', 1, { ttl: 3, instance: 'y' });
    await released.release();
    await daemon.pass(1000);
    registry.end('s/x', 'expired', true);
    await daemon.pass(2000);
    expect(registry.instances.get('s/x')?.generation).toBe(registration.generation);
    expect(registration.generation).toBeGreaterThan(3);
    const sent = registers(daemon).length;
    await daemon.pass(20_000);
    expect(registers(daemon)).toHaveLength(sent);
  });

  test('register nothing again while others come and go', async () => {
    const { daemon, client } = started();
    for (let round = 0; round < 20; round += 1) {
      await client.register('s', 1, { ttl: 3, instance: `${round}` });
      const given = later(client.register('s', 1, { ttl: 3, instance: `${round} goes` }));
      if (round % 5 === 0) await (await given).release();
      await daemon.pass(290);
      const other = await given;
      if (round % 5 !== 0) await other.close();
    }
    expect(heartbeats(daemon).length).toBeGreaterThan(4);
    expect(registers(daemon)).toHaveLength(44);
  });

  test('end with the last registration', async () => {
    const { daemon, client } = started();
    const registration = await client.register('s', 1);
    await registration.close();
    await daemon.pass(60_000, 1000);
    expect(heartbeats(daemon)).toEqual([]);
    expect(daemon.clock.timers).toBe(0);
  });

  test('that the daemon does not take are registrations instead', async () => {
    const { daemon, registry, client } = started();
    const registration = await client.register('s', 1, { ttl: 3 });
    const lost: string[] = [];
    registration.on('lost', ({ reason }) => lost.push(reason));
    daemon.script = (request, over) => (request['type'] === 'heartbeat' ? 'internal' : registry.script(request, over));
    await daemon.pass(10_000);
    expect(heartbeats(daemon).length).toBeGreaterThan(8);
    expect(registers(daemon).length).toBe(heartbeats(daemon).length + 1);
    expect(lost).toEqual([]);
  });

  test('do not compete with the caller for maxQueue', async () => {
    const { daemon, client } = started({ maxQueue: 2 });
    const registration = await client.register('s', 1, { ttl: 3 });
    daemon.script = () => undefined;
    for (const key of ['a', 'b']) later(client.query(key, { timeout: 60_000 }));
    expect(await outcome(client.query('c'))).toBe('queue_full');
    const second = client.register('s', 2);
    await daemon.pass(500);
    expect(daemon.requests.map(({ type }) => type)).toEqual(['register', 'query', 'query', 'register', 'heartbeat']);
    const found = { revision: 1, services: [] };
    const registered = { result: 'registered', revision: 2, generation: 2, registered: 1 };
    daemon.last.reply(found, found, registered, { held: 2 });
    await second;
    expect(registration.error).toBeUndefined();
  });

  test('have no floor', async () => {
    const { daemon, client } = started();
    await client.register('s', 1, { ttl: 0.03 });
    await daemon.pass(95, 1);
    expect(heartbeats(daemon).length).toBeGreaterThanOrEqual(8);
  });

  test.each(['never', 315_360_000] as const)('of a ttl of %s tell what has ended within seconds', async (ttl) => {
    const { daemon, registry, client } = started();
    const registration = await client.register('s', 1, { ttl, instance: 'x' });
    const lost: string[] = [];
    registration.on('lost', ({ reason }) => lost.push(reason));
    await daemon.pass(60_000, 1000);
    expect(heartbeats(daemon).length).toBeLessThan(8);
    registry.end('s/x', 'destroyed');
    await daemon.pass(10_000, 1000);
    expect(lost).toEqual(['destroyed']);
  });

  test('of a ttl of years do not overflow the timers', async () => {
    const { daemon, client } = started();
    const registration = await client.register('s', 1, { ttl: 315_360_000 });
    const events: string[] = [];
    registration.on('lost', () => events.push('lost'));
    daemon.script = () => undefined;
    await daemon.pass(2 ** 31 * 2, 2 ** 29);
    expect(events).toEqual([]);
    expect(daemon.requests.length).toBeLessThan(100);
  });

  test('never queue up behind a daemon that is slow', async () => {
    const { daemon, registry, client } = started();
    await client.register('s', 1, { ttl: 3 });
    daemon.script = () => undefined;
    await daemon.pass(1450);
    expect(heartbeats(daemon)).toHaveLength(1);
    // It is not silent, only late.
    for (let second = 0; second < 5; second += 1) {
      daemon.last.raw('{"type":"news"}\r\n');
      await daemon.pass(500);
    }
    expect(heartbeats(daemon)).toHaveLength(1);
    daemon.script = registry.script;
    daemon.last.reply({ held: 1 });
    await daemon.pass(50);
    expect(heartbeats(daemon)).toHaveLength(2);
    expect(daemon.dials).toBe(1);
  });

  test('that come back late still tell what ended', async () => {
    const { daemon, client } = started();
    const registration = await client.register('s', 1, { ttl: 3, instance: 'x' });
    daemon.script = () => undefined;
    await daemon.pass(1400);
    daemon.last.raw('{"type":"news"}\r\n');
    await daemon.pass(900);
    daemon.last.reply({ held: 0, ended: [{ key: 's', instance: 'x', generation: 1, reason: 'destroyed' }] });
    await settle();
    expect(registration).toMatchObject({ state: 'closed', error: { code: 'destroyed' } });
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

  test('that wait when the connection breaks are not sent on the next', async () => {
    const { daemon, registry, client } = started();
    await client.register('s', 1, { ttl: 3 });
    daemon.last.pause();
    later(client.request('register', { key: 'big', values: 'x'.repeat(1 << 20) }));
    await daemon.pass(500);
    registry.forget(true);
    daemon.last.close();
    await daemon.pass(300);
    expect(daemon.last.requests).toMatchObject([{ type: 'register', key: 's', generation: 1 }]);
  });
});

test('the registrations of one client are renewed as their values were, whatever the caller did since', async () => {
  const { daemon, client } = started();
  const values = { port: 1 };
  const tags = ['a'];
  await client.register('s', values, { ttl: 3, tags });
  values.port = 2;
  tags.push('b');
  daemon.last.close();
  await daemon.pass(1000);
  expect(registers(daemon)).toHaveLength(2);
  expect(registers(daemon)[1]).toMatchObject({ values: { port: 1 }, tags: ['a'] });
});

describe('after a reconnect', () => {
  test('a registration is renewed at once, but for a spread of at most a quarter of its linger', async () => {
    const { daemon, client } = started();
    await client.register('s', 1, { linger: 1 });
    daemon.last.close();
    await daemon.pass(50);
    expect(daemon.dials).toBe(2);
    await daemon.pass(124, 1);
    expect(daemon.last.requests).toEqual([]);
    await daemon.pass(1);
    expect(daemon.last.requests).toMatchObject([{ linger: 1, generation: 1 }]);
  });

  test('the registrations of a client are spread, and so is the first heartbeat', async () => {
    const draws = Array.from({ length: 40 }, (_, i) => ((i * 7) % 40) / 40);
    let drawn = 0;
    const { daemon, client } = started({ random: () => draws[drawn++ % draws.length] ?? 0 });
    await Promise.all(draws.map(() => client.register('s', 1, { ttl: 30 })));
    daemon.last.close();
    await settle();
    await daemon.pass(550, 5);
    const most = Math.max(...daemon.last.pieces);
    expect(registers(daemon)).toHaveLength(80);
    expect(most).toBeLessThan(5);
  });

  test('one that is bound to none is renewed within a tenth of its ttl', async () => {
    const { daemon, client } = started();
    await client.register('s', 1, { ttl: 4, linger: null });
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
    await daemon.pass(100_000, 1000);
    expect(daemon.last.requests.filter(({ type }) => type === 'register')).toHaveLength(2);
  });

  test('a client with registrations comes back by itself', async () => {
    const { daemon, client } = started();
    await client.register('s', 1);
    daemon.mode = 'refusing';
    daemon.last.close();
    await daemon.pass(20_000);
    daemon.mode = 'up';
    await daemon.pass(6000);
    expect(daemon.last.requests[0]).toMatchObject({ type: 'register' });
  });
});
