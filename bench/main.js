/**
 * `npm run bench` measures the daemon beside its peers, in one run and in turns, so that the ratios hold although
 * the machine's speed does not. `--quick` shows in seconds that it works; its figures mean nothing. A peer that
 * is not installed is reported as not measured. This is the beginning of a benchmark: docs/decisions/0006 says
 * what it does not measure yet.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { load } from './load.js';

const isQuick = process.argv.includes('--quick');
const ROUNDS = isQuick ? 1 : 5;
const TOTAL = isQuick ? 5000 : 200_000;
const CONNECTIONS = 50;
const REDIS_PORT = 16_399;

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const REGCTL = path('../packages/cli/bin/regctl.js');
const folder = mkdtempSync(join(tmpdir(), 'reg-bench-'));

const VALUE = '123456@127.0.0.1:6379';
const fresh = (n) => `{"type":"register","key":"service-${run}-${n}","values":"${VALUE}","timeout":"60"}\r\n`;
const renewal = (n) => `{"type":"register","key":"service-${n % 1000}","values":"${VALUE}","timeout":"60"}\r\n`;
const query = (n) => `{"type":"query","key":"service-${n % 1000}"}\r\n`;
/** Tells one run's new registrations from those before. */
let run = 0;

const daemon = (...args) => ({
  command: process.execPath,
  args: [REGCTL, 'serve', '--port', '0', '--log-level', 'error', ...args],
});
const redis = (...args) => ({
  command: 'redis-server',
  args: ['--port', String(REDIS_PORT), '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...args],
  port: REDIS_PORT,
});
const PEERS = {
  'node:net echo': { ...{ command: process.execPath, args: [path('echo.js')] }, work: { echo: { line: renewal } } },
  'reg, memory': {
    ...daemon('--memory'),
    work: { 'new registration': { line: fresh }, renewal: { line: renewal }, query: { line: query } },
  },
  'reg, disk, always': { ...daemon('--data-dir', join(folder, 'data')), work: { 'new registration': { line: fresh } } },
  'Redis, memory': {
    ...redis('--appendonly', 'no'),
    work: {
      'SET EX': { line: (n) => `SET service-${n % 1000} ${VALUE} EX 60\r\n` },
      GET: { line: (n) => `GET service-${n % 1000}\r\n`, endings: 2 },
    },
  },
  'Redis, appendfsync always': {
    ...redis('--appendonly', 'yes', '--appendfsync', 'always'),
    work: { 'SET EX': { line: (n) => `SET service-${n} ${VALUE} EX 60\r\n` } },
  },
};

const figures = new Map();
try {
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, peer] of Object.entries(PEERS)) await measure(name, peer);
  }
  report();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measure(name, peer) {
  const server = spawn(peer.command, peer.args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await ready(server, peer.port);
  if (port === undefined) {
    figures.set(name, undefined);
    return;
  }
  for (const [work, requests] of Object.entries(peer.work)) {
    for (const pipeline of [1, 16, 100]) {
      run += 1;
      progress(`${name}, ${work}, pipeline ${pipeline}`);
      const perSecond = await load(port, { connections: CONNECTIONS, pipeline, total: TOTAL, ...requests });
      const row = `${name}|${work}|${pipeline}`;
      figures.set(row, [...(figures.get(row) ?? []), perSecond]);
    }
  }
  server.kill('SIGTERM');
  await once(server, 'exit');
}

/** The port on which a server that was just started listens; `undefined` where it is not installed. */
function ready(server, port) {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => (error.code === 'ENOENT' ? resolve(undefined) : reject(error)));
    server.once('exit', (code) => reject(new Error(`${server.spawnfile} ended with ${code} before it was ready`)));
    createInterface({ input: server.stdout }).on('line', (line) => {
      const said = /listening on .*:(\d+)/.exec(line);
      if (said) resolve(Number(said[1]));
      else if (line.includes('Ready to accept connections')) resolve(port);
    });
  });
}

/** What is being measured, where somebody looks. */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r${text.padEnd(78)}`);
}

function report() {
  progress('');
  console.log(`${CONNECTIONS} connections, ${TOTAL} requests a run, ${ROUNDS} rounds in turns.`);
  console.log(
    'Requests a second: median (least to most), and the median as a share of the echo at the same pipeline.\n',
  );
  const rows = [...figures].map(([row, runs]) => {
    if (runs === undefined) return [row, 'not installed, not measured'];
    const [name, work, pipeline] = row.split('|');
    const share = (median(runs) / median(figures.get(`node:net echo|echo|${pipeline}`))).toFixed(2);
    const spread = `${show(Math.min(...runs))} to ${show(Math.max(...runs))}`;
    return [`${name}: ${work}, pipeline ${pipeline}`, `${show(median(runs))} (${spread})  ${share}`];
  });
  const width = Math.max(...rows.map(([label]) => label.length));
  for (const [label, value] of rows) console.log(`${label.padEnd(width)}  ${value}`);
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

function show(value) {
  return Math.round(value).toLocaleString('en');
}
