/**
 * `npm run bench` measures the daemon beside its peers and writes bench/RESULTS.md, and from that docs/scale.md.
 * `npm run bench -- throughput memory` measures these parts alone and leaves the results of the others as they are.
 * --rounds N does as many rounds; with --quick it is only shown that everything works, and what comes of it is in
 * bench/build/quick. bench/setup.sh --peers installs the peers.
 * `load` is measured only where it is named, or with --quick; `-- load --connections N --minutes N` is another size of it.
 * It ends with exit code 1 where something was found that must not be.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { prepareGenerators } from './generators.js';
import { describeMachine } from './machine.js';
import { parts } from './parts/index.js';
import { PER_SERVICE } from './population.js';
import { writeReport } from './report.js';
import { Run } from './run.js';
import { writeScale } from './scale.js';

const { values: options, positionals: names } = readArguments();
const isQuick = options.quick;
/** Where results go. The quick form has none that are worth keeping. */
const folder = new URL(isQuick ? 'build/quick/' : '.', import.meta.url);
const rounds = askedRounds();
const asked = askedSizes();
const unknown = names.filter((name) => !parts.some((part) => part.name === name));
if (unknown.length > 0) {
  refuse(`No such part: ${unknown.join(', ')}. There are ${parts.map(({ name }) => name).join(', ')}.`);
}

prepareGenerators();
const fresh = new Map();
for (const part of parts.filter(isWanted)) fresh.set(part.name, await measure(part));
const measured = parts
  .map((part) => ({ part, result: fresh.get(part.name) ?? kept(part) }))
  .filter(({ result }) => result !== undefined);
const scale = new URL(isQuick ? 'scale.md' : '../docs/scale.md', folder);
writeReport(folder, measured);
console.error(`Written: ${fileURLToPath(new URL('RESULTS.md', folder))}`);
if (writeScale(scale, measured)) console.error(`Written: ${fileURLToPath(scale)}`);
else console.error('What a daemon carries was not worked out: not everything that it needs was measured.');

for (const [name, { faults }] of fresh) for (const fault of faults) console.error(`${name} has failed: ${fault}`);
if ([...fresh.values()].some(({ faults }) => faults.length > 0)) process.exitCode = 1;

function isWanted({ name, onlyNamed = false }) {
  return names.includes(name) || (names.length === 0 && (isQuick || !onlyNamed));
}

function readArguments() {
  const number = { type: 'string' };
  const quick = { type: 'boolean', default: false };
  try {
    return parseArgs({
      allowPositionals: true,
      options: { quick, rounds: number, connections: number, minutes: number },
    });
  } catch (error) {
    return refuse(
      `${error.message}\nnpm run bench -- [PART ...] [--quick] [--rounds N] [--connections N] [--minutes N]`,
    );
  }
}

function refuse(message) {
  console.error(message);
  process.exit(2);
}

/** `undefined` for as many as each part has. */
function askedRounds() {
  if (options.rounds === undefined) return undefined;
  const count = Number(options.rounds);
  return Number.isInteger(count) && count > 0 ? count : refuse('--rounds is a whole number above 0.');
}

function askedSizes() {
  const sizes = {};
  for (const name of ['connections', 'minutes']) if (options[name] !== undefined) sizes[name] = Number(options[name]);
  const { connections = PER_SERVICE, minutes = 1 } = sizes;
  if (connections > 0 && connections % PER_SERVICE === 0 && minutes > 0) return sizes;
  return refuse(`--connections is a multiple of ${PER_SERVICE}, and --minutes a number above 0.`);
}

async function measure(part) {
  const run = new Run(part.name, { isQuick, rounds, asked });
  const start = performance.now();
  await part.measure(run);
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  const result = {
    isQuick,
    finished: new Date().toISOString(),
    minutes: Math.round((performance.now() - start) / 6000) / 10,
    machine: describeMachine(),
    versions: run.versions,
    missing: run.missing,
    failures: run.failures,
    faults: run.faults,
    rows: run.rows,
  };
  mkdirSync(new URL('results/', folder), { recursive: true });
  writeFileSync(fileOf(part), `${JSON.stringify(result, undefined, 1)}\n`);
  return result;
}

/** What an earlier run has found. */
function kept(part) {
  return existsSync(fileOf(part)) ? JSON.parse(readFileSync(fileOf(part), 'utf8')) : undefined;
}

function fileOf({ name }) {
  return new URL(`results/${name}.json`, folder);
}
