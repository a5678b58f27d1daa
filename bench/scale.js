/** Makes docs/scale.md: what one daemon carries, worked out from the results of the parts. */

import { writeFileSync } from 'node:fs';
import { DEFAULT_LIMITS, DEFAULT_TIMEOUT } from '@reg/protocol';
import { show, spread } from './figures.js';

/** Where each figure comes from: the row with the most of whatever it counts, unless a setting is named. */
const FIGURES = {
  instance: { part: 'instances', work: 'memory of an instance', metric: 'heap' },
  instanceResident: { part: 'instances', work: 'memory of an instance', metric: 'resident' },
  heapLimit: { part: 'instances', work: 'memory of an instance', metric: 'heapLimit' },
  query: { part: 'instances', work: 'query of one', metric: 'serverCpu' },
  heartbeat: { part: 'connections', work: 'heartbeat', metric: 'serverCpu' },
  opening: { part: 'connections', work: 'a connection, and its registration', metric: 'serverCpu' },
  connection: { part: 'connections', work: 'a connection, and its registration', metric: 'heap' },
  event: { part: 'watchers', work: 'a watcher with a connection of its own', metric: 'serverCpu' },
  lastEvent: { part: 'watchers', work: 'a watcher with a connection of its own', metric: 'last50' },
  sharedEvent: { part: 'watchers', work: 'a watcher on one of 100 connections', metric: 'serverCpu' },
  watch: { part: 'watchers', work: 'a watcher on one of 100 connections', metric: 'heap' },
  beginning: { part: 'watchers', work: 'a watcher on one of 100 connections', metric: 'beginningCpu' },
  share: { part: 'heartbeats', work: 'heartbeats', metric: 'serverShare' },
  single: { part: 'durable', peer: 'reg, on disk', work: 'new registration', metric: 'rate', setting: 'pipeline 1' },
  batched: { part: 'durable', peer: 'reg, on disk', work: 'new registration', metric: 'rate', setting: 'pipeline 16' },
  start: { part: 'startup', peer: 'reg, on disk', work: 'start after kill -9', metric: 'ms' },
};

/** Seconds between two heartbeats: a third of what a registration lives unless it says otherwise. */
const BEAT = DEFAULT_TIMEOUT / 3;
/** How much of a core, and of the heap, is spoken for: the rest is for bursts, and for the collector. */
const PART = 0.5;
/** Seconds in which all clients are to be back after a restart; `--grace` unless told otherwise. */
const GRACE = 15;
const MICROSECONDS = 1e6;

/**
 * @param file a URL.
 * @param measured as in report.js.
 * @returns whether there was all that it needs; else nothing is written.
 */
export function writeScale(file, measured) {
  const found = Object.entries(FIGURES).map(([name, place]) => [name, find(place, measured)]);
  if (found.some(([, figure]) => figure === undefined)) return false;
  writeFileSync(file, page(Object.fromEntries(found)));
  return true;
}

/** @returns `{ value, setting }`, or `undefined` where it was not measured. */
function find({ part: name, peer = 'reg', work, metric, setting }, measured) {
  const rows = measured.find(({ part }) => part.name === name)?.result.rows ?? [];
  const row = rows.findLast(
    (one) =>
      one.peer === peer &&
      one.work === work &&
      (setting === undefined || one.setting === setting) &&
      one.samples.every((sample) => sample[metric] !== undefined),
  );
  return row && { value: spread(row.samples.map((sample) => sample[metric])).median, setting: row.setting };
}

/** What keeps a daemon from carrying more clients: `[{ what, sum, clients }]`, the nearest first. */
function limitsOf(figures) {
  const { heartbeat, connection, watch, opening, beginning, heapLimit } = valuesOf(figures);
  const back = opening + beginning;
  return [
    {
      what: 'the CPU that heartbeats take',
      sum: `${PART} core × ${BEAT} s ÷ ${show(heartbeat)} µs`,
      clients: (PART * BEAT * MICROSECONDS) / heartbeat,
    },
    {
      what: 'the heap of V8',
      sum: `${PART} × ${megabytes(heapLimit)} ÷ (${show(connection)} B + ${show(watch)} B)`,
      clients: (PART * heapLimit) / (connection + watch),
    },
    {
      what: `the time after a restart in which all must be back, ${GRACE} s`,
      sum: `${GRACE} s ÷ (${show(opening)} µs + ${show(beginning)} µs)`,
      clients: (GRACE * MICROSECONDS) / back,
    },
    {
      what: 'the watches that are allowed unless `--max-watches` says otherwise',
      sum: 'one for each',
      clients: DEFAULT_LIMITS.maxWatches,
    },
  ].toSorted((a, b) => a.clients - b.clients);
}

function valuesOf(figures) {
  return Object.fromEntries(Object.entries(figures).map(([name, { value }]) => [name, value]));
}

function page(figures) {
  const value = valuesOf(figures);
  const limits = limitsOf(figures);
  const [nearest] = limits;
  const rows = limits.map(({ what, sum, clients }) => `| ${what} | ${sum} | ${about(clients)} |`).join('\n');
  const events = (PART * MICROSECONDS) / value.event;
  const watchers = figures.event.setting;
  return `# What one daemon carries

Worked out by \`npm run bench\` from what it measured; nothing in it is typed by hand. The figures are medians of
[bench/RESULTS.md](../bench/RESULTS.md), on the machine that is described there: on another they differ, and the sums stay the
same. A daemon uses one core for nearly all it does. Half of that core, and half of the heap, are counted on here; the rest
is for bursts and for the collector.

## Clients that have a connection each

The usual case: a process with one connection, on which it has one instance that lives ${DEFAULT_TIMEOUT} s, a heartbeat every ${BEAT} s, and one
watch of a service that it calls.

| limit | sum | clients |
| --- | --- | --- |
${rows}

**The nearest of these is ${nearest.what}: ${about(nearest.clients)} clients.** A team with a tenth of
that need not think about it.

- *Heartbeats.* One costs ${show(value.heartbeat)} µs of CPU where they come from ${figures.heartbeat.setting}, one at a time. They are a steady load, and write
  nothing to the disk. A longer time to live makes them rarer in proportion.
- *Memory.* A connection with its instance needs ${show(value.connection)} B of the heap, and a watch ${show(value.watch)} B more. Node.js lets the heap grow
  to ${megabytes(value.heapLimit)} here; \`NODE_OPTIONS=--max-old-space-size\` moves that. What the system keeps for a socket comes
  on top.
- *File descriptors.* One for each connection, and a few more: the hard limit (\`ulimit -Hn\`, \`LimitNOFILE\` of systemd)
  must be above the number of clients. It is not in the table because it is whatever the system was told.

## Many instances on few connections

Where one process registers many instances, one heartbeat renews all that it holds. With ${figures.share.setting}, renewed every
${BEAT} s, the daemon takes ${show(100 * value.share)} % of a core. An instance needs ${show(value.instance)} B of the heap, so that half of it is taken by
${megabytes(PART * value.heapLimit)} ÷ ${show(value.instance)} B = ${about((PART * value.heapLimit) / value.instance)} instances; the system sees ${show(value.instanceResident)} B for each.

## Changes, and who is told of them

A change costs once for each of its watchers. With ${watchers} on as many connections an event costs ${show(value.event)} µs, and the
last of them hears of a change ${show(value.lastEvent / 1000)} ms after it was sent. Half a core tells ${PART} s ÷ ${show(value.event)} µs = ${about(events)} events a second, for instance:

| watchers of one service | changes of it a second |
| --- | --- |
${[10, 100, 1000, 10_000].map((count) => `| ${count.toLocaleString('en')} | ${about(events / count)} |`).join('\n')}

A deployment changes each of its instances twice, once when the old one goes and once when the new one comes. Where many
watches share a connection, as those of one client do, an event costs ${show(value.sharedEvent)} µs.

## Queries

A query of one instance costs ${show(value.query)} µs where many come at once: half a core answers ${PART} s ÷ ${show(value.query)} µs = ${about((PART * MICROSECONDS) / value.query)} a second. \`pick()\` of
the client asks nobody, and does not count here.

## The disk

Only changes are written, and heartbeats and queries are none. ${about(value.single)} new registrations a second are on disk before they
are answered where each of 50 connections waits for its reply, and ${about(value.batched)} where it has 16 under way: what arrives
together shares a commit. A slower disk costs the first figure more than the second.

## A restart

After \`kill -9\` with ${figures.start.setting} on disk the daemon answers again in ${show(value.start / 1000)} s; with fewer it is less.
Then all clients come back at once: a connection with its registration costs ${show(value.opening)} µs, and beginning a watch ${show(value.beginning)} µs. For
10,000 clients that is 10,000 × (${show(value.opening)} µs + ${show(value.beginning)} µs) = ${show((10_000 * (value.opening + value.beginning)) / MICROSECONDS)} s of CPU. Nobody expires meanwhile for ${GRACE} s (\`--grace\`).

## Beyond that

One daemon is one process on one machine: there is no second one that takes over, and no way to share the load between
two. Who is near the nearest limit can register longer times to live, share connections between instances, or run one
daemon for each group of services that do not call each other.
`;
}

/** A number of which only two digits are believed. */
function about(count) {
  return Number(count.toPrecision(2)).toLocaleString('en');
}

function megabytes(bytes) {
  return `${about(bytes / 1e6)} MB`;
}
