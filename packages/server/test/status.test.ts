import { RegistryError } from '@reg/protocol';
import { expect, test } from 'vitest';
import { MemoryLog } from '../src/log/memory.js';
import { startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { settle } from './settle.js';

test('status tells what the daemon is, holds and has done', async () => {
  await using daemon = await startDaemon({ grace: 10, maxWatches: 7 });
  const { clock } = daemon;
  const started = clock.wall();
  const [peer, bound] = [daemon.connect(), daemon.connect()];
  const register = (key: string, fields: object = {}) => peer.ask({ type: 'register', key, values: 0, ...fields });
  await register('a', { instance: '1' });
  await register('a', { instance: '2', status: 'draining' });
  await register('b', { status: 'critical' });
  await register('c', { timeout: 1 });
  await bound.ask({ type: 'register', key: 'd', values: 0, linger: 100 });
  bound.hangUp();
  await settle();
  await register('a', { instance: '1' });
  await peer.ask({ type: 'watch', key: 'a' });
  await peer.receive();
  await peer.receive();
  clock.advance(1500);
  await peer.ask({ type: 'heartbeat' });
  clock.stall(5000);
  expect(await peer.ask({ type: 'status', id: 1 })).toEqual({
    ok: true,
    id: 1,
    server: 'reg',
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    pid: process.pid,
    started,
    epoch: expect.stringMatching(/^[0-9a-f]{16}$/),
    revision: 7,
    log: 'memory',
    durability: 'none',
    warming: 8.5,
    services: 3,
    instances: { passing: 1, suspect: 1, draining: 1, critical: 1 },
    connections: 1,
    watches: 1,
    maxWatches: 7,
    behind: 0,
    renewals: 4,
    expired: 1,
    overdue: 0,
    stalled: 5000,
    memory: { resident: expect.any(Number), heap: expect.any(Number) },
  });
});

test('status is answered while the log is stuck, with what is durable', async () => {
  const log = new HeldLog();
  await using daemon = await startDaemon({ log });
  const [writer, peer] = [daemon.connect(), daemon.connect()];
  writer.send({ type: 'register', key: 'a', values: 0 });
  await settle();
  log.commit();
  writer.send({ type: 'register', key: 'b', values: 0 });
  await settle();
  expect(await peer.ask({ type: 'status' })).toMatchObject({ revision: 1 });
});

test('status says why changes are refused, and nothing where they are taken', async () => {
  class FullLog extends MemoryLog {
    refusal: RegistryError | undefined = new RegistryError('storage_full');
  }
  const log = new FullLog();
  await using daemon = await startDaemon({ log });
  const peer = daemon.connect();
  expect(await peer.ask({ type: 'status' })).toMatchObject({ refusing: new RegistryError('storage_full').message });
  log.refusal = undefined;
  expect(await peer.ask({ type: 'status' })).not.toHaveProperty('refusing');
});
