import { connect } from '@reg/client';
import { startRegistry, type TestRegistry } from '@reg/server/testing';
import { describe, expect, test } from 'vitest';
import { Peer } from './harness.js';

function join(registry: TestRegistry): Peer {
  const stream = registry.dial();
  return new Peer(stream, stream);
}

async function keysOf(registry: TestRegistry): Promise<unknown> {
  const peer = join(registry);
  peer.send({ type: 'query', key: 'all', status: 'any' });
  await registry.settle();
  const { services } = await peer.receive();
  peer.hangUp();
  return (services as { key: string }[]).map(({ key }) => key);
}

const REGISTER = { type: 'register', key: 'a', values: 1, timeout: 10 };

test('a registration lasts as long as the clock says', async () => {
  await using registry = await startRegistry();
  expect(await join(registry).ask(REGISTER)).toMatchObject({ ok: true, result: 'registered' });
  await registry.advance(9990);
  expect(await keysOf(registry)).toEqual(['a']);
  await registry.advance(10);
  expect(await keysOf(registry)).toEqual([]);
});

test('a client of this project keeps its registration, through a crash too', async () => {
  await using registry = await startRegistry();
  const client = connect(registry.url, { dial: registry.dial, clock: registry.clock });
  await client.register('payments', '10.0.0.5:8080', { ttl: 5 });
  await registry.advance(60_000);
  expect(await keysOf(registry)).toEqual(['payments']);
  await registry.restart({ crash: true });
  await registry.advance(60_000);
  expect(await keysOf(registry)).toEqual(['payments']);
  const closed = client.close();
  await registry.settle();
  await closed;
});

describe('in a partition', () => {
  test('nothing arrives, in either direction, and what was sent arrives when it is healed', async () => {
    await using registry = await startRegistry();
    const peer = join(registry);
    await peer.ask({ type: 'ping' });
    registry.partition();
    peer.send({ ...REGISTER, id: 1 });
    await registry.advance(5000);
    expect(peer.waiting).toBe(0);
    registry.heal();
    await registry.settle();
    expect(await peer.receive()).toMatchObject({ ok: true, id: 1 });
    // Registered when it arrived, not when it was sent.
    await registry.advance(9000);
    expect(await keysOf(registry)).toEqual(['a']);
  });

  test('a new connection hangs, and opens when it is healed', async () => {
    await using registry = await startRegistry();
    registry.partition();
    const stream = registry.dial();
    let isOpen = false;
    stream.on('connect', () => {
      isOpen = true;
    });
    await registry.advance(1000);
    expect([isOpen, Object(stream).connecting]).toEqual([false, true]);
    registry.heal();
    expect([isOpen, Object(stream).connecting]).toEqual([true, false]);
    expect(await new Peer(stream, stream).ask({ type: 'ping' })).toEqual({ ok: true });
  });

  test('the daemon does not see that a peer is gone before it is healed', async () => {
    await using registry = await startRegistry();
    const peer = join(registry);
    await peer.ask({ type: 'ping' });
    registry.partition();
    peer.hangUp();
    await registry.advance(1000);
    expect(registry.connections).toBe(1);
    registry.heal();
    await registry.settle();
    expect(registry.connections).toBe(0);
  });

  test('a peer that writes on and on has to wait, as with a socket', async () => {
    await using registry = await startRegistry();
    const peer = join(registry);
    registry.partition();
    for (let sent = 0; sent < 200; sent += 1) peer.send({ type: 'ping', note: 'x'.repeat(1000) });
    await registry.settle();
    expect(peer.stream.writableLength).toBeGreaterThan(100_000);
    registry.heal();
    await registry.settle();
    expect([peer.stream.writableLength, peer.waiting]).toEqual([0, 200]);
  });
});

test('with a delay, a reply comes after twice as long, and order is kept when the delay ends', async () => {
  await using registry = await startRegistry();
  const peer = join(registry);
  registry.delay(100);
  peer.send({ type: 'ping', id: 1 });
  await registry.advance(190);
  expect(peer.waiting).toBe(0);
  await registry.advance(20);
  expect(peer.waiting).toBe(1);
  peer.send({ type: 'ping', id: 2 });
  registry.delay(0);
  peer.send({ type: 'ping', id: 3 });
  await registry.settle();
  expect(peer.waiting).toBe(1);
  await registry.advance(100);
  expect([await peer.receive(), await peer.receive(), await peer.receive()].map(({ id }) => id)).toEqual([1, 2, 3]);
});

test('with a delay, a connection takes a round trip to open', async () => {
  await using registry = await startRegistry();
  registry.delay(50);
  const stream = registry.dial();
  let opened = 0;
  stream.on('connect', () => {
    opened += 1;
  });
  await registry.advance(90);
  expect(opened).toBe(0);
  await registry.advance(10);
  expect(opened).toBe(1);
});

test('a heartbeat that is dropped is answered and renews nothing', async () => {
  await using registry = await startRegistry();
  const peer = join(registry);
  await peer.ask(REGISTER);
  await registry.advance(6000);
  registry.dropHeartbeats();
  expect(await peer.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 1 });
  await registry.advance(5000);
  registry.dropHeartbeats(false);
  expect(await peer.ask({ type: 'heartbeat' })).toEqual({
    ok: true,
    held: 0,
    ended: [{ key: 'a', generation: 1, reason: 'expired' }],
  });
});

test('killed connections break at both ends, and new ones can be made', async () => {
  await using registry = await startRegistry();
  const peer = join(registry);
  await peer.ask({ ...REGISTER, linger: 2 });
  registry.killConnections();
  await registry.settle();
  expect([peer.stream.destroyed, registry.connections]).toEqual([true, 0]);
  await registry.advance(2100);
  expect(await keysOf(registry)).toEqual([]);
});

describe('a restart', () => {
  test.each([
    ['in order', false],
    ['by a crash', true],
  ])('%s breaks the connections and keeps registrations, revisions and the epoch', async (_, crash) => {
    await using registry = await startRegistry();
    const peer = join(registry);
    await peer.ask({ ...REGISTER, linger: 0 });
    const before = await peer.ask({ type: 'hello' });
    await registry.restart({ crash });
    expect(peer.stream.destroyed || peer.isEnded).toBe(true);
    const again = join(registry);
    expect(await again.ask({ type: 'hello' })).toEqual({ ...before, warming: true });
    expect(await again.ask({ type: 'query', key: 'a' })).toMatchObject({
      warming: true,
      services: [{ generation: 1, revision: 1 }],
    });
  });

  test('with memory for storage forgets everything, and begins another epoch', async () => {
    await using registry = await startRegistry({ storage: 'memory' });
    const peer = join(registry);
    await peer.ask(REGISTER);
    const { epoch } = await peer.ask({ type: 'hello' });
    await registry.restart();
    const hello = await join(registry).ask({ type: 'hello' });
    expect(hello).toMatchObject({ revision: 0 });
    expect(hello['epoch']).not.toBe(epoch);
  });

  test('leaves what was due by its ttl', async () => {
    await using registry = await startRegistry({ grace: 0 });
    await join(registry).ask(REGISTER);
    await registry.advance(4000);
    await registry.restart({ crash: true });
    await registry.advance(5900);
    expect(await keysOf(registry)).toEqual(['a']);
    await registry.advance(200);
    expect(await keysOf(registry)).toEqual([]);
  });
});

test('while it is stopped, connections are refused', async () => {
  await using registry = await startRegistry();
  await registry.stop();
  const stream = registry.dial();
  const error = await new Promise((resolve) => stream.once('error', resolve));
  expect(error).toMatchObject({ code: 'ECONNREFUSED' });
});

test('closing leaves no connection and no timer', async () => {
  const registry = await startRegistry();
  join(registry);
  registry.partition();
  join(registry);
  await registry.close();
  expect([registry.connections, registry.clock.timers]).toEqual([0, 0]);
});
