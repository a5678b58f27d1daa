import { describe, expect, test } from 'vitest';
import { FakeDaemon, FakeRegistry, failure, later, outcome, settle } from './fake-daemon.js';

function started(options = {}) {
  const daemon = new FakeDaemon();
  const registry = new FakeRegistry();
  daemon.script = registry.script;
  return { daemon, registry, client: daemon.client(options) };
}

describe('a registration', () => {
  test('that is closed is destroyed, and renewed no more', async () => {
    const { daemon, registry, client } = started();
    const registration = await client.register('s', 1, { instance: 'x', ttl: 3 });
    await registration.close();
    expect(registry.instances.size).toBe(0);
    expect(registration.state).toBe('closed');
    await daemon.pass(10_000);
    expect(daemon.words()).toEqual(['register s x', 'destruction s x']);
    expect(daemon.clock.timers).toBe(0);
  });

  test('may be closed twice', async () => {
    const { daemon, client } = started();
    const registration = await client.register('s', 1, { instance: null });
    await Promise.all([registration.close(), registration.close()]);
    await registration.close();
    expect(daemon.words()).toEqual(['register s', 'destruction s']);
  });

  test('that is released is left to its ttl', async () => {
    const { daemon, registry, client } = started();
    const registration = await client.register('s', 1, { instance: 'x', ttl: 3 });
    await registration.release();
    await registration.close();
    await daemon.pass(10_000);
    expect(daemon.words()).toEqual(['register s x', 'register s x']);
    expect(daemon.requests).toMatchObject([{ linger: 2 }, { generation: 1, owner: daemon.requests[0]?.['owner'] }]);
    expect(daemon.requests[1]).not.toHaveProperty('linger');
    expect(registry.instances.size).toBe(1);
    expect(daemon.clock.timers).toBe(0);
  });

  test('that is bound to no connection needs no word to be released', async () => {
    const { daemon, client } = started();
    const registration = await client.register('s', 1, { instance: 'x', linger: null });
    await registration.release();
    expect(daemon.words()).toEqual(['register s x']);
    expect(daemon.requests[0]).not.toHaveProperty('linger');
  });

  test('that is closed ends nothing but its own', async () => {
    const { daemon, client } = started();
    const registration = await client.register('s', 1, { instance: 'x' });
    await registration.close();
    expect(daemon.requests[1]).toMatchObject({ type: 'destruction', owner: daemon.requests[0]?.['owner'] });
  });

  test('is closed at the end of its block with await using', async () => {
    const { registry, client } = started();
    {
      await using registration = await client.register('s', 1);
      expect(registration.state).toBe('registered');
      expect(registry.instances.size).toBe(1);
    }
    expect(registry.instances.size).toBe(0);
  });

  test('is destroyed on the next connection where the first broke', async () => {
    const { daemon, registry, client } = started();
    const registration = await client.register('s', 1);
    daemon.script = () => undefined;
    const closed = later(registration.close());
    await settle();
    daemon.script = registry.script;
    daemon.last.close();
    await daemon.pass(50);
    await closed;
    expect(registry.instances.size).toBe(0);
  });

  test('is destroyed with backoff where something accepts and hangs up', async () => {
    const { daemon, client } = started();
    const registration = await client.register('s', 1);
    daemon.script = () => {
      daemon.last.close();
      return undefined;
    };
    const closed = later(registration.close());
    await daemon.pass(5000);
    expect(daemon.dials).toBeGreaterThan(3);
    expect(daemon.dials).toBeLessThan(10);
    expect(await outcome(closed)).toBe('connect_failed');
  });

  test('is destroyed also where a heartbeat is under way', async () => {
    const { daemon, registry, client } = started();
    const registration = await client.register('s', 1, { ttl: 3, instance: 'x' });
    daemon.script = () => undefined;
    await daemon.pass(500);
    const closed = later(registration.close());
    await settle();
    expect(daemon.words()).toEqual(['register s x', 'heartbeat', 'destruction s x']);
    daemon.last.reply({ held: 1 }, { removed: 1, left: 0 });
    await closed;
    daemon.script = registry.script;
    await daemon.pass(10_000);
    expect(daemon.requests).toHaveLength(3);
  });

  test('that the daemon did not destroy is not kept alive by the heartbeats of others', async () => {
    const { daemon, registry, client } = started();
    await client.register('s', 1, { instance: 'x', ttl: 3 });
    const registration = await client.register('s', 1, { instance: 'y', ttl: 3 });
    daemon.script = (request, over) =>
      request['type'] === 'destruction' ? 'storage_full' : registry.script(request, over);
    expect(await outcome(registration.close())).toBe('storage_full');
    await daemon.pass(2000);
    expect(registry.instances.size).toBe(2);
    daemon.script = registry.script;
    await daemon.pass(1000);
    expect([...registry.instances.keys()]).toEqual(['s/x']);
    const tried = daemon.words().filter((word) => word === 'destruction s y').length;
    await daemon.pass(5000);
    expect(daemon.words().filter((word) => word === 'destruction s y')).toHaveLength(tried);
  });

  test('that cannot be destroyed says so', async () => {
    const { daemon, client } = started();
    const registration = await client.register('s', 1);
    daemon.mode = 'refusing';
    daemon.last.close();
    const closed = later(registration.close());
    await daemon.pass(5000);
    expect(await failure(closed)).toMatchObject({ code: 'connect_failed' });
    expect(registration.state).toBe('closed');
  });
});

describe('a client', () => {
  test('that is closed destroys what it registered, answers what is owed, and ends its connection', async () => {
    const { daemon, registry, client } = started();
    await client.register('a', 1);
    await client.register('b', 1);
    const query = client.query('a');
    await client.close();
    expect(await query).toEqual({ revision: 2, services: [] });
    expect(registry.instances.size).toBe(0);
    await settle();
    expect(daemon.last.closed).toBe(true);
    expect(daemon.clock.timers).toBe(0);
  });

  test('that is closed destroys all that it registered, however few requests may wait', async () => {
    const { registry, client } = started({ maxQueue: 2 });
    await Promise.all(Array.from({ length: 20 }, () => client.register('a', 1)));
    expect(registry.instances.size).toBe(20);
    later(client.ping());
    later(client.ping());
    await client.close();
    expect(registry.instances.size).toBe(0);
  });

  test('that is closed waits for what it was asked before', async () => {
    const { daemon, client } = started();
    const query = client.query('a');
    await client.close();
    expect(await query).toEqual({ revision: 0, services: [] });
    expect(daemon.clock.timers).toBe(0);
  });

  test('rejects everything after close', async () => {
    const { daemon, client } = started();
    await client.close();
    const attempts = [client.ping(), client.query('a'), client.register('a', 1), client.destroy('a')];
    expect(await Promise.all(attempts.map(outcome))).toEqual(['closed', 'closed', 'closed', 'closed']);
    expect(daemon.dials).toBe(0);
  });

  test('may be closed twice, and with await using', async () => {
    const { registry, client } = started();
    {
      await using own = client;
      await own.register('a', 1);
    }
    await client.close();
    expect(registry.instances.size).toBe(0);
  });

  test('closes within requestTimeout although the daemon does not answer', async () => {
    const { daemon, client } = started({ requestTimeout: 1000 });
    const registration = await client.register('a', 1);
    daemon.script = () => undefined;
    const query = later(client.query('a', { timeout: 60_000 }));
    const closed = client.close();
    await daemon.pass(999);
    expect(await outcome(closed)).toBe('pending');
    await daemon.pass(1);
    expect(await outcome(closed)).toBe('ok');
    expect(await outcome(query)).toBe('closed');
    expect(registration.state).toBe('closed');
    expect(daemon.clock.timers).toBe(0);
  });

  test('does not wait for a daemon that is not there', async () => {
    const { daemon, client } = started();
    await client.register('a', 1);
    daemon.mode = 'refusing';
    daemon.last.close();
    await daemon.pass(2000);
    const { dials } = daemon;
    expect(await outcome(client.close())).toBe('ok');
    expect(daemon.dials).toBe(dials + 1);
    expect(daemon.clock.timers).toBe(0);
  });

  test('still destroys what it has registered where the daemon has just come back, or comes back at once', async () => {
    const { daemon, registry, client } = started();
    await client.register('a', 1);
    daemon.mode = 'refusing';
    daemon.last.close();
    await daemon.pass(2000);
    daemon.mode = 'up';
    await client.close();
    expect(registry.instances.size).toBe(0);

    const other = daemon.client();
    await other.register('b', 1);
    daemon.script = () => undefined;
    const closed = other.close();
    await settle();
    daemon.script = registry.script;
    daemon.last.close();
    await daemon.pass(1);
    expect(await outcome(closed)).toBe('ok');
    expect(registry.instances.size).toBe(0);
  });

  test('does not dial over and over where something accepts and hangs up', async () => {
    const { daemon, client } = started();
    await client.register('a', 1);
    daemon.script = (_, over) => void over.close();
    const closed = client.close();
    await daemon.pass(100, 1);
    expect(await outcome(closed)).toBe('ok');
    expect(daemon.dials).toBe(2);
    expect(daemon.clock.timers).toBe(0);
  });

  test('closes within requestTimeout although nobody answers the dial', async () => {
    const { daemon, client } = started({ requestTimeout: 1000 });
    await client.register('a', 1);
    daemon.mode = 'silent';
    daemon.last.close();
    await daemon.pass(50);
    const closed = client.close();
    await daemon.pass(1000);
    expect(await outcome(closed)).toBe('ok');
    expect(daemon.clock.timers).toBe(0);
  });

  test('ends a register() that still waits', async () => {
    const { daemon, client } = started();
    daemon.mode = 'refusing';
    const registered = later(client.register('a', 1));
    await client.close();
    expect(await outcome(registered)).toBe('closed');
    expect(daemon.clock.timers).toBe(0);
  });

  test('with keepProcessAlive holds a timer until it is closed', async () => {
    const { daemon, client } = started({ keepProcessAlive: true });
    expect(daemon.clock.timers).toBe(1);
    await daemon.pass(2 ** 32, 2 ** 30);
    expect(daemon.clock.timers).toBe(1);
    await client.close();
    expect(daemon.clock.timers).toBe(0);
  });
});
