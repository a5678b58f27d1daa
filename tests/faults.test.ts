/**
 * What a machine does to a daemon: a disk that is full or read-only, a process that is stopped, too few descriptors, too
 * little memory. What is the same without a process is in packages/server/test/log.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { regctl, startDaemon, temporaryFolder, Wire } from './processes.js';

const MIB = 1024 * 1024;

/** A small disk of its own. Only root may mount one; in a container not even that. */
function mountDisk(path: string, options: string): Disposable | undefined {
  mkdirSync(path, { mode: 0o700 });
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]);
  if (status !== 0) return undefined;
  return { [Symbol.dispose]: () => void spawnSync('umount', [path]) };
}

const canMount = ((): boolean => {
  using folder = temporaryFolder();
  using disk = mountDisk(join(folder.path, 'disk'), 'size=1m');
  return disk !== undefined;
})();

async function keysOf(port: number): Promise<string[]> {
  const wire = await Wire.open(port);
  const { services } = await wire.ask({ type: 'query', key: 'all' });
  wire.socket.destroy();
  return (services as { key: string }[]).map(({ key }) => key).sort();
}

/** Registers one service after the other. @returns those that were acknowledged, and the error that ended it. */
async function registerUntilRefused(wire: Wire, padding: string): Promise<{ keys: string[]; error: unknown }> {
  const keys: string[] = [];
  for (let i = 0; ; i += 1) {
    const reply = await wire.ask({ type: 'register', key: `s${i}`, values: padding, timeout: 'never' }).catch(() => ({
      ok: false,
      error: 'the connection broke',
    }));
    if (!reply['ok']) return { keys: keys.sort(), error: reply['error'] };
    keys.push(`s${i}`);
  }
}

test.skipIf(!canMount)(
  'on a disk that is full changes are refused, everything else goes on, and nothing acknowledged is lost',
  async () => {
    using folder = temporaryFolder();
    using _ = mountDisk(join(folder.path, 'disk'), 'size=3m,mode=700');
    const data = join(folder.path, 'disk', 'data');
    const filler = join(folder.path, 'disk', 'filler');
    writeFileSync(filler, Buffer.alloc(2 * MIB));
    let kept: string[];
    {
      await using daemon = await startDaemon(['--data-dir', data]);
      const wire = await Wire.open(daemon.port);
      const { keys, error } = await registerUntilRefused(wire, 'x'.repeat(20_000));
      expect(error).toMatchObject({ code: 'storage_full' });
      expect(keys.length).toBeGreaterThan(10);
      expect(await keysOf(daemon.port)).toEqual(keys);
      expect(await wire.ask({ type: 'heartbeat' })).toMatchObject({ ok: true, held: keys.length });
      expect(await wire.ask({ type: 'status' })).toMatchObject({ refusing: expect.stringContaining('space') });
      const { code, stdout } = await regctl(['health', '--ready', '--addr', daemon.address]);
      expect({ code, stdout }).toMatchObject({ code: 1, stdout: expect.stringContaining('refuses changes') });

      rmSync(filler);
      let reply: Record<string, unknown> = {};
      while (!reply['ok']) {
        reply = await wire.ask({ type: 'register', key: 'later', values: 1, timeout: 'never' });
        await sleep(100);
      }
      kept = [...keys, 'later'].sort();
      await daemon.stop('SIGKILL');
    }
    await using daemon = await startDaemon(['--data-dir', data]);
    expect(await keysOf(daemon.port)).toEqual(kept);
  },
);

test.skipIf(!canMount)('a folder on a disk that is read-only is refused, with what to do', async () => {
  using folder = temporaryFolder();
  using _ = mountDisk(join(folder.path, 'disk'), 'size=1m,ro');
  const refused = await regctl(['serve', '--port', '0', '--data-dir', join(folder.path, 'disk')]);
  expect(refused).toMatchObject({ code: 7, stdout: '', stderr: expect.stringMatching(/--data-dir/) });
  const found = await regctl(['doctor', '--port', '0', '--data-dir', join(folder.path, 'disk')]);
  expect(found).toMatchObject({ code: 1, stdout: expect.stringMatching(/^! disk: .*takes no writes/m) });
});

test('a process that was stopped for longer than a ttl ends nobody by that', async () => {
  await using daemon = await startDaemon(['--memory']);
  const wire = await Wire.open(daemon.port);
  await wire.ask({ type: 'register', key: 'a', values: 1, timeout: 3 });
  daemon.child.kill('SIGSTOP');
  await sleep(4000);
  daemon.child.kill('SIGCONT');
  expect(await keysOf(daemon.port)).toEqual(['a']);
  const { stalled } = await wire.ask({ type: 'status' });
  expect(stalled).toBeGreaterThan(3500);
  // And then its time goes on.
  while ((await keysOf(daemon.port)).length > 0) await sleep(20);
  wire.socket.destroy();
});

test('where descriptors run out, the daemon says so, keeps who is there, and goes on', async () => {
  using folder = temporaryFolder();
  const log = join(folder.path, 'log');
  const script = 'ulimit -n 64; log=$1; shift; exec "$@" 2>"$log"';
  await using daemon = await startDaemon(['--data-dir', join(folder.path, 'data')], 0, ['sh', '-c', script, 'sh', log]);
  const first = await Wire.open(daemon.port);
  expect(await first.ask({ type: 'register', key: 'a', values: 1 })).toMatchObject({ ok: true });
  const crowd = await Promise.all(Array.from({ length: 100 }, () => Wire.open(daemon.port)));
  const answers = await Promise.all(crowd.map((wire) => wire.ask({ type: 'ping' }).catch(() => undefined)));
  const served = answers.filter((answer) => answer?.['ok']).length;
  expect(served).toBeGreaterThan(10);
  expect(served).toBeLessThan(64);
  // Changes are still written, which takes files.
  expect(await first.ask({ type: 'register', key: 'b', values: 1 })).toMatchObject({ ok: true });
  expect(readFileSync(log, 'utf8')).toContain('no descriptors are left');
  for (const wire of crowd) wire.socket.destroy();
  let later: Record<string, unknown> | undefined;
  while (!later?.['ok']) later = await (await Wire.open(daemon.port)).ask({ type: 'ping' }).catch(() => undefined);
  expect(await keysOf(daemon.port)).toEqual(['a', 'b']);
  first.socket.destroy();
});

test('a process that runs out of memory ends, and a start with more has what was acknowledged', {
  timeout: 60_000,
}, async () => {
  using folder = temporaryFolder();
  let acknowledged: string[];
  {
    const little = ['sh', '-c', 'exec "$@" 2>/dev/null', 'sh', 'env', 'NODE_OPTIONS=--max-old-space-size=48'];
    await using daemon = await startDaemon(['--data-dir', folder.path], 0, little);
    const wire = await Wire.open(daemon.port);
    const { keys, error } = await registerUntilRefused(wire, 'x'.repeat(60_000));
    expect(error).toBe('the connection broke');
    acknowledged = keys;
    expect(await daemon.stop('SIGKILL')).not.toBe(0);
  }
  expect(acknowledged.length).toBeGreaterThan(100);
  await using daemon = await startDaemon(['--data-dir', folder.path, '--max-reply-bytes', String(256 * MIB)]);
  const found = new Set(await keysOf(daemon.port));
  for (const key of acknowledged) expect(found.has(key), key).toBe(true);
});
