import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ClientOptions, connect, type RegistryError } from '../src/index.js';
import { FakeDaemon, FakeRegistry, failure, later, outcome, type Script, settle } from './fake-daemon.js';

const TOKEN = 'reg_a1_secret';

/** A daemon that takes the tokens of `valid`, and refuses everything else that it is asked before. */
function started(options: ClientOptions = {}) {
  const daemon = new FakeDaemon();
  const registry = new FakeRegistry();
  const valid = new Set([TOKEN]);
  const known = new Set<unknown>();
  const script: Script = (request, connection) => {
    if (request['type'] === 'auth') {
      if (!valid.has(String(request['token']))) return 'unauthenticated';
      known.add(connection);
      return { caller: 'ci' };
    }
    return known.has(connection) ? registry.script(request, connection) : 'unauthenticated';
  };
  daemon.script = script;
  return { daemon, registry, valid, client: daemon.client(options) };
}

describe('a token', () => {
  test('goes out first, and nothing waits for its reply', async () => {
    const { daemon, client } = started({ token: TOKEN });
    daemon.script = () => undefined;
    later(client.ping());
    later(client.query('s'));
    await settle();
    expect(daemon.last.requests).toEqual([
      { type: 'auth', token: TOKEN },
      { type: 'ping' },
      { type: 'query', key: 's' },
    ]);
  });

  test('goes out on each connection, before what is registered again', async () => {
    const { daemon, registry, client } = started({ token: TOKEN });
    await client.register('s', 1, { instance: 'i', linger: null });
    daemon.last.close();
    await daemon.pass(15_000);
    expect(daemon.connections).toHaveLength(2);
    expect(daemon.last.requests.slice(0, 2)).toMatchObject([{ type: 'auth' }, { type: 'register' }]);
    expect(registry.instances.size).toBe(1);
  });

  test('that is a function is asked at each connection', async () => {
    const tokens = ['reg_a1_first', 'reg_a2_second'];
    const { daemon, valid, client } = started({ token: () => tokens.shift() });
    valid.add('reg_a1_first').add('reg_a2_second');
    await client.ping();
    daemon.last.close();
    await settle();
    await client.ping();
    expect(daemon.requests.filter(({ type }) => type === 'auth').map(({ token }) => token)).toEqual([
      'reg_a1_first',
      'reg_a2_second',
    ]);
  });

  test('may be in the address, of which it is no part', async () => {
    const { daemon } = started();
    daemon.endpoints = `reg://${TOKEN}@a.test:1,b.test:2`;
    const client = daemon.client();
    const connected: unknown[] = [];
    client.on('connect', ({ endpoint }) => connected.push(endpoint));
    await client.ping();
    expect(daemon.last.requests[0]).toEqual({ type: 'auth', token: TOKEN });
    expect(connected).toEqual([{ host: 'a.test', port: 1 }]);
    expect(inspect(client, { depth: 9, showHidden: false })).not.toContain('secret');
  });

  test.each([
    ['two in one list', `reg://${TOKEN}@a,reg://other@b`, {}, 'bad_endpoint'],
    ['an empty one', 'a', { token: '' }, 'bad_config'],
  ])('may not be %s', (_, endpoints, options, code) => {
    expect(() => connect(endpoints, options)).toThrow(expect.objectContaining({ code }));
  });

  test('that a function cannot give fails like a connection', async () => {
    const { daemon, client } = started({
      token: () => {
        throw new Error('no such file');
      },
    });
    const ping = later(client.ping());
    await daemon.pass(6000);
    expect((await failure(ping)).message).toContain('no such file');
    expect(daemon.dials).toBe(0);
  });
});

describe('a token that is refused', () => {
  test('fails all that waits and all that was sent, for that reason', async () => {
    const { client } = started({ token: 'reg_a1_wrong' });
    const calls = [client.ping(), client.destroy('s'), client.register('s', 1)];
    expect(await Promise.all(calls.map(outcome))).toEqual(Array(3).fill('unauthenticated'));
  });

  test('is not sent again sooner than the backoff says, however often somebody asks', async () => {
    const { daemon, client } = started({ token: 'reg_a1_wrong' });
    for (let asked = 0; asked < 50; asked += 1) {
      later(client.ping());
      await daemon.pass(100);
    }
    // 50, 100, 200, 400, 800, 1600 and 2500 ms after one another, where a quick refusal would make 50.
    expect(daemon.dials).toBeGreaterThan(3);
    expect(daemon.dials).toBeLessThan(9);
  });

  test('fails at once, every time, where nobody reconnects', async () => {
    const { daemon, client } = started({ token: 'reg_a1_wrong', reconnect: false });
    expect(await outcome(client.ping())).toBe('unauthenticated');
    expect(await outcome(client.ping())).toBe('unauthenticated');
    expect(daemon.dials).toBe(2);
  });

  test('is no end of what is registered: it comes back with one that is taken', async () => {
    let token = TOKEN;
    const { daemon, registry, valid, client } = started({ token: () => token });
    const registration = await client.register('s', 1, { ttl: 30 });
    valid.delete(TOKEN);
    registry.forget();
    daemon.last.close();
    await daemon.pass(20_000);
    expect(registry.instances.size).toBe(0);
    token = 'reg_a2_new';
    valid.add(token);
    await daemon.pass(30_000);
    expect(registry.instances.size).toBe(1);
    expect(registration.state).toBe('registered');
  });

  test('or taken in words of no registry ends the connection', async () => {
    const { daemon, client } = started({ token: TOKEN, reconnect: false });
    daemon.script = () => ({});
    expect((await failure(client.ping())).message).toContain('not of the form that auth has');
  });

  test('is told as it is by a daemon that knows no tokens', async () => {
    const { daemon, client } = started({ token: TOKEN, reconnect: false });
    daemon.script = ({ type }) => (type === 'auth' ? 'unknown_type' : {});
    expect(await outcome(client.ping())).toBe('unknown_type');
  });
});

test('no error shows a token, whatever the daemon does', async () => {
  const ends = fc.constantFrom('refuse', 'hang up', 'refuse dials', 'nonsense', 'silence');
  await fc.assert(
    fc.asyncProperty(ends, fc.stringMatching(/^[\w-]{20,43}$/), fc.boolean(), async (end, secret, inAddress) => {
      const token = `reg_a1_${secret}`;
      const daemon = new FakeDaemon();
      if (inAddress) daemon.endpoints = `reg://${token}@daemon.test:1`;
      const client = daemon.client(inAddress ? {} : { token });
      const told: unknown[] = [];
      client.on('retry', (event) => told.push(event)).on('disconnect', (event) => told.push(event));
      if (end === 'refuse dials') daemon.mode = 'refusing';
      daemon.script = (_, connection) => {
        if (end === 'refuse') return 'unauthenticated';
        if (end === 'hang up') connection.close();
        if (end === 'nonsense') connection.raw('nonsense\r\n');
        return undefined;
      };
      const ping = client.ping().catch((error: RegistryError) => told.push(error, error.stack));
      await daemon.pass(6000, 500);
      await ping;
      expect(told.length).toBeGreaterThan(0);
      expect(inspect(told, { depth: 9 })).not.toContain(secret);
      await client.close();
    }),
    { numRuns: 40 },
  );
});
