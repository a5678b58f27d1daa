/** What one daemon spends on keeping a million instances alive. */

import { generate } from '../generators.js';
import * as reg from '../peers/reg.js';

const WORK = 'heartbeats';
const CONNECTIONS = 1000;
const EVERY = 10;
const TTL = 30;
const SIZES = [100_000, 1_000_000];
const SECONDS = 30;

const setting = (instances) => `${instances.toLocaleString('en')} instances`;
const row = [reg.memory.name, WORK, setting(1_000_000)];

export const heartbeats = {
  name: 'heartbeats',
  title: 'Keeping instances alive',
  about: `${CONNECTIONS.toLocaleString('en')} connections hold an equal share of the instances, with a ttl of ${TTL} s, and each sends a heartbeat every ${EVERY} s, all of
them evenly spread, for ${SECONDS} s. One more connection queries one service after the other, a millisecond apart.`,
  columns: [
    { metric: 'serverShare', title: "server's share of a core, %", unit: 0.01 },
    { metric: 'generatorCpu', title: "generator's share of a core" },
    { metric: 'p50', title: 'query, p50, ms', unit: 1000 },
    { metric: 'p99', title: 'query, p99, ms', unit: 1000 },
    { metric: 'max', title: 'query, the longest, ms', unit: 1000 },
    { metric: 'renewal50', title: 'heartbeat, p50, ms', unit: 1000 },
    { metric: 'renewal99', title: 'heartbeat, p99, ms', unit: 1000 },
    { metric: 'resident', title: 'resident, MB', unit: 1e6 },
  ],
  charts: [],
  targets: [
    { what: `share of a core, ${row[2]}`, metric: 'serverShare', ours: row, atMost: 0.3, unit: 0.01, unitName: '%' },
    { what: `query beside it, p99, ${row[2]}`, metric: 'p99', ours: row, atMost: 5000, unit: 1000, unitName: 'ms' },
  ],

  async measure(run) {
    await run.inTurns(3, [{ peer: reg.memory }], ({ peer }) => measure(run, peer));
  },
};

async function measure(run, peer) {
  for (const instances of run.scaled(SIZES, SIZES.slice(0, 1))) {
    run.progress(setting(instances));
    const server = await peer.start();
    const sample = await generate('beats', {
      ...{ port: server.port, server: server.pid, connections: CONNECTIONS, total: instances, pipeline: 100 },
      ...{ every: EVERY, seconds: run.scaled(SECONDS, 3) },
      ...reg.lease(TTL, instances / CONNECTIONS),
      ...{ query: reg.query.request, answer: reg.query.reply.replace('600', TTL) },
    });
    run.add(peer, WORK, setting(instances), { ...sample, resident: server.resident() });
    await server.end();
  }
}
