/** How long a change takes to those who watch for it. */

import { generate } from '../generators.js';
import { etcd, watch as etcdWatch } from '../peers/etcd.js';
import * as redis from '../peers/redis.js';
import * as reg from '../peers/reg.js';
import { createWatched, zookeeper, watch as zookeeperWatch } from '../peers/zookeeper.js';

const WORK = 'a change to its watchers';
/**
 * Watchers, the connections that they share, how many changes are measured, and how many come before these. With one
 * watcher those have to be thousands, since a compiler goes by how often something was run.
 */
const SETTINGS = [
  { watchers: 1, connections: 1, changes: 2000, warmup: 5000 },
  { watchers: 1000, connections: 1000, changes: 200, warmup: 40 },
  { watchers: 10_000, connections: 10_000, changes: 40, warmup: 8 },
  { watchers: 10_000, connections: 100, changes: 100, warmup: 20 },
];

const ENTRANTS = [
  { peer: reg.memory, requests: reg.watch },
  // A connection has a channel once, so there is nothing to compare with many watches on one.
  { peer: redis.memory, requests: redis.watch, fits: ({ watchers, connections }) => watchers === connections },
  { peer: reg.disk, requests: reg.watch },
  { peer: etcd, requests: etcdWatch, fits: ({ watchers }) => watchers <= 1000 },
  {
    peer: zookeeper,
    requests: zookeeperWatch,
    prepare: ({ port }) => generate('load', { port, ...createWatched }),
    fits: ({ watchers }) => watchers <= 1000,
  },
];

const count = (value) => value.toLocaleString('en');
const setting = ({ watchers, connections }) =>
  watchers === connections
    ? `watchers: ${count(watchers)}`
    : `watchers: ${count(watchers)} on ${count(connections)} connections`;
const [ONE, THOUSAND, MANY, SHARED] = SETTINGS.map(setting);

const METRICS = { p50: 'p50', p99: 'p99' };
const TARGETS = Object.keys(METRICS).flatMap((metric) => [
  { metric, of: ONE, against: redis.memory, atMost: 2 },
  { metric, of: THOUSAND, against: redis.memory, atMost: 1.1 },
  { metric, of: MANY, against: redis.memory, atMost: 1.1 },
  ...[etcd, zookeeper].flatMap((against) =>
    [ONE, THOUSAND].map((of) => ({ metric, by: reg.disk, of, against, atLeast: 4, isInverse: true })),
  ),
  { metric, of: SHARED, against: reg.memory, than: MANY, atLeast: 10, isInverse: true },
]);

export const watch = {
  name: 'watch',
  title: 'From a change to the event of a watcher',
  about: `From the sending of a register (Redis: PUBLISH; etcd: put; ZooKeeper: setData) to the arrival of the event at each watcher,
one change after the other; a connection for each watcher unless it says otherwise. Everybody has changes before those that are
measured, with one watcher ${SETTINGS[0].warmup.toLocaleString('en')}. Redis keeps nothing of what it publishes, and
stands beside our memory log; etcd and ZooKeeper have a change on disk before they tell of it, and stand beside our log on disk.
What is published is as long as our event. ZooKeeper's watches are persistent, so that none has to be set again, and its event does
not have the new value in it; etcd's watches are streams of its JSON gateway. All watchers are read by one thread of the generator.
Where more is better in a target, it is how many times sooner ours is.`,
  columns: [
    { metric: 'p50', title: 'p50, ms', unit: 1000 },
    { metric: 'p99', title: 'p99, ms', unit: 1000 },
    { metric: 'last50', title: 'the last of all watchers, p50, ms', unit: 1000 },
    { metric: 'serverCpu', title: "server's CPU, µs/event" },
    { metric: 'resident', title: 'resident, MB', unit: 1e6 },
  ],
  charts: [{ title: 'From a change to the event, p50, ms', metric: 'p50', unit: 1000, isLogarithmic: true }],
  targets: TARGETS.map(({ metric, by = reg.memory, of, against, than = of, ...target }) => ({
    what: `${of}, ${METRICS[metric]}`,
    metric,
    ours: [by.name, WORK, of],
    theirs: [against.name, WORK, than],
    ...target,
  })),

  async measure(run) {
    await run.inTurns(5, ENTRANTS, (entrant) => measure(run, entrant));
  },
};

async function measure(run, { peer, requests, prepare, fits = () => true }) {
  for (const one of SETTINGS.filter(fits)) {
    if (run.isQuick && one.watchers > 1000) continue;
    run.progress(setting(one));
    const server = await peer.start();
    await prepare?.(server);
    const { watchers, connections, changes, warmup } = one;
    const sample = await generate('fanout', {
      ...{ port: server.port, server: server.pid, connections, each: watchers / connections },
      ...{ rounds: run.scaled(changes, 20), warmup: run.scaled(warmup, 4), first: 1 },
      ...requests,
    });
    run.add(peer, WORK, setting(one), { ...sample, resident: server.resident() });
    await server.end();
  }
}
