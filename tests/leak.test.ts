/**
 * A daemon that has done everything many times is as large as it was before. `REG_LEAK_CYCLES=1000000` runs it long, and
 * says what it has measured.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { REGCTL, temporaryFolder, Wire } from './processes.js';

const LONG_CYCLES = Number(process.env['REG_LEAK_CYCLES'] ?? 0);
const CYCLES = LONG_CYCLES || 10_000;
/** Cycles of one connection, and connections at a time. */
const BATCH = 100;
const CONNECTIONS = 8;
/** So many cycles fill what is bounded: the history, the endings, the compiler's caches. */
const WARM_UP = 20_000;
/** Bytes by which the heap may differ: what collections and compilations leave to chance. */
const TOLERANCE = 1_000_000;

interface Measured {
  /** Bytes. */
  readonly heap: number;
  readonly external: number;
  readonly rss: number;
  readonly descriptors: number;
}

test.runIf(existsSync('/proc/self/fd'))(
  `${CYCLES} times registered, expired and watched leave nothing behind`,
  async () => {
    using folder = temporaryFolder();
    const daemon = spawn(
      process.execPath,
      [
        '--expose-gc',
        '--import',
        new URL('measured.js', import.meta.url).href,
        REGCTL,
        'serve',
        '--port=0',
        '--log-level=warn',
        `--data-dir=${folder.path}`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], cwd: fileURLToPath(new URL('..', import.meta.url)) },
    );
    try {
      const port = await portOf(daemon);
      await cycle(port, WARM_UP);
      const before = await measure(daemon, port);
      const start = performance.now();
      await cycle(port, CYCLES);
      const seconds = (performance.now() - start) / 1000;
      const after = await measure(daemon, port);
      if (LONG_CYCLES > 0) process.stdout.write(`${JSON.stringify({ cycles: CYCLES, seconds, before, after })}\n`);
      expect(after.descriptors).toBe(before.descriptors);
      expect(after.heap - before.heap).toBeLessThan(TOLERANCE);
      expect(after.external - before.external).toBeLessThan(TOLERANCE);
    } finally {
      daemon.kill('SIGKILL');
      await once(daemon, 'close');
    }
  },
  LONG_CYCLES > 0 ? 3_600_000 : 60_000,
);

async function portOf(daemon: ChildProcess): Promise<number> {
  if (daemon.stdout === null) throw new Error('it has no output');
  for await (const line of createInterface({ input: daemon.stdout })) {
    const port = /listening on .*:(\d+)/.exec(line)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error('the daemon ended before it was ready');
}

/** What it holds when nothing is registered, watched or connected. */
async function measure(daemon: ChildProcess, port: number): Promise<Measured> {
  const wire = await Wire.open(port);
  let isIdle = false;
  while (!isIdle) {
    const { services, watches, connections } = await wire.ask({ type: 'status' });
    isIdle = services === 0 && watches === 0 && connections === 1;
  }
  const answer = once(daemon, 'message') as Promise<[Measured]>;
  daemon.send('measure');
  const [measured] = await answer;
  wire.socket.end();
  return measured;
}

/** So many cycles, over connections that come and go. */
async function cycle(port: number, count: number): Promise<void> {
  let begun = 0;
  const work = async (): Promise<void> => {
    while (begun < count) {
      begun += BATCH;
      await runBatch(port, begun);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
}

/**
 * Each cycle is a service that is watched, registered, and expires. Of two connections one takes its watches back; the
 * other breaks, with watches open and instances held.
 */
async function runBatch(port: number, batch: number): Promise<void> {
  const wire = await Wire.open(port);
  const isOrderly = (batch / BATCH) % 2 === 0;
  const services = Array.from({ length: BATCH }, (_, index) => `service-${batch}-${index}`);
  for (const key of services) wire.send({ type: 'watch', key });
  const watches: unknown[] = [];
  while (watches.length < BATCH) {
    const { type, watch } = await wire.next();
    if (type === 'synced') watches.push(watch);
  }
  for (const key of services) {
    const bound = isOrderly ? {} : { linger: 0.01, owner: 'x' };
    wire.send({ type: 'register', key, values: '10.0.0.1:80', timeout: 0.02, ...bound });
  }
  await allExpired(wire, new Set(watches));
  if (isOrderly) {
    for (const watch of watches) wire.send({ type: 'unwatch', watch });
    for (let replies = 0; replies < watches.length; ) if ((await wire.next())['ok'] === true) replies += 1;
    wire.socket.end();
  } else {
    for (const key of services) wire.send({ type: 'register', key, values: 1, timeout: 'never', linger: 0.01 });
    wire.send({ type: 'ping', id: 'last' });
    while ((await wire.next())['id'] !== 'last');
    wire.socket.destroy();
  }
}

/** Waits until every watch was told that there is nothing any more, by a change or by a state that is empty. */
async function allExpired(wire: Wire, watches: Set<unknown>): Promise<void> {
  const empty = new Set<unknown>();
  while (watches.size > 0) {
    const { type, change, watch } = await wire.next();
    if (type === 'reset') empty.add(watch);
    else if (type === 'state') empty.delete(watch);
    else if (change === 'expired' || (type === 'synced' && empty.has(watch))) watches.delete(watch);
  }
}
