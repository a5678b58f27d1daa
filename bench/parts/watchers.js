/** How the cost of an event grows with those who watch for it. */

import { generate, hold } from '../generators.js';
import { growthTargets, memoryOfEach } from '../growth.js';
import * as reg from '../peers/reg.js';

/** Watchers, and how many changes are measured, after a fifth of that which are not. */
const STEPS = [
  { watchers: 1, changes: 500 },
  { watchers: 10, changes: 500 },
  { watchers: 100, changes: 300 },
  { watchers: 1000, changes: 100 },
  { watchers: 10_000, changes: 20 },
];
/** Connections that the watchers share where each has not its own. */
const SHARED = 100;

const OWN = 'a watcher with a connection of its own';
const SHARING = `a watcher on one of ${SHARED} connections`;

const setting = (watchers) => `${watchers.toLocaleString('en')} watcher${watchers === 1 ? '' : 's'}`;

export const watchers = {
  name: 'watchers',
  title: 'How cost grows with the watchers',
  about: `All watch one service, which is changed again and again; an event is what one change is to one watcher. Times are from the
sending of the change to the arrival of each of its events: the last of them must wait until all others are written.
With one watcher the change itself is in the CPU of its event. Beginning a watch has the connection in it where that is the watcher's own. Memory is what watchers added after full collections.`,
  columns: [
    { metric: 'serverCpu', title: "server's CPU, µs/event" },
    { metric: 'p50', title: 'p50, µs' },
    { metric: 'p99', title: 'p99, µs' },
    { metric: 'last50', title: 'the last of all watchers, p50, µs' },
    { metric: 'beginningCpu', title: "server's CPU to begin, µs" },
    { metric: 'used', title: 'used, B each' },
    { metric: 'heap', title: 'of it heap, B each' },
    { metric: 'resident', title: 'resident, B each' },
  ],
  charts: [
    chart("The server's CPU for one event, µs, by watchers", [
      { name: 'each with a connection of its own', work: OWN, metric: 'serverCpu' },
      { name: `on ${SHARED} connections`, work: SHARING, metric: 'serverCpu' },
    ]),
    chart('From a change to its events, µs, by watchers', [
      { name: 'p50', work: OWN, metric: 'p50' },
      { name: 'p99', work: OWN, metric: 'p99' },
      { name: 'the last of all, p50', work: OWN, metric: 'last50' },
      { name: `the last, on ${SHARED} connections`, work: SHARING, metric: 'last50' },
    ]),
  ],
  targets: growthTargets(
    [
      { work: OWN, metric: 'serverCpu', title: 'CPU' },
      { work: OWN, metric: 'last50', title: 'the last of all, p50' },
      { work: SHARING, metric: 'serverCpu', title: 'CPU', from: setting(SHARED) },
      { work: OWN, metric: 'beginningCpu', title: 'CPU to begin', from: setting(100) },
      { work: OWN, metric: 'used', title: 'used', from: setting(1000) },
    ],
    setting(STEPS[0].watchers),
    setting(STEPS.at(-1).watchers),
  ),

  async measure(run) {
    await run.inTurns(3, [{ peer: reg.collecting }], ({ peer }) => measure(run, peer));
  },
};

/** From one watcher to ten thousand all of it grows by powers of ten. */
function chart(title, lines) {
  return { title, x: 'watchers', lines, isLogarithmic: true };
}

async function measure(run, peer) {
  const server = await peer.start();
  const place = { port: server.port, server: server.pid, ...reg.watch };
  await generate('fanout', { ...place, connections: 10, rounds: run.scaled(300, 10) });
  for (const step of run.scaled(STEPS, [STEPS[0], STEPS[3]])) {
    await measureWatchers(run, { peer, server, place, work: OWN, connections: step.watchers, ...step });
    if (step.watchers < SHARED) continue;
    await measureWatchers(run, { peer, server, place, work: SHARING, connections: SHARED, ...step });
  }
  await server.end();
}

async function measureWatchers(run, { peer, server, place, work, watchers, connections, changes }) {
  run.progress(`${work}, ${setting(watchers)}`);
  const each = watchers / connections;
  const { request: _, ...watching } = place;
  const before = await server.memory();
  const held = await hold({ ...watching, connections, each });
  const memory = memoryOfEach(before, await server.memory(), watchers);
  await held.release();
  const rounds = run.scaled(changes, 20);
  const sample = await generate('fanout', { ...place, connections, each, rounds, warmup: rounds / 5, first: 1 });
  const beginningCpu = (held.serverCpu * connections) / watchers;
  run.add(peer, work, setting(watchers), { watchers, ...sample, beginningCpu, ...memory });
}
