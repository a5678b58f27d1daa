/** Registrations that are on disk before they are answered, beside the stores that promise the same. */

import { generate } from '../generators.js';
import { etcd, grantLease, put } from '../peers/etcd.js';
import * as redis from '../peers/redis.js';
import * as reg from '../peers/reg.js';
import { create, zookeeper } from '../peers/zookeeper.js';

const WORK = 'new registration';
const PIPELINES = [1, 16];
const CONNECTIONS = 50;
const TOTAL = { 1: 150_000, 16: 300_000 };
const SECONDS = 4;

const ENTRANTS = [
  { peer: reg.disk, requests: reg.register },
  { peer: redis.always, requests: redis.set },
  // HTTP has one request under way on a connection: it is given as many connections as others have requests.
  { peer: etcd, requests: put, prepare: grantLease, hasNoPipeline: true },
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
  about: `${CONNECTIONS} connections. Redis: SET EX with \`appendfsync always\`; etcd: put with one lease, one member, JSON gateway; ZooKeeper:
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

async function measure(run, { peer, requests, prepare, hasNoPipeline = false }) {
  const server = await peer.start();
  await prepare?.(server);
  const warmup = run.scaled(5000, 500);
  let first = 0;
  for (const pipeline of PIPELINES) {
    run.progress(setting(pipeline));
    const total = run.scaled(TOTAL[pipeline], 3000);
    const sample = await generate('load', {
      ...{ port: server.port, server: server.pid, first, warmup, total, seconds: SECONDS },
      ...(hasNoPipeline ? { connections: CONNECTIONS * pipeline } : { connections: CONNECTIONS, pipeline }),
      ...requests,
    });
    first += warmup + total;
    run.add(peer, WORK, setting(pipeline), { ...sample, resident: server.resident() });
  }
  await server.kill();
}
