/** What a registered instance takes of memory, at a million. */

import { generate } from '../generators.js';
import * as etcd from '../peers/etcd.js';
import * as redis from '../peers/redis.js';
import * as reg from '../peers/reg.js';

const WORK = 'memory of an instance';
const INSTANCES = 1_000_000;
const CONNECTIONS = 200;

const ENTRANTS = [
  { peer: reg.collecting, requests: { ...reg.register, pipeline: 100 }, memoryOf: (server) => server.memory() },
  { peer: redis.memory, requests: { ...redis.set, pipeline: 100 }, memoryOf: redis.memoryOf },
  { peer: etcd.etcd, requests: etcd.lease(600), memoryOf: (server) => ({ resident: server.resident() }) },
];

const setting = (instances) => `${instances.toLocaleString('en')} instances`;

export const memory = {
  name: 'memory',
  title: 'Memory of an instance',
  about: `The growth of the server from empty to so many instances, for each of them. Used is the heap and what is outside it, after full
collections (Redis: used_memory); resident is what the system says, which for our daemon includes what the collector keeps for later.
Redis has a key with an expiry for each; etcd a key with one of ${CONNECTIONS} leases.`,
  columns: [
    { metric: 'used', title: 'used, B' },
    { metric: 'resident', title: 'resident, B' },
  ],
  charts: [{ title: 'Resident memory for each instance, B', metric: 'resident' }],
  targets: [
    target({ against: redis.memory, metric: 'used', atMost: 2 }),
    target({ against: etcd.etcd, metric: 'used', theirMetric: 'resident', atMost: 1 }),
    target({ against: etcd.etcd, metric: 'resident', atMost: 1 }),
  ],

  async measure(run) {
    await run.inTurns(3, ENTRANTS, (entrant) => measure(run, entrant));
  },
};

function target({ against, metric, ...details }) {
  const about = setting(INSTANCES);
  return {
    what: `${metric}, ${about}`,
    metric,
    ours: [reg.memory.name, WORK, about],
    theirs: [against.name, WORK, about],
    ...details,
  };
}

async function measure(run, { peer, requests, memoryOf }) {
  const instances = run.scaled(INSTANCES, 10_000);
  const server = await peer.start();
  const before = await memoryOf(server);
  const total = instances / (requests.times ?? 1);
  await generate('load', { port: server.port, connections: CONNECTIONS, total, ...requests });
  const after = await memoryOf(server);
  const sample = Object.fromEntries(Object.keys(after).map((kind) => [kind, (after[kind] - before[kind]) / instances]));
  run.add(peer, WORK, setting(instances), sample);
  await server.end();
}
