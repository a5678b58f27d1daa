/** How the cost of an operation grows with the instances that are registered. */

import { generate } from '../generators.js';
import { growthTargets, memoryOfEach } from '../growth.js';
import * as reg from '../peers/reg.js';

const SIZES = [1000, 10_000, 100_000, 1_000_000];
const CONNECTIONS = 50;
const PIPELINE = 16;
/** Requests that are measured, after so many that are not. */
const TOTAL = 200_000;
const WARMUP = 20_000;
/** How many come and go beside those that stay. */
const VISITORS = 20_000;
/** Their numbers begin behind all others. */
const FIRST_VISITOR = 10_000_000;
/** Seconds that they live where they are to expire. */
const TTL = 2;

const NEW = 'new registration';
const DESTROY = 'destroy';
const RENEWAL = 'renewal';
const QUERY = 'query of one';
const EXPIRY = 'expiry';
const MEMORY = 'memory of an instance';
const WORKS = [NEW, RENEWAL, QUERY, DESTROY, EXPIRY];

const setting = (instances) => `${instances.toLocaleString('en')} instances`;

export const instances = {
  name: 'instances',
  title: 'How cost grows with the instances',
  about: `One daemon, its log in memory, is filled up to each size, measured, and filled further. ${CONNECTIONS} connections, pipeline ${PIPELINE}; renewals and
queries go around all instances in a scattered order. ${VISITORS.toLocaleString('en')} more are registered and destroyed, no more at once than there are
instances that stay; then ${VISITORS.toLocaleString('en')} expire within a second, of which one watch is told. Memory is what the instances added after full
collections: used is the heap and what is outside it, resident is what the system says; at ${SIZES[0].toLocaleString('en')} instances what the heap does by
itself is still a part of it.`,
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
    chart(
      "The server's CPU for one operation, µs, by instances registered",
      WORKS.map((work) => ({ name: work, work, metric: 'serverCpu' })),
    ),
    chart(
      'Latency, p99, µs, by instances registered',
      [NEW, RENEWAL, QUERY].map((work) => ({ name: work, work, metric: 'p99' })),
    ),
    chart('Memory of one instance, B, by instances registered', [
      { name: 'used', work: MEMORY, metric: 'used' },
      { name: 'resident', work: MEMORY, metric: 'resident' },
    ]),
  ],
  targets: growthTargets(
    [
      ...WORKS.map((work) => ({ work, metric: 'serverCpu', title: 'CPU' })),
      ...[NEW, RENEWAL, QUERY].map((work) => ({ work, metric: 'p99', title: 'p99' })),
      { work: MEMORY, metric: 'used', title: 'used', from: setting(SIZES[1]) },
      { work: MEMORY, metric: 'resident', title: 'resident', from: setting(SIZES[1]) },
    ],
    setting(SIZES[0]),
    setting(SIZES.at(-1)),
  ),

  async measure(run) {
    await run.inTurns(3, [{ peer: reg.collecting }], ({ peer }) => measure(run, peer));
  },
};

function chart(title, lines) {
  return { title, x: 'instances', lines };
}

async function measure(run, peer) {
  const server = await peer.start();
  const place = { port: server.port, server: server.pid, connections: CONNECTIONS, pipeline: PIPELINE };
  const load = (details) => generate('load', { ...place, ...details });
  const expire = (total) => generate('expiry', { ...place, ...reg.passing(TTL, total / CONNECTIONS), total });
  // What is measured first would else pay for the compiler.
  await comeAndGo(load, SIZES[0], run.scaled(2 * VISITORS, SIZES[0]));
  if (!run.isQuick) await expire(VISITORS);

  const empty = await server.memory();
  const sizes = run.scaled(SIZES, SIZES.slice(0, 2));
  let held = 0;
  for (const size of sizes) {
    const add = (work, sample) => run.add(peer, work, setting(size), { instances: size, ...sample });
    run.progress(setting(size));
    await load({ ...reg.register, first: held, total: size - held });
    held = size;
    add(MEMORY, { ...memoryOfEach(empty, await server.memory(), size), heapLimit: server.heapLimit });

    const numbers = { keys: size, warmup: run.scaled(WARMUP, 200), total: run.scaled(TOTAL, 2000) };
    add(RENEWAL, await load({ ...reg.renewal, ...numbers }));
    add(QUERY, await load({ ...reg.query, ...numbers }));
    const visitors = run.scaled(VISITORS, SIZES[0]);
    const { come, go } = await comeAndGo(load, Math.min(size, visitors), visitors);
    add(NEW, come);
    add(DESTROY, go);
    // Each takes some seconds, which the quick form has not.
    if (run.isQuick && size !== sizes.at(-1)) continue;
    const { serverCpu } = await expire(visitors);
    add(EXPIRY, { serverCpu });
  }
  await server.end();
}

/**
 * Registers so many and destroys them, again and again until there were so many in all.
 *
 * @returns what each registration and each destroy took.
 */
async function comeAndGo(load, atOnce, total) {
  // What it takes to accept the connections is no part of it.
  const numbers = { first: FIRST_VISITOR, total: atOnce, prepare: reg.ping };
  const [come, go] = [[], []];
  for (let count = 0; count < total; count += atOnce) {
    come.push(await load({ ...reg.register, ...numbers }));
    go.push(await load({ ...reg.destroy, ...numbers }));
  }
  return { come: mean(come), go: mean(go) };
}

function mean(samples) {
  const metrics = ['serverCpu', 'p50', 'p99', 'generatorCpu'];
  const sum = (metric) => samples.reduce((total, sample) => total + sample[metric], 0);
  return Object.fromEntries(metrics.map((metric) => [metric, sum(metric) / samples.length]));
}
