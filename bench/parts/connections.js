/** How the cost of a heartbeat grows with the connections that the heartbeats come from. */

import { generate, hold } from '../generators.js';
import { growthTargets, memoryOfEach } from '../growth.js';
import * as reg from '../peers/reg.js';

const STEPS = [10, 100, 1000, 10_000];
/** Heartbeats a second, of all connections together. */
const RATE = 10_000;
const SECONDS = 3;
const TTL = 600;

const OPENING = 'a connection, and its registration';
const HEARTBEAT = 'heartbeat';

const setting = (connections) => `${connections.toLocaleString('en')} connections`;

export const connections = {
  name: 'connections',
  title: 'How cost grows with the connections',
  about: `Each connection registers one instance; then ${RATE.toLocaleString('en')} heartbeats a second come from all of them together, evenly spread, whether
or not the one before was answered. The more connections, the fewer requests are there to be read at once. Memory is what
connections with their instances added after full collections; what the system keeps for a socket is not in it.`,
  columns: [
    { metric: 'serverCpu', title: "server's CPU, µs each" },
    { metric: 'p50', title: 'p50, µs' },
    { metric: 'p99', title: 'p99, µs' },
    { metric: 'used', title: 'used, B each' },
    { metric: 'heap', title: 'of it heap, B each' },
    { metric: 'resident', title: 'resident, B each' },
    { metric: 'generatorCpu', title: "generator's share of a core" },
  ],
  charts: [
    chart("The server's CPU for one operation, µs, by connections", [
      { name: HEARTBEAT, work: HEARTBEAT, metric: 'serverCpu' },
      { name: OPENING, work: OPENING, metric: 'serverCpu' },
    ]),
    chart('Latency of a heartbeat, µs, by connections', [
      { name: 'p50', work: HEARTBEAT, metric: 'p50' },
      { name: 'p99', work: HEARTBEAT, metric: 'p99' },
    ]),
  ],
  targets: growthTargets(
    [
      { work: HEARTBEAT, metric: 'serverCpu', title: 'CPU' },
      { work: HEARTBEAT, metric: 'p50', title: 'p50' },
      { work: HEARTBEAT, metric: 'p99', title: 'p99' },
      { work: OPENING, metric: 'serverCpu', title: 'CPU' },
      { work: OPENING, metric: 'used', title: 'used', from: setting(1000) },
    ],
    setting(STEPS[0]),
    setting(STEPS.at(-1)),
  ),

  async measure(run) {
    await run.inTurns(3, [{ peer: reg.collecting }], ({ peer }) => measure(run, peer));
  },
};

function chart(title, lines) {
  return { title, x: 'connections', lines };
}

async function measure(run, peer) {
  const server = await peer.start();
  const place = { port: server.port, server: server.pid };
  // Each instance is new, so that all registrations are alike.
  let first = 0;
  const beat = async (count, seconds) => {
    const numbers = { connections: count, total: count, first, every: count / RATE, warmup: RATE / 2, seconds };
    first += count;
    return generate('beats', { ...place, ...reg.lease(TTL, 1), ...numbers });
  };
  await beat(STEPS[1], run.scaled(2, 0.1));

  for (const count of run.scaled(STEPS, [STEPS[0], STEPS[2]])) {
    run.progress(setting(count));
    const before = await server.memory();
    const held = await hold({ ...place, ...reg.register, connections: count, total: count, first });
    first += count;
    const memory = memoryOfEach(before, await server.memory(), count);
    await held.release();
    run.add(peer, OPENING, setting(count), { connections: count, serverCpu: held.serverCpu, ...memory });

    const { renewal50: p50, renewal99: p99, serverCpu, generatorCpu } = await beat(count, run.scaled(SECONDS, 0.5));
    run.add(peer, HEARTBEAT, setting(count), { connections: count, serverCpu, p50, p99, generatorCpu });
  }
  await server.end();
}
