import { RegistryError } from '@reg/protocol';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { MemoryLog } from '../src/log/memory.js';
import { startDaemon, WorkingClock } from './harness.js';
import { turn } from './settle.js';

const COUNT = 6000;

/** `COUNT` registrations, as lines. */
function registrations(fields: object): string {
  const line = (n: number) => `${JSON.stringify({ type: 'register', key: `s${n}`, values: 0, ...fields })}\r\n`;
  return Array.from({ length: COUNT }, (_, n) => line(n)).join('');
}

test('a connection that takes thousands with it has them hidden at once, and said in turns', async () => {
  await using daemon = await startDaemon();
  const { registry, clock } = daemon.server;
  const [peer, reader] = [daemon.connect(), daemon.connect()];
  peer.send(registrations({ linger: 2, timeout: 60 }));
  while (peer.waiting < COUNT) await turn();
  peer.hangUp();
  const steps: number[] = [];
  let answered = 0;
  for (let before = registry.revision; registry.byStatus.suspect < COUNT; before = registry.revision) {
    reader.send({ type: 'ping' });
    await new Promise((resolve) => setImmediate(resolve));
    if (registry.revision > before) steps.push(registry.revision - before);
    answered = reader.waiting;
    if (registry.byStatus.suspect > 0) {
      for (const { expiresAt } of registry.all()) expect(expiresAt - clock.now()).toBe(2000);
    }
    expect(steps.length).toBeLessThan(100);
  }
  expect(Math.max(...steps)).toBeLessThanOrEqual(2000);
  expect(answered).toBeGreaterThan(0);
});

test('thousands of connections that break in one turn are one such crowd', async () => {
  await using daemon = await startDaemon();
  const { registry } = daemon.server;
  const peers = Array.from({ length: 2500 }, () => daemon.connect());
  for (const [n, peer] of peers.entries()) peer.send({ type: 'register', key: `s${n}`, values: 0, linger: 2 });
  while (registry.size < peers.length) await turn();
  for (const peer of peers) peer.hangUp();
  const steps: number[] = [];
  for (let before = registry.revision; registry.byStatus.suspect < peers.length; before = registry.revision) {
    await new Promise((resolve) => setImmediate(resolve));
    steps.push(registry.revision - before);
    expect(steps.length).toBeLessThan(100);
  }
  expect(Math.max(...steps)).toBeLessThanOrEqual(2000);
  daemon.clock.advance(2100);
  expect(registry.size).toBe(0);
});

test('a mass expiry is ended in bounded turns, and the log says once that it is one', async () => {
  const lines: string[] = [];
  const logger = pino({ level: 'warn', base: null }, { write: (line: string) => void lines.push(line) });
  const clock = new WorkingClock();
  await using daemon = await startDaemon({ logger }, clock);
  const { registry } = daemon.server;
  for (let round = 1; round <= 2; round += 1) {
    const peer = daemon.connect();
    peer.send(registrations({ timeout: 1 }));
    while (peer.waiting < COUNT) await turn();
    const steps: number[] = [];
    let before = registry.revision;
    clock.msPerLook = 1;
    clock.advance(1010);
    for (; registry.size > 0; await new Promise((resolve) => setImmediate(resolve))) {
      steps.push(registry.revision - before);
      before = registry.revision;
    }
    clock.msPerLook = 0;
    // Each is over when it has taken 5 ms, and 500 at a time are ended between two looks.
    expect(steps).toEqual([2500, 2500]);
    expect(registry.revision - before).toBe(1000);
    clock.advance(1100);
    expect(lines).toHaveLength(round);
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ overdue: 3500, msg: expect.stringContaining('expire') });
  }
});

test('an ordinary expiry is not worth a line', async () => {
  const lines: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
  await using daemon = await startDaemon({ logger });
  const peer = daemon.connect();
  for (let n = 0; n < 50; n += 1) await peer.ask({ type: 'register', key: `s${n}`, values: 0, timeout: 1 + n / 1000 });
  daemon.clock.advance(1200);
  expect(daemon.server.registry.size).toBe(0);
  expect(lines).toEqual([]);
});

test('what is overdue is seen in status while the log does not take its end', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  for (let n = 0; n < 20; n += 1) await peer.ask({ type: 'register', key: `s${n}`, values: 0, timeout: 1 + n / 10 });
  const propose = vi.spyOn(MemoryLog.prototype, 'propose').mockImplementation(() => {
    throw new RegistryError('storage_full');
  });
  daemon.clock.advance(1200);
  await peer.ask({ type: 'register', key: 's3', values: 0, timeout: 1.3 });
  daemon.clock.advance(300);
  expect(await peer.ask({ type: 'status' })).toMatchObject({ overdue: 5, expired: 0 });
  propose.mockRestore();
  daemon.clock.advance(4000);
  expect(await peer.ask({ type: 'status' })).toMatchObject({ overdue: 0, expired: 20 });
});
