/**
 * Peers that take and give nothing back, over sockets: the rest keeps working, and the daemon does not grow.
 * `REG_SILENT_CONNECTIONS=10000` has as many that say nothing, and says what they took.
 */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type DaemonProcess, startDaemon, Wire } from './processes.js';

const LONG_SILENT = Number(process.env['REG_SILENT_CONNECTIONS'] ?? 0);
const SILENT = LONG_SILENT || 500;
/** Bytes that one connection that says nothing may take, of the whole process. */
const BYTES_PER_SILENT = 32_768;
/** Bytes by which the process may grow while somebody attacks it: what the collector leaves lying, and what is bounded. */
const TOLERANCE = 64 * 1024 * 1024;
/** ms in which everybody else is answered meanwhile; a machine that is busy may take some. */
const PATIENCE_MS = 2000;

/** Dials so many at a time: the rest would wait for a second or more where the system's queue is short. */
const DIALS = 100;

async function dial(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(DIALS, count - sockets.length) }, () => connect(port, '127.0.0.1'));
    for (const socket of some) socket.on('error', () => {});
    sockets.push(...some);
    await Promise.all(some.map((socket) => once(socket, 'connect')));
  }
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  return sockets;
}

async function resident(wire: Wire): Promise<number> {
  const { memory } = await wire.ask({ type: 'status' });
  return (memory as { resident: number }).resident;
}

/** How long the slowest of some requests took, in ms. */
async function slowest(wire: Wire): Promise<number> {
  let slowest = 0;
  for (let n = 0; n < 50; n += 1) {
    const start = performance.now();
    await wire.ask({ type: 'register', key: 'other', values: n });
    slowest = Math.max(slowest, performance.now() - start);
  }
  return slowest;
}

/** Reads events until there is one of a service. @returns how many changes those were. */
async function readUntil(watcher: Wire, key: string): Promise<number> {
  for (let changes = 0; ; ) {
    const { type, service } = await watcher.next();
    if (type !== 'change') continue;
    changes += 1;
    if ((service as { key: string }).key === key) return changes;
  }
}

async function withDaemon(
  args: readonly string[],
  attack: (daemon: DaemonProcess, wire: Wire) => Promise<void>,
): Promise<void> {
  await using daemon = await startDaemon(['--memory', ...args]);
  const wire = await Wire.open(daemon.port);
  onTestFinished(() => void wire.socket.destroy());
  await slowest(wire);
  await attack(daemon, wire);
}

test(
  `${SILENT} connections that say nothing take little, and nobody waits for them`,
  () =>
    withDaemon(['--max-connections', String(SILENT + 1)], async ({ port }, wire) => {
      const before = await resident(wire);
      await dial(port, SILENT);
      const bytes = ((await resident(wire)) - before) / SILENT;
      const latency = await slowest(wire);
      if (LONG_SILENT > 0) process.stdout.write(`${JSON.stringify({ connections: SILENT, bytes, latency })}\n`);
      expect(bytes).toBeLessThan(BYTES_PER_SILENT);
      expect(latency).toBeLessThan(PATIENCE_MS);
      // One more is told why there is no room for it, and everybody else goes on.
      const surplus = await Wire.open(port);
      expect(await surplus.next()).toMatchObject({ error: { code: 'over_limit', limit: 'maxConnections' } });
      expect(await wire.ask({ type: 'ping' })).toEqual({ ok: true });
    }),
  LONG_SILENT > 0 ? 300_000 : 30_000,
);

test(
  'peers that never read get what the system takes for them, and no more of the daemon',
  () =>
    withDaemon([], async ({ port }, wire) => {
      await wire.ask({ type: 'register', key: 'large', values: 'x'.repeat(60_000), timeout: 'never' });
      const before = await resident(wire);
      const sockets = await dial(port, 20);
      // The first fill what the system holds for a socket. The others would be two million replies that wait.
      const requests = '{"type":"query","key":"large"}\n'.repeat(300) + '{"type":"ping"}\n'.repeat(100_000);
      for (const socket of sockets) {
        socket.pause();
        socket.write(requests);
      }
      for (let round = 0; round < 4; round += 1) {
        expect(await slowest(wire)).toBeLessThan(PATIENCE_MS);
        expect((await resident(wire)) - before).toBeLessThan(TOLERANCE);
      }
    }),
  60_000,
);

test(
  'watchers of everything that stop reading are left behind, and the daemon keeps nothing for them',
  () =>
    withDaemon(['--history', '1000'], async ({ port }, wire) => {
      const sockets = await dial(port, 20);
      for (const socket of sockets) {
        socket.pause();
        socket.write('{"type":"watch","key":"all"}\n');
      }
      const watcher = await Wire.open(port);
      onTestFinished(() => void watcher.socket.destroy());
      await watcher.ask({ type: 'watch', key: 'all' });
      const told = readUntil(watcher, 'last');
      const values = 'x'.repeat(10_000);
      const change = (n: number) => ({
        type: 'register',
        key: 'large',
        instance: `${n % 10}`,
        values: `${n}${values}`,
      });
      for (let n = 0; n < 1000; n += 1) await wire.ask(change(n));
      const before = await resident(wire);
      for (let n = 1000; n < 3000; n += 1) await wire.ask(change(n));
      expect(await wire.ask({ type: 'status' })).toMatchObject({ behind: 20 });
      expect((await resident(wire)) - before).toBeLessThan(TOLERANCE);
      // 400 MB have not been told to them; who reads has been told everything.
      await wire.ask({ type: 'register', key: 'last', values: 1 });
      expect(await told).toBe(3001);
    }),
  60_000,
);
