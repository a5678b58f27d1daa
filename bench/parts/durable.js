/** Registrations that are on disk before they are answered, beside the stores that promise the same. */

import { generate } from '../generators.js';
import { etcd, grant, put } from '../peers/etcd.js';
import * as redis from '../peers/redis.js';
import * as reg from '../peers/reg.js';
import { create, zookeeper } from '../peers/zookeeper.js';

const WORK = 'new registration';
const PIPELINES = [1, 16];
const CONNECTIONS = 50;
/** Registrations that are measured, by pipeline, and the seconds after which no more are. */
const TOTAL = { 1: 150_000, 16: 300_000 };
/** What is granted beforehand takes its time, too. */
const TOTAL_OF_ETCD = { 1: 20_000, 16: 30_000 };
const SECONDS = 4;

const ENTRANTS = [
  { peer: reg.disk, requests: reg.register },
  { peer: redis.always, requests: redis.set },
  // HTTP has one request under way on a connection: it is given as many connections as others have requests.
  { peer: etcd, requests: put, before: grant, totals: TOTAL_OF_ETCD, hasNoPipeline: true },
  { peer: zookeeper, requests: create },
];

const setting = (pipeline) => `pipeline ${pipeline}`;

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
  about: `${CONNECTIONS} connections. Redis: SET EX with \`appendfsync always\`; etcd: put with a lease that was granted before, one member, JSON gateway; ZooKeeper:
create of an ephemeral node, one server. At pipeline 16 etcd has ${16 * CONNECTIONS} connections with one request under way on each.`,
  columns: [
    { metric: 'rate', title: 'thousand requests/s', unit: 1000 },
    { metric: 'p50', title: 'p50, µs' },
    { metric: 'p99', title: 'p99, µs' },
    { metric: 'serverCpu', title: "server's CPU, µs/request" },
    { metric: 'resident', title: 'resident, MB', unit: 1e6 },
    { metric: 'generatorCpu', title: "generator's share of a core" },
  ],
  charts: [{ title: 'Durable registrations, thousand a second', metric: 'rate', unit: 1000 }],
  targets: TARGETS.map(({ against, pipeline, ...target }) => ({
    what: `durable registration, ${setting(pipeline)}`,
    metric: 'rate',
    ours: [reg.disk.name, WORK, setting(pipeline)],
    theirs: [against.name, WORK, setting(pipeline)],
    ...target,
  })),

  async measure(run) {
    await run.inTurns(7, ENTRANTS, (entrant) => measure(run, entrant));
  },
};

async function measure(run, { peer, requests, before, totals = TOTAL, hasNoPipeline = false }) {
  const server = await peer.start();
  const warmup = run.scaled(5000, 500);
  let first = 0;
  for (const pipeline of PIPELINES) {
    run.progress(setting(pipeline));
    const total = run.scaled(totals[pipeline], 3000);
    const details = {
      ...{ port: server.port, server: server.pid, first },
      ...(hasNoPipeline ? { connections: CONNECTIONS * pipeline } : { connections: CONNECTIONS, pipeline }),
    };
    if (before !== undefined) await generate('load', { ...details, ...before, total: warmup + total });
    const sample = await generate('load', { ...details, ...requests, warmup, total, seconds: SECONDS });
    first += warmup + total;
    run.add(peer, WORK, setting(pipeline), { ...sample, resident: server.resident() });
  }
  await server.kill();
}
