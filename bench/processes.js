/** The processes that the benchmarks measure and measure with, and what is said of the figures. */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A program of this folder as a process that answers orders, one at a time, over its IPC channel. */
export class Helper {
  #child;
  #answered = () => {};
  #failed = () => {};

  constructor(child) {
    this.#child = child;
    child.on('message', (answer) => this.#answered(answer));
    child.on('exit', (code, signal) => this.#failed(new Error(`${child.spawnargs[1]} ended with ${code ?? signal}`)));
  }

  /** Resolves when it has said that it is ready; what it said is its `ready`. @param setup its only argument. */
  static async start(program, setup, ...execArgv) {
    const path = fileURLToPath(new URL(program, import.meta.url));
    const helper = new Helper(fork(path, [JSON.stringify(setup)], { execArgv }));
    helper.ready = await helper.#answer();
    return helper;
  }

  ask(order, details = {}) {
    this.#child.send({ order, ...details });
    return this.#answer();
  }

  async kill() {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  #answer() {
    return new Promise((resolve, reject) => {
      this.#answered = resolve;
      this.#failed = reject;
    });
  }
}

/** A daemon that can tell its memory after a collection; see daemon.js. */
export function startDaemon(setup) {
  return Helper.start('daemon.js', setup, '--expose-gc');
}

/** A folder that is gone when the program ends. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'reg-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** ms since the Unix epoch, to the microsecond: what processes of one machine can compare. */
export function now() {
  return performance.timeOrigin + performance.now();
}

/** @param values in ms. */
export function percentiles(values) {
  const sorted = Float64Array.from(values).sort();
  const at = (share) => show(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`;
}

function show(value) {
  return value < 10 ? value.toFixed(2) : value.toFixed(value < 100 ? 1 : 0);
}
