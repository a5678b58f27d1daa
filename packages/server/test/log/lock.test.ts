/** One daemon for one folder. Other processes run what was built. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { lockFolder } from '../../src/log/lock.js';
import { afterTest, newFolder, openDisk, refusalOf } from './harness.js';

const BUILT = new URL('../../dist/log/lock.js', import.meta.url).href;
/** Locks the folder, says how that went, and then waits to be ended. */
const HOLDER = `
  import { lockFolder } from ${JSON.stringify(BUILT)};
  process.stdin.once('data', () => {
    lockFolder(process.argv[1]).then(() => console.log('held'), (error) => console.log(error.code));
  });
  console.log('ready');
`;

let folder: string;

beforeEach(() => {
  folder = newFolder();
  mkdirSync(folder, { mode: 0o700 });
});

class Holder {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    this.#child = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, folder], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = linesOf(this.#child);
    afterTest(() => this.kill());
  }

  async line(): Promise<string> {
    return (await this.#lines.next()).value;
  }

  lock(): void {
    this.#child.stdin?.write('go');
  }

  stop(): void {
    this.#child.kill('SIGSTOP');
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

async function* linesOf(child: ChildProcess): AsyncGenerator<string> {
  for await (const chunk of child.stdout ?? []) yield* String(chunk).trim().split('\n');
}

async function startHolder(): Promise<Holder> {
  const holder = new Holder();
  expect(await holder.line()).toBe('ready');
  return holder;
}

function locks(): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('lock.'));
}

describe('a folder that a daemon uses', () => {
  it('is refused to another, saying what to do', async () => {
    const { log } = await openDisk(folder);
    const refusal = await refusalOf(folder);
    expect(refusal.code).toBe('data_locked');
    expect(refusal.retryable).toBe(true);
    expect(refusal.message).toContain(folder);
    expect(refusal.message).toContain('--data-dir');
    expect(locks()).toHaveLength(1);
    await log.close();
    expect(locks()).toEqual([]);
    await openDisk(folder);
  });

  it('is free again when opening it has failed', async () => {
    writeFileSync(join(folder, '00000001.log'), 'damaged');
    for (let attempt = 0; attempt < 2; attempt += 1) expect((await refusalOf(folder)).code).toBe('data_damaged');
    expect(locks()).toEqual([]);
  });

  it('is refused while its daemon is stopped, and free as soon as that is killed', async () => {
    const holder = await startHolder();
    holder.lock();
    expect(await holder.line()).toBe('held');
    holder.stop();
    expect((await refusalOf(folder)).code).toBe('data_locked');
    await holder.kill();
    expect(locks()).toHaveLength(1);
    await openDisk(folder);
    expect(locks()).toHaveLength(1);
  });
});

describe('a lock of which nobody can tell whether anyone listens', () => {
  it('is taken for one that is held, and left alone', async () => {
    const name = join(folder, 'lock.123.0123456789ab');
    symlinkSync(name, name);
    expect((await refusalOf(folder)).code).toBe('data_locked');
    expect(locks()).toEqual(['lock.123.0123456789ab']);
  });
});

describe('what was left by daemons that were killed', () => {
  it('is swept by the next', async () => {
    for (const digit of ['0', '1', '2']) writeFileSync(join(folder, `lock.7.${digit.repeat(12)}`), '');
    writeFileSync(join(folder, `lock.7.${'3'.repeat(12)}.tmp`), '');
    const release = await lockFolder(folder);
    expect(locks()).toHaveLength(1);
    release();
    expect(locks()).toEqual([]);
  });
});

describe('several daemons that start at once', () => {
  it('are never two that hold the folder', { timeout: 60_000 }, async () => {
    const holders = await Promise.all(Array.from({ length: 6 }, startHolder));
    for (const holder of holders) holder.lock();
    const outcomes = await Promise.all(holders.map((holder) => holder.line()));
    expect(outcomes.filter((outcome) => outcome === 'held').length).toBeLessThanOrEqual(1);
    expect(new Set(outcomes.filter((outcome) => outcome !== 'held'))).toEqual(new Set(['data_locked']));
    for (const holder of holders) await holder.kill();
    (await lockFolder(folder))();
  });

  it('are never two, also within one process', async () => {
    for (let round = 0; round < 20; round += 1) {
      const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => lockFolder(folder)));
      const held = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      expect(held.length).toBeLessThanOrEqual(1);
      for (const release of held) release();
    }
    expect(locks()).toEqual([]);
  });
});
