/** Registrations that are on disk before they are answered, beside the stores that promise the same. */

import { generate } from '../generators.js';
import { etcd, grant, put } from '../peers/etcd.js';
import * as redis from '../peers/redis.js';
import * as reg from '../peers/reg.js';
import { create, zookeeper } from '../peers/zookeeper.js';
import { COLUMNS, CONNECTIONS, measureRequests, rateTarget, settingOf } from '../requests.js';

const WORK = 'new registration';
const PIPELINES = [1, 16];
/** Registrations that are measured, by pipeline, after so many that are not; and the seconds after which no more are. */
const TOTAL = { 1: 150_000, 16: 300_000 };
const WARMUP = 20_000;
const SECONDS = 4;

/** What is granted beforehand takes its time, too, and there is nothing that a warm-up would compile. */
const OF_ETCD = { warmup: 5000, totals: { 1: 20_000, 16: 30_000 } };

const ENTRANTS = [
  { peer: reg.disk, requests: reg.register },
  { peer: redis.always, requests: redis.set },
  // HTTP has one request under way on a connection: it is given as many connections as others have requests.
  { peer: etcd, requests: put, before: grant, hasNoPipeline: true, ...OF_ETCD },
  { peer: zookeeper, requests: create },
];

const TARGETS = [
  { against: redis.always, pipeline: 1, atLeast: 1 },
  { against: redis.always, pipeline: 16, atLeast: 1 },
  { against: etcd, pipeline: 1, atLeast: 6.5 },
  { against: etcd, pipeline: 16, atLeast: 8 },
  { against: zookeeper, pipeline: 1, atLeast: 4 },
  { against: zookeeper, pipeline: 16, atLeast: 4 },
];

export const durable = {
  name: 'durable',
  title: 'Registrations on disk before their reply',
  about: `${CONNECTIONS} connections; all keep their data on the file system that is named below. Redis: SET EX with \`appendfsync always\`; etcd:
put with a lease of its own that was granted before, one member, JSON gateway (its gRPC takes HTTP/2, which the generator
does not speak; from Node the gateway is the faster of the two); ZooKeeper: create of an ephemeral node, one server.
${WARMUP.toLocaleString('en')} requests come before those that count (etcd: ${OF_ETCD.warmup.toLocaleString('en')}). At pipeline 16 etcd has ${16 * CONNECTIONS} connections with one
request under way on each.`,
  columns: COLUMNS,
  charts: [{ title: 'Durable registrations, thousand a second', metric: 'rate', unit: 1000 }],
  targets: TARGETS.map((target) => rateTarget(reg.disk, { work: WORK, ...target })),

  async measure(run) {
    await run.inTurns(7, ENTRANTS, (entrant) => measure(run, entrant));
  },
};

async function measure(run, { peer, requests, before, hasNoPipeline = false, totals = TOTAL, warmup: some = WARMUP }) {
  const server = await peer.start();
  const warmup = run.scaled(some, 500);
  let first = 0;
  for (const pipeline of PIPELINES) {
    const total = run.scaled(totals[pipeline], 3000);
    const shape = hasNoPipeline ? { connections: CONNECTIONS * pipeline } : { connections: CONNECTIONS, pipeline };
    if (before !== undefined) {
      await generate('load', { port: server.port, ...shape, ...before, first, total: warmup + total });
    }
    const what = { peer, server, work: WORK, setting: settingOf(pipeline) };
    await measureRequests(run, { ...what, ...requests, ...shape, first, warmup, total, seconds: SECONDS });
    first += warmup + total;
  }
  await server.end();
}
