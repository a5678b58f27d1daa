/**
 * Asks the daemon of parts/load.js something every few ms, whether or not what came before is answered, and takes the
 * times: of a query, of a heartbeat, of a register until its reply, and until its event at a watch on another connection.
 */

import { once } from 'node:events';
import { connect } from 'node:net';
import { isSteady, PER_SERVICE, Population } from './population.js';
import { ownCpu, pause } from './processes.js';

const { port, connections, every } = JSON.parse(process.argv[2]);
const population = new Population(connections);
/** What is registered again and again, and what heartbeats renew. */
const PROBED = 'probed';
const KEPT = 'kept';
const KINDS = ['register', 'query', 'heartbeat'];
/** By how much one query is from the next, so that neighbours do not follow each other. */
const STRIDE = 7919;

/** Of each kind the times in µs, and how many of them earlier laps had. */
const times = { query: [], heartbeat: [], register: [], event: [] };
let lapped = { query: 0, heartbeat: 0, register: 0, event: 0 };
const errors = {};
/** Replies to a query that lack an instance whose connection lives. */
let short = 0;
/** When the registers were sent whose events have not come, by their values. */
const registered = new Map();

/**
 * A connection for each kind, with the times at which was sent what is not answered: replies of one connection come in
 * the order of the requests, and a query would wait for the disk where it came after a register.
 */
const askers = Object.fromEntries(
  await Promise.all(
    KINDS.map(async (kind) => [kind, { pending: [], socket: await open((reply) => answered(kind, reply)) }]),
  ),
);
let sent = 0;
await watch(PROBED, arrived);
request('heartbeat', { type: 'register', key: KEPT, values: '10.0.0.1:1' });
const timer = setInterval(() => ask(KINDS[sent % KINDS.length]), every);
process.send('ready');

const ORDERS = {
  count() {
    return { events: 0, cpu: ownCpu() };
  },

  /** The figures since the last lap. */
  lap() {
    const lap = figures(lapped);
    lapped = Object.fromEntries(Object.entries(times).map(([kind, { length }]) => [kind, length]));
    return lap;
  },

  /** @returns all figures, what went wrong, and what was never answered or told. */
  async stop() {
    clearInterval(timer);
    for (let waits = 0; missing() > 0 && waits < 100; waits += 1) await pause(100);
    return { figures: figures(), errors, short, missing: missing() };
  },
};
process.on('message', async ({ order }) => process.send(await ORDERS[order]()));
process.on('disconnect', () => process.exit());

function ask(kind) {
  if (kind === 'register') register();
  else if (kind === 'heartbeat') request(kind, { type: 'heartbeat' });
  else request(kind, { type: 'query', key: population.serviceOf(sent * STRIDE) });
}

/** Each has another value, and so is a change. */
function register() {
  const values = `10.0.0.1:${sent}`;
  registered.set(values, performance.now());
  request('register', { type: 'register', key: PROBED, values });
}

function request(kind, message) {
  const { pending, socket } = askers[kind];
  sent += 1;
  pending.push(performance.now());
  send(socket, message);
}

function answered(kind, reply) {
  const sentAt = askers[kind].pending.shift();
  // What the heartbeats renew was registered before them.
  if (kind === 'heartbeat' && reply.generation !== undefined) return;
  times[kind].push((performance.now() - sentAt) * 1000);
  if (!reply.ok) count(`${kind}: ${reply.error.code}`);
  else if (kind === 'heartbeat' && reply.held !== 1) count('heartbeat: it does not hold what it registered');
  else if (kind === 'query' && reply.services.filter(({ instance }) => isSteady(instance)).length < PER_SERVICE - 1) {
    short += 1;
  }
}

/** How many replies and events are still to come. */
function missing() {
  return Object.values(askers).reduce((sum, { pending }) => sum + pending.length, registered.size);
}

function arrived({ service: { values } }) {
  const sentAt = registered.get(values);
  if (sentAt === undefined) count('an event that was not to come');
  else times.event.push((performance.now() - sentAt) * 1000);
  registered.delete(values);
}

/** Of each kind, without those that earlier laps had. */
function figures(from = {}) {
  return Object.fromEntries(Object.entries(times).map(([kind, all]) => [kind, figuresOf(all.slice(from[kind] ?? 0))]));
}

function figuresOf(values) {
  const sorted = Float64Array.from(values).sort();
  const at = (share) => sorted[Math.floor(share * sorted.length)];
  return { count: values.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) };
}

function count(error) {
  errors[error] = (errors[error] ?? 0) + 1;
}

function send(socket, message) {
  socket.write(`${JSON.stringify(message)}\r\n`);
}

/** Resolves when what happens to the service is told from now on. */
async function watch(key, told) {
  let synced = () => {};
  const watcher = await open((line) => {
    if (line.type === 'synced') synced();
    else if (line.type === 'change') told(line);
  });
  const begun = new Promise((resolve) => {
    synced = resolve;
  });
  send(watcher, { type: 'watch', key });
  await begun;
}

/** Resolves with a connection, which takes its lines to `heard`. */
async function open(heard) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text) => {
    const lines = (rest + text).split('\r\n');
    rest = lines.pop();
    for (const line of lines) heard(JSON.parse(line));
  });
  socket.on('error', () => {});
  socket.on('close', () => count('a connection of the prober has ended'));
  await once(socket, 'connect');
  return socket;
}
