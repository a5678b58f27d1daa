import { RegistryError } from '@reg/protocol';
import { describe, expect, test, vi } from 'vitest';
import { MemoryLog } from '../src/log/memory.js';
import { changesAfter } from './changes.js';
import { type Daemon, type Peer, startDaemon } from './harness.js';
import { SharedLog, SharedStream } from './log/shared-log.js';
import { settle } from './settle.js';

const BOUND = { type: 'register', key: 'web', instance: 'i', values: 0, timeout: 30, linger: 2, owner: 'a' };

/** Registers over a connection of its own, and breaks that. */
async function registerAndBreak(daemon: Daemon, fields: object = {}): Promise<void> {
  const peer = daemon.connect();
  expect(await peer.ask({ ...BOUND, ...fields })).toMatchObject({ ok: true });
  peer.hangUp();
  await settle();
}

async function listed(peer: Peer, status?: string): Promise<unknown> {
  return (await peer.ask({ type: 'query', key: 'web', detail: true, ...(status && { status }) }))['services'];
}

describe('when a connection breaks, what is bound to it', () => {
  test('is suspect at once, and ends after its linger', async () => {
    await using daemon = await startDaemon();
    const reader = daemon.connect();
    await reader.ask({ ...BOUND, instance: 'other', owner: 'b' });
    await registerAndBreak(daemon);
    expect(await listed(reader)).toMatchObject([{ instance: 'other' }]);
    expect(await listed(reader, 'suspect')).toMatchObject([
      { instance: 'i', status: 'suspect', linger: 2, left: 2, generation: 2, revision: 3 },
    ]);
    daemon.clock.advance(1980);
    expect(await listed(reader, 'suspect')).toHaveLength(1);
    daemon.clock.advance(70);
    expect(await listed(reader, 'any')).toHaveLength(1);
    expect(changesAfter(daemon.server.registry.history, 2)).toMatchObject([
      { kind: 'register', status: 'suspect', generation: 2 },
      { kind: 'expire', generation: 2 },
    ]);
  });

  test('ends with its ttl where that is earlier', async () => {
    await using daemon = await startDaemon();
    await registerAndBreak(daemon, { timeout: 1 });
    expect(await listed(daemon.connect(), 'suspect')).toMatchObject([{ left: 1 }]);
    daemon.clock.advance(1050);
    expect(daemon.server.registry.size).toBe(0);
  });

  test('ends by its linger also where its ttl is "never"', async () => {
    await using daemon = await startDaemon();
    await registerAndBreak(daemon, { timeout: 'never' });
    expect(await listed(daemon.connect(), 'suspect')).toMatchObject([{ left: 2 }]);
    daemon.clock.advance(2050);
    expect(daemon.server.registry.size).toBe(0);
  });

  test.each(['passing', 'draining'])('ends at once where its linger is 0 and it is %s', async (status) => {
    await using daemon = await startDaemon();
    await registerAndBreak(daemon, { linger: 0, status });
    expect(daemon.server.registry.size).toBe(0);
    expect(changesAfter(daemon.server.registry.history, 1)).toMatchObject([{ kind: 'expire', generation: 1 }]);
  });

  test.each(['draining', 'critical'])('stays %s, and ends after its linger all the same', async (status) => {
    await using daemon = await startDaemon();
    await registerAndBreak(daemon, { status });
    expect(await listed(daemon.connect(), 'any')).toMatchObject([{ status, left: 2 }]);
    expect(daemon.server.registry.revision).toBe(1);
    daemon.clock.advance(2050);
    expect(daemon.server.registry.size).toBe(0);
  });

  test('is unharmed where it has come over another connection meanwhile', async () => {
    await using daemon = await startDaemon();
    const [first, second] = [daemon.connect(), daemon.connect()];
    await first.ask(BOUND);
    await second.ask(BOUND);
    first.hangUp();
    await settle();
    expect(await listed(second)).toMatchObject([{ instance: 'i', left: 30, generation: 1, revision: 1 }]);
    second.hangUp();
    await settle();
    expect(await listed(daemon.connect(), 'suspect')).toHaveLength(1);
  });
});

test('what is not bound outlives its connection, untouched', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ type: 'register', key: 'web', values: 0, timeout: 30 });
  peer.hangUp();
  await settle();
  daemon.clock.advance(10_000);
  expect(await listed(daemon.connect())).toMatchObject([{ left: 20 }]);
  expect(daemon.server.registry.revision).toBe(1);
});

describe('who comes back within the linger', () => {
  test('is passing again with a whole ttl, and the same generation', async () => {
    await using daemon = await startDaemon();
    await registerAndBreak(daemon);
    daemon.clock.advance(1500);
    const back = daemon.connect();
    expect(await back.ask({ ...BOUND, generation: 1 })).toMatchObject({ result: 'updated', generation: 1 });
    daemon.clock.advance(10_000);
    expect(await listed(back)).toMatchObject([{ left: 20, generation: 1 }]);
    expect(await back.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 1 });
  });

  test('before that was said is not said to have been away', async () => {
    await using daemon = await startDaemon();
    const [peer, back] = [daemon.connect(), daemon.connect()];
    await peer.ask(BOUND);
    await settle();
    // In one turn: the end of the one, and the request of the other.
    peer.hangUp();
    while (daemon.server.connections === 2) await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(daemon.server.registry.find('web', 'i')).toMatchObject({ status: 'passing', grip: -1 });
    expect(await back.ask(BOUND)).toMatchObject({ result: 'renewed', generation: 1 });
    await settle();
    expect(await listed(back)).toMatchObject([{ instance: 'i', left: 30 }]);
    expect(daemon.server.registry.revision).toBe(1);
  });

  test('may be another owner: nobody is there who could object', async () => {
    await using daemon = await startDaemon();
    await registerAndBreak(daemon);
    expect(await daemon.connect().ask({ ...BOUND, owner: 'b' })).toMatchObject({ result: 'registered', generation: 3 });
  });
});

test('a connection that stands still for too long counts as broken', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ ...BOUND, timeout: 600 });
  peer.send('{"type":"ping"');
  await settle();
  daemon.clock.advance(32_000);
  await settle();
  daemon.clock.advance(7000);
  await settle();
  expect(daemon.server.connections).toBe(0);
  expect(changesAfter(daemon.server.registry.history, 1)).toMatchObject([{ status: 'suspect' }]);
});

test('a connection that the daemon closes when it stops starts no linger', async () => {
  const daemon = await startDaemon();
  await daemon.connect().ask(BOUND);
  await daemon[Symbol.asyncDispose]();
  await settle();
  expect(daemon.server.registry.all()).toMatchObject([{ status: 'passing', revision: 1 }]);
});

describe('while the log takes no changes', () => {
  const refuse = () =>
    vi.spyOn(MemoryLog.prototype, 'propose').mockImplementation(() => {
      throw new RegistryError('storage_full');
    });

  test('the linger runs, and what is suspect is said a second after the log takes them again', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ ...BOUND, linger: 5 });
    const propose = refuse();
    peer.hangUp();
    await settle();
    const reader = daemon.connect();
    expect(await listed(reader)).toMatchObject([{ left: 5 }]);
    for (let second = 0; second < 3; second += 1) {
      daemon.clock.advance(1000);
      await settle();
    }
    expect(propose).toHaveBeenCalledTimes(4);
    propose.mockRestore();
    daemon.clock.advance(1000);
    await settle();
    expect(await listed(reader)).toMatchObject([{ status: 'suspect', left: 1 }]);
  });

  test('it ends after its linger for who asks', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask(BOUND);
    const propose = refuse();
    peer.hangUp();
    await settle();
    daemon.clock.advance(2050);
    expect(await listed(daemon.connect(), 'any')).toEqual([]);
    propose.mockRestore();
    daemon.clock.advance(1050);
    await settle();
    expect(daemon.server.registry.size).toBe(0);
  });

  test('who comes back lives on, though it cannot be said yet that it is no longer suspect', async () => {
    await using daemon = await startDaemon();
    await registerAndBreak(daemon);
    const propose = refuse();
    const back = daemon.connect();
    expect(await back.ask(BOUND)).toMatchObject({ error: { code: 'storage_full' } });
    daemon.clock.advance(20_000);
    expect(await listed(back)).toMatchObject([{ status: 'suspect', left: 10 }]);
    expect(await back.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 1 });
    propose.mockRestore();
    daemon.clock.advance(20_000);
    expect(await back.ask(BOUND)).toMatchObject({ result: 'updated', generation: 1 });
    expect(await listed(back)).toMatchObject([{ left: 30 }]);
  });
});

test('what is ordered when its connection has broken already is suspect too', async () => {
  const stream = new SharedStream({ isHeld: true });
  await using daemon = await startDaemon({ log: new SharedLog(stream) });
  const peer = daemon.connect();
  peer.send(BOUND);
  await settle();
  peer.hangUp();
  await settle();
  stream.deliver();
  await settle();
  stream.deliver();
  await settle();
  expect(await listed(daemon.connect())).toMatchObject([{ status: 'suspect', left: 2 }]);
});
