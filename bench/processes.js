/** The processes that the benchmarks measure and measure with, and what the system tells of them. */

import { execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The kernel's clock ticks in a second, in which /proc counts processor time: 100 on every Linux since 2.6. */
const TICKS = 100;
const PAGE_BYTES = 4096;
/** ms between two looks whether a server is ready, and until it is given up. */
const LOOK_EVERY = 2;
const PATIENCE = 120_000;

const endings = [];
process.on('exit', () => {
  for (const end of endings.toReversed()) end();
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** The last first: a process ends before the folder that it writes to is removed. */
function atExit(end) {
  endings.push(end);
}

/** What has been started and has not ended. */
const running = new Set();

/** Ends what a measurement has left behind which failed: servers, and helpers. */
export async function endAll() {
  await Promise.all([...running].map((one) => one.end()));
}

/** A server that is measured. */
export class Server {
  #child;
  #ended;
  #folder;

  constructor(child, port, folder) {
    this.#child = child;
    this.#ended = once(child, 'exit');
    this.#folder = folder;
    this.port = port;
  }

  get pid() {
    return this.#child.pid;
  }

  /**
   * Resolves when the server answers.
   *
   * @param folder what it keeps, if anything.
   * @param isReady asked again and again; a throw means no.
   */
  static async start(command, args, { port, folder, isReady }) {
    const child = spawn(command, args.map(String), { stdio: ['ignore', 'ignore', 'inherit'] });
    const server = new Server(child, port, folder);
    running.add(server);
    atExit(() => child.kill('SIGKILL'));
    for (const start = now(); !(await isReady().catch(() => false)); await pause(LOOK_EVERY)) {
      const ending = child.exitCode ?? child.signalCode;
      if (ending !== null) throw new Error(`${command} ended with ${ending} before it was ready`);
      if (now() - start > PATIENCE) throw new Error(`${command} is not ready after ${PATIENCE / 1000} s`);
    }
    return server;
  }

  /** Processor time since it began, all its threads together, in ms. */
  cpu() {
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ');
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
  }

  /** Resident memory, in bytes. */
  resident() {
    return Number(readFileSync(`/proc/${this.pid}/statm`, 'latin1').split(' ')[1]) * PAGE_BYTES;
  }

  /** What it has kept is there for the next one. */
  async kill() {
    running.delete(this);
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** Removes what it has kept, too: a run of the whole benchmark would gather tens of GB. */
  async end() {
    await this.kill();
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Processor time that everything on this machine has used since it began, in ms. */
export function machineCpu() {
  const [, user, nice, system, , , interrupts, softInterrupts] = readFileSync('/proc/stat', 'latin1').split(/ +/);
  const ticks = [user, nice, system, interrupts, softInterrupts].map(Number);
  return (ticks.reduce((sum, one) => sum + one, 0) * 1000) / TICKS;
}

/** Processor time that this process has used since it began, in ms. */
export function ownCpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** A program of this folder as a process that answers orders, one at a time, over its IPC channel. */
export class Helper {
  #child;
  #ended;
  #answered = () => {};
  #failed = () => {};

  constructor(child) {
    this.#child = child;
    this.#ended = once(child, 'exit');
    running.add(this);
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

  get pid() {
    return this.#child.pid;
  }

  ask(order, details = {}) {
    this.#child.send({ order, ...details });
    return this.#answer();
  }

  async kill() {
    running.delete(this);
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  end() {
    return this.kill();
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

/**
 * A folder that is gone when the program ends, if not before. It is beside the project and not where temporary files are: that may be
 * memory, and what is durable there costs nothing.
 */
export function temporaryFolder() {
  const parent = fileURLToPath(new URL('build/', import.meta.url));
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, 'data-'));
  atExit(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** ms for the beginning of an answer, and for each piece of it after that. */
const FIRST_PIECE = 1000;
const NEXT_PIECE = 20;

/** Resolves with what in the answer of a server matches, or with `undefined` where nothing does. */
export function ask(port, sent, pattern) {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(sent, 'latin1'));
    const settle = (found) => {
      socket.destroy();
      resolve(found);
    };
    socket.setTimeout(FIRST_PIECE, () => settle());
    socket.on('error', () => settle());
    socket.on('close', () => settle());
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1');
      socket.setTimeout(NEXT_PIECE);
      const found = pattern.exec(answer);
      if (found !== null) settle(found);
    });
  });
}

/** What a command says about its version, or `undefined` where there is no such command. */
export function versionOf(command, args, pattern) {
  try {
    const said = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return pattern.exec(said)?.[1] ?? 'unknown';
  } catch {
    return undefined;
  }
}

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
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
