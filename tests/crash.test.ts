import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Random } from './convergence/random.js';
import { type DaemonProcess, REGCTL, startDaemon, temporaryFolder, Wire } from './processes.js';

/** How often the daemon is killed; `REG_CRASH_ROUNDS=100 npx vitest run tests/crash` for the long form. */
const ROUNDS = Number(process.env['REG_CRASH_ROUNDS'] ?? 5);
/** Where the random numbers begin; the test says which it was, so that it can be had again. */
const SEED = Number(process.env['REG_CRASH_SEED'] ?? Date.now() % 1_000_000);
const WRITERS = 40;
/** Enough that a round brings the daemon to write snapshots, and some kills fall into that. */
const PADDING = 'x'.repeat(3000);

/** What one writer knows of its services: what was acknowledged, and the request that was not. */
interface Ledger {
  readonly acknowledged: Map<string, number | undefined>;
  /** A service whose last request was under way at the kill: either outcome is right. */
  unknown: { key: string; values: number | undefined } | undefined;
}

/** Registers, updates and destroys until the connection breaks. */
async function write(port: number, writer: number, round: number, ledger: Ledger): Promise<void> {
  const wire = await Wire.open(port);
  for (let step = 0; ; step += 1) {
    const key = `w${writer}-${step % 50}`;
    const values = step % 7 === 6 ? undefined : round * 1_000_000 + step;
    ledger.unknown = { key, values };
    const request =
      values === undefined
        ? { type: 'destruction', key }
        : { type: 'register', key, values: { step: values, padding: PADDING }, timeout: 'never' };
    const reply = await wire.ask(request).catch(() => undefined);
    if (reply === undefined) return;
    expect(reply['ok']).toBe(true);
    ledger.acknowledged.set(key, values);
    ledger.unknown = undefined;
  }
}

/** Kills a daemon while it reads its folder, as nobody is connected yet: what it sweeps and syncs then must be safe too. */
async function killAtStart(folder: string, after: number): Promise<void> {
  const child = spawn(process.execPath, [REGCTL, 'serve', '--port', '0', '--data-dir', folder], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  await sleep(after);
  child.kill('SIGKILL');
  await exited;
}

async function readAll(port: number): Promise<Map<string, number>> {
  const wire = await Wire.open(port);
  const found = new Map<string, number>();
  for (let after: unknown = 0; after !== undefined; ) {
    const reply = await wire.ask({ type: 'query', key: 'all', limit: 1000, after });
    for (const record of reply['services'] as { key: string; values: { step: number } }[]) {
      found.set(record.key, record.values.step);
    }
    after = reply['next'];
  }
  wire.socket.destroy();
  return found;
}

test(
  `what was acknowledged survives kill -9 under load, ${ROUNDS} rounds`,
  async () => {
    using folder = temporaryFolder();
    const ledgers = Array.from({ length: WRITERS }, (): Ledger => ({ acknowledged: new Map(), unknown: undefined }));
    let acknowledged = 0;
    const random = new Random(SEED);
    // The end of the process costs nothing in any of them.
    const start = (): Promise<DaemonProcess> => {
      const durability = random.choose([
        ['always', 3],
        ['everysec', 1],
        ['no', 1],
      ]);
      return startDaemon(['--data-dir', folder.path, '--durability', durability]);
    };
    let daemon = await start();
    let revision = 0;
    try {
      for (let round = 1; round <= ROUNDS; round += 1) {
        const writers = ledgers.map((ledger, writer) => write(daemon.port, writer, round, ledger));
        await sleep(random.between(20, 1200));
        await daemon.stop('SIGKILL');
        await Promise.all(writers);
        if (random.chance(0.3)) await killAtStart(folder.path, random.between(50, 600));

        daemon = await start();
        const found = await readAll(daemon.port);
        for (const { acknowledged: known, unknown } of ledgers) {
          if (unknown !== undefined) {
            // The kill came before the reply: it may or may not have been done. From here on it is known.
            const before = known.get(unknown.key);
            const now = found.get(unknown.key);
            expect([before, unknown.values]).toContain(now);
            known.set(unknown.key, now);
          }
          for (const [key, values] of known) {
            expect(found.get(key), key).toBe(values);
            if (values !== undefined) acknowledged += 1;
            found.delete(key);
          }
        }
        expect([...found]).toEqual([]);
        const wire = await Wire.open(daemon.port);
        const now = (await wire.ask({ type: 'hello' }))['revision'] as number;
        wire.socket.destroy();
        expect(now, `seed ${SEED}`).toBeGreaterThanOrEqual(revision);
        revision = now;
      }
    } finally {
      await daemon.stop('SIGKILL');
    }
    expect(acknowledged).toBeGreaterThan(0);
    process.stdout.write(
      `crash: seed ${SEED}, ${ROUNDS} rounds, ${revision} changes, ${acknowledged} acknowledged registrations checked, 0 lost\n`,
    );
  },
  60_000 + ROUNDS * 5000,
);
