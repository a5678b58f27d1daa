/** How long a daemon with a million durable instances takes to come back after kill -9. */

import { generate } from '../generators.js';
import * as etcd from '../peers/etcd.js';
import * as redis from '../peers/redis.js';
import * as reg from '../peers/reg.js';
import { freePort, now, pause, temporaryFolder } from '../processes.js';

const WORK = 'start after kill -9';
const INSTANCES = 1_000_000;
const CONNECTIONS = 200;
/** ms in which a server may finish what it does in the background. */
const QUIET = 5000;

const ENTRANTS = [
  { peer: reg.disk, requests: { ...reg.register, pipeline: 100 }, query: reg.query },
  { peer: redis.everysec, requests: { ...redis.set, pipeline: 100 }, query: redis.get },
  { peer: etcd.etcd, requests: etcd.lease(600), query: etcd.range },
];

const setting = (instances) => `${instances.toLocaleString('en')} instances`;
const about = setting(INSTANCES);
const ours = [reg.disk.name, WORK, about];

export const startup = {
  name: 'startup',
  title: 'Start after kill -9',
  about: `From the start of the process to its first answer; then 1,000 of them are asked for, and all must be there.
Redis has an append-only file, synced every second; our daemon and etcd have everything synced. Each had ${QUIET / 1000} s of quiet before
it was killed, and its files are still in the system's cache.`,
  columns: [
    { metric: 'ms', title: 'ms' },
    { metric: 'cpu', title: 'CPU, ms' },
    { metric: 'resident', title: 'resident, MB', unit: 1e6 },
  ],
  charts: [{ title: 'Start after kill -9, ms', metric: 'ms' }],
  targets: [
    { what: WORK, metric: 'ms', ours, theirs: [redis.everysec.name, WORK, about], atMost: 1.5, stretch: 1 },
    { what: WORK, metric: 'ms', ours, theirs: [etcd.etcd.name, WORK, about], atMost: 1 },
  ],

  async measure(run) {
    await run.inTurns(3, ENTRANTS, (entrant) => measure(run, entrant));
  },
};

async function measure(run, { peer, requests, query }) {
  const place = { folder: temporaryFolder(), port: await freePort(), peerPort: await freePort() };
  const instances = run.scaled(INSTANCES, 10_000);
  const total = instances / (requests.times ?? 1);
  run.progress('load');
  const victim = await peer.start(place);
  await generate('load', { port: place.port, connections: CONNECTIONS, total, ...requests });
  await pause(run.scaled(QUIET, 1500));
  await victim.kill();

  run.progress('start');
  const startedAt = now();
  const server = await peer.start(place);
  const ms = now() - startedAt;
  const sample = { ms, cpu: server.cpu(), resident: server.resident() };
  await generate('load', { port: place.port, connections: 10, total: 1000, keys: total, ...query });
  run.add(peer, WORK, setting(instances), sample);
  await server.end();
}
