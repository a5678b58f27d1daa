/** How late it is told that an instance has expired, when very many are due within a second. */

import { generate } from '../generators.js';
import * as etcd from '../peers/etcd.js';
import * as redis from '../peers/redis.js';
import * as reg from '../peers/reg.js';

const WORK = 'lateness of expiry';
const CONNECTIONS = 1000;
const SIZES = [100_000, 1_000_000];

/** The load must take less than the ttl. */
const ENTRANTS = [
  {
    peer: reg.memory,
    requests: (instances) => ({
      ...reg.lease(instances > 100_000 ? 30 : 10, instances / CONNECTIONS),
      ...reg.expiry,
      pipeline: 100,
    }),
  },
  { peer: redis.notifying, requests: requestsOfRedis },
  { peer: redis.eager, requests: requestsOfRedis },
  { peer: etcd.etcd, requests: (instances) => ({ ...etcd.lease(instances > 100_000 ? 90 : 15), ...etcd.expiry }) },
];

function requestsOfRedis() {
  return { ...redis.lease(5), ...redis.expiry, pipeline: 100 };
}

const setting = (instances) => `${instances.toLocaleString('en')} instances`;

export const expiry = {
  name: 'expiry',
  title: 'Lateness of expiry',
  about: `${CONNECTIONS.toLocaleString('en')} connections register their share of the instances, renew all of it once, evenly over one second, and never again
(ours: a heartbeat; Redis: PEXPIRE of each key; etcd: a lease for each connection, kept alive once). One watcher of everything (Redis:
keyspace events, as it comes and with its expiry turned up to the most it can be told) takes the time at which it is told of the end of each. Late is what comes after the renewal was sent and
the ttl has passed; what was never told of counts as late as the end of the waiting. Where more is better in a target, it is how many times less late ours is.`,
  columns: [
    { metric: 'p50', title: 'p50, ms', unit: 1000 },
    { metric: 'p99', title: 'p99, ms', unit: 1000 },
    { metric: 'max', title: 'the latest, ms', unit: 1000 },
    { metric: 'told', title: 'told of' },
    { metric: 'missing', title: 'not told of' },
    { metric: 'early', title: 'too early' },
    { metric: 'serverCpu', title: "server's CPU, µs/instance" },
    { metric: 'cpu', title: "server's CPU from its start, s", unit: 1000 },
  ],
  charts: [{ title: 'Lateness of expiry, p99, ms', metric: 'p99', unit: 1000, isLogarithmic: true }],
  targets: SIZES.flatMap((instances) => [
    target(instances, { atMost: 50_000, unit: 1000, unitName: 'ms' }),
    target(instances, { against: redis.notifying, atLeast: 10, isInverse: true }),
    target(instances, { against: etcd.etcd, atLeast: 10, isInverse: true }),
  ]),

  async measure(run) {
    await run.inTurns(3, ENTRANTS, (entrant) => measure(run, entrant));
  },
};

function target(instances, { against, ...details }) {
  return {
    what: `p99, ${setting(instances)}`,
    metric: 'p99',
    ours: [reg.memory.name, WORK, setting(instances)],
    ...(against && { theirs: [against.name, WORK, setting(instances)] }),
    ...details,
  };
}

async function measure(run, { peer, requests }) {
  for (const instances of run.scaled(SIZES, SIZES.slice(0, 1))) {
    run.progress(setting(instances));
    const server = await peer.start();
    const options = requests(instances);
    const total = instances / (options.times ?? 1);
    const place = { port: server.port, server: server.pid, connections: CONNECTIONS };
    const sample = await generate('expiry', { ...place, total, ...options });
    run.add(peer, WORK, setting(instances), { ...sample, cpu: server.cpu() });
    await server.end();
  }
}
