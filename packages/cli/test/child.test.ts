import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { connect } from '@reg/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { endOf, startChild } from '../src/child.js';
import { deadAddr, regctl, startServer } from './regctl.js';

const SHELL = ['sh', '-c'];

describe('a command that is run', () => {
  it('ends with the code that it exits with', async () => {
    const child = await startChild([...SHELL, 'exit "$1"', 'sh', '7']);
    expect(await child.ended).toEqual({ code: 7 });
  });

  it('ends with 128 and the number of the signal that ended it', async () => {
    const child = await startChild(['sleep', '60']);
    child.kill('SIGTERM');
    expect(await child.ended).toEqual({ code: 143, signal: 'SIGTERM' });
    child.kill('SIGTERM');
  });

  it('has no shell between', async () => {
    const child = await startChild(['test', '$HOME', '=', '$' + 'HOME']);
    expect(await child.ended).toEqual({ code: 0 });
  });

  it('is refused as a shell does it where it cannot be run', async () => {
    await expect(startChild(['nosuch-command-of-ours'])).rejects.toMatchObject({ code: 'no_command' });
    await expect(startChild(['/etc/passwd'])).rejects.toMatchObject({ code: 'not_executable' });
    const { code, err } = await regctl(['run', 'web', 'a:1', '--', 'nosuch-command-of-ours']);
    expect({ code, err }).toEqual({ code: 127, err: 'error: there is no command nosuch-command-of-ours\n' });
    expect((await regctl(['run', 'web', 'a:1', '--', '/etc/passwd'])).code).toBe(126);
  });
});

const BIN = fileURLToPath(new URL('../bin/regctl.js', import.meta.url));

/** A process, of which standard output is read. */
function spawnRegctl(...args: string[]) {
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

describe('a process of regctl', () => {
  it('passes the signals that it gets on to what it runs, and exits as that does', async () => {
    // It ends by itself where regctl, killed by a test that failed, cannot end it.
    const script = 'trap "exit 5" TERM; trap "echo heard" HUP; echo up; for i in $(seq 600); do sleep 0.02; done';
    const args = ['--addr', await deadAddr(), '--', 'sh', '-c', script];
    const { child, lines } = spawnRegctl('run', 'web', 'a:1', ...args);
    expect((await lines.next()).value).toBe('up');
    child.kill('SIGHUP');
    expect((await lines.next()).value).toBe('heard');
    child.kill('SIGTERM');
    expect(await endOf(child)).toEqual({ code: 5 });
  });

  it('ends when nobody reads any more what it goes on to write', async () => {
    const { addr } = await startServer();
    const client = connect(addr);
    onTestFinished(() => client.close());
    await client.request('register', { key: 'web', values: 0 });
    const { child, lines } = spawnRegctl('watch', 'web', '--addr', addr);
    expect((await lines.next()).value).toMatch(/present {5}web {2}0$/);
    child.stdout.destroy();
    for (let i = 1; child.exitCode === null; i += 1) await client.request('register', { key: 'web', values: i });
    expect(child.exitCode).toBe(0);
  });
});
