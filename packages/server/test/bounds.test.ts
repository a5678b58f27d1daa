import { describe, expect, test } from 'vitest';
import { type Peer, startDaemon } from './harness.js';
import { overLimit, register } from './over-limit.js';
import { settle } from './settle.js';

async function isClosed(peer: Peer): Promise<void> {
  await expect(peer.line()).rejects.toThrow('the connection has ended');
}

describe('max-connections', () => {
  test('tells one connection more which bound there is, closes it, and has room again when one ends', async () => {
    await using daemon = await startDaemon({ maxConnections: 2 });
    const [first, second] = [daemon.connect(), daemon.connect()];
    const surplus = daemon.connect();
    surplus.send({ type: 'ping' });
    expect(await surplus.receive()).toEqual(overLimit('maxConnections', 5));
    await isClosed(surplus);
    expect(daemon.server.connections).toBe(2);
    expect(await first.ask({ type: 'ping' })).toEqual({ ok: true });
    second.hangUp();
    await settle();
    expect(await daemon.connect().ask({ type: 'ping' })).toEqual({ ok: true });
  });

  test('holds who is refused and does not leave for two seconds at most', async () => {
    await using daemon = await startDaemon({ maxConnections: 1 });
    daemon.connect();
    const stubborn = daemon.connect();
    expect(await stubborn.receive()).toMatchObject({ ok: false });
    await settle();
    expect(stubborn.far.destroyed).toBe(false);
    daemon.clock.advance(2100);
    expect(stubborn.far.destroyed).toBe(true);
  });

  test('closes without a word where many are refused at a time', async () => {
    await using daemon = await startDaemon({ maxConnections: 1 });
    const within = daemon.connect();
    const refused = Array.from({ length: 1000 }, () => daemon.connect());
    expect(refused.filter(({ far }) => !far.destroyed)).toHaveLength(256);
    expect(await within.ask({ type: 'ping' })).toEqual({ ok: true });
    daemon.clock.advance(2100);
    expect(refused.filter(({ far }) => !far.destroyed)).toHaveLength(0);
  });
});

describe('max-instances', () => {
  test('refuses what is new, while what is there is renewed, updated, taken over, found and destroyed', async () => {
    await using daemon = await startDaemon({ maxInstances: 2 });
    const peer = daemon.connect();
    await peer.ask(register('a', { owner: 'x' }));
    await peer.ask(register('b'));
    expect(await peer.ask(register('c'))).toEqual(overLimit('maxInstances', 5));
    expect(await peer.ask(register('b'))).toMatchObject({ result: 'renewed' });
    expect(await peer.ask(register('b', { values: 2 }))).toMatchObject({ result: 'updated' });
    expect(await peer.ask(register('a', { owner: 'y', takeover: true }))).toMatchObject({ result: 'registered' });
    expect((await peer.ask({ type: 'query', key: 'web' }))['services']).toHaveLength(2);
    await peer.ask({ type: 'destruction', key: 'web', instance: 'a' });
    expect(await peer.ask(register('c'))).toMatchObject({ result: 'registered' });
  });
});

describe('max-memory', () => {
  test('is looked at once a second, and refuses what is new until there is less', async () => {
    let memory = 50;
    await using daemon = await startDaemon({ maxMemory: 100, measureMemory: () => memory });
    const peer = daemon.connect();
    await peer.ask(register('a'));
    memory = 101;
    expect(await peer.ask(register('b'))).toMatchObject({ result: 'registered' });
    daemon.clock.advance(1000);
    expect(await peer.ask(register('c'))).toEqual(overLimit('maxMemory', 5));
    expect(await peer.ask(register('b'))).toMatchObject({ result: 'renewed' });
    expect(await peer.ask({ type: 'heartbeat' })).toMatchObject({ held: 2 });
    expect((await peer.ask({ type: 'query', key: 'web' }))['services']).toHaveLength(2);
    memory = 100;
    daemon.clock.advance(1000);
    expect(await peer.ask(register('c'))).toMatchObject({ result: 'registered' });
  });

  test('is below what the process has by default, and above what it takes', async () => {
    await using daemon = await startDaemon();
    daemon.clock.advance(1000);
    expect(await daemon.connect().ask(register('a'))).toMatchObject({ result: 'registered' });
    expect(daemon.server.config.maxMemory).toBeGreaterThan(64 * 1024 * 1024);
  });
});

describe('what one connection may have', () => {
  test('max-registrations bounds what it holds, whoever registered that first', async () => {
    await using daemon = await startDaemon({ maxRegistrations: 2 });
    const [peer, other] = [daemon.connect(), daemon.connect()];
    await peer.ask(register('a'));
    await peer.ask(register('b'));
    await other.ask(register('c'));
    expect(await peer.ask(register('d'))).toEqual(overLimit('maxRegistrations'));
    expect(await peer.ask(register('c'))).toEqual(overLimit('maxRegistrations'));
    expect(await peer.ask(register('c', { values: 2 }))).toEqual(overLimit('maxRegistrations'));
    expect(await peer.ask(register('c', { owner: 'x' }))).toEqual(overLimit('maxRegistrations'));
    expect(await peer.ask(register('b', { values: 2 }))).toMatchObject({ result: 'updated' });
    await peer.ask({ type: 'destruction', key: 'web', instance: 'a' });
    expect(await peer.ask(register('c'))).toMatchObject({ result: 'renewed' });
    expect(await other.ask(register('d'))).toMatchObject({ result: 'registered' });
  });

  test('max-watches-per-connection leaves the others their watches', async () => {
    await using daemon = await startDaemon({ maxWatchesPerConnection: 1 });
    const [peer, other] = [daemon.connect(), daemon.connect()];
    await peer.ask({ type: 'watch', key: 'a' });
    await peer.receive();
    expect(await peer.ask({ type: 'watch', key: 'b' })).toEqual(overLimit('maxWatchesPerConnection'));
    expect(await other.ask({ type: 'watch', key: 'b' })).toMatchObject({ ok: true });
    await peer.ask({ type: 'unwatch', watch: 1 });
    expect(await peer.ask({ type: 'watch', key: 'b' })).toMatchObject({ ok: true });
  });

  test('max-requests-per-second refuses the rest, says for how long, and touches nobody else', async () => {
    await using daemon = await startDaemon({ maxRequestsPerSecond: 10 });
    const [peer, other] = [daemon.connect(), daemon.connect()];
    for (let n = 0; n < 10; n += 1) expect(await peer.ask({ type: 'ping' })).toEqual({ ok: true });
    expect(await peer.ask({ type: 'ping' })).toEqual(overLimit('maxRequestsPerSecond', 0.1));
    expect(await other.ask({ type: 'ping' })).toEqual({ ok: true });
    daemon.clock.advance(100);
    expect(await peer.ask({ type: 'ping', id: 'x' })).toEqual({ ok: true, id: 'x' });
    expect(await peer.ask({ type: 'ping', id: 'x' })).toMatchObject({ ok: false, id: 'x' });
  });

  test('max-requests-per-second counts lines that are no requests, too', async () => {
    await using daemon = await startDaemon({ maxRequestsPerSecond: 4 });
    const peer = daemon.connect();
    for (const line of ['no JSON', '[]', '{"type":"query"}', '{"type":"nothing of the kind"}']) {
      expect(await peer.ask(`${line}\r\n`)).not.toMatchObject({ error: { code: 'over_limit' } });
    }
    expect(await peer.ask('no JSON\r\n')).toEqual(overLimit('maxRequestsPerSecond', 0.25));
    expect(await peer.ask({ type: 'query', id: 7 })).toEqual({ ...overLimit('maxRequestsPerSecond', 0.25), id: 7 });
    expect(await peer.ask({ type: 'ping' })).toEqual(overLimit('maxRequestsPerSecond', 0.25));
    daemon.clock.advance(250);
    expect(await peer.ask({ type: 'ping' })).toEqual({ ok: true });
  });

  test('max-registrations-per-second counts changes, not renewals', async () => {
    await using daemon = await startDaemon({ maxRegistrationsPerSecond: 2 });
    const peer = daemon.connect();
    await peer.ask(register('a'));
    await peer.ask(register('a', { values: 2 }));
    expect(await peer.ask(register('b'))).toEqual(overLimit('maxRegistrationsPerSecond', 0.5));
    expect(await peer.ask(register('a', { values: 3 }))).toEqual(overLimit('maxRegistrationsPerSecond', 0.5));
    for (let n = 0; n < 5; n += 1) {
      expect(await peer.ask(register('a', { values: 2 }))).toMatchObject({ result: 'renewed' });
    }
    daemon.clock.advance(500);
    expect(await peer.ask(register('b'))).toMatchObject({ result: 'registered' });
  });
});

describe('idle-timeout', () => {
  test('closes who says nothing, holds nothing and watches nothing, and says why', async () => {
    await using daemon = await startDaemon({ idleTimeout: 10 });
    const [idle, busy, holder, watcher] = [daemon.connect(), daemon.connect(), daemon.connect(), daemon.connect()];
    await holder.ask(register('a'));
    await watcher.ask({ type: 'watch', key: 'a' });
    for (let second = 0; second < 9; second += 1) {
      daemon.clock.advance(1000);
      await busy.ask({ type: 'ping' });
    }
    expect(daemon.server.connections).toBe(4);
    for (let second = 0; second < 5; second += 1) {
      daemon.clock.advance(1000);
      await busy.ask({ type: 'ping' });
    }
    expect(await idle.receive()).toEqual(overLimit('idleTimeout'));
    await isClosed(idle);
    expect(await holder.ask({ type: 'ping' })).toEqual({ ok: true });
    await watcher.ask({ type: 'unwatch', watch: 1 });
  });

  test('is off unless it is asked for', async () => {
    await using daemon = await startDaemon();
    const idle = daemon.connect();
    daemon.clock.advance(86_400_000);
    expect(await idle.ask({ type: 'ping' })).toEqual({ ok: true });
  });
});
