/** The load generators, which are C programs (see generator/), and the texts that they send. */

import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

/** Compiles what is not compiled yet. */
export function prepareGenerators() {
  execFileSync(path('setup.sh'), { stdio: ['ignore', 'inherit', 'inherit'] });
}

/**
 * Runs a generator to its end, and resolves with what it found.
 *
 * @param options as in generator/options.h. A text is one character for each byte; in it `{n}` stands for the number
 *   of a request and `{c}` for that of a connection, eight digits each.
 */
export async function generate(program, options) {
  try {
    const { stdout } = await execute(path(`build/${program}`), argumentsOf(options));
    return JSON.parse(stdout);
  } catch (error) {
    throw new Error(`${program}: ${error.stderr || error.message}`);
  }
}

/**
 * Opens connections and whatever else the options say, and resolves when all is there.
 *
 * @returns `{ serverCpu, release }`: what it took of the server, in µs for each connection, and the way to close them.
 */
export async function hold(options) {
  const child = spawn(path('build/hold'), argumentsOf(options), { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const { value: line } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  if (line === undefined) throw new Error('hold has ended before it was asked to');
  const release = async () => {
    child.stdin.end();
    await ended;
  };
  return { ...JSON.parse(line), release };
}

/** How long a text is when the counters are in it. */
export function sizeOf(text) {
  return text.replace(/\{[nc]\}/g, '00000000').length;
}

function argumentsOf(options) {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, escaped(String(value))]);
}

function escaped(text) {
  return text.replace(/[^ -[\]-~]/g, (byte) =>
    byte === '\\' ? '\\\\' : `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
