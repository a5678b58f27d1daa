/** Ten thousand connections for ten minutes: does everybody get what they should, and does nothing grow? */

import * as reg from '../peers/reg.js';
import { Population } from '../population.js';
import { endAll, Helper, machineCpu, now, ownCpu, pause } from '../processes.js';
import { Witness } from '../witness.js';

const CONNECTIONS = 10_000;
const MINUTES = 10;
/** Seconds. A client sends its heartbeat every third of it. */
const TTL = 30;
/** Seconds between two changes of an instance that changes. */
const CHANGE_EVERY = 10;
/** ms between two requests of the prober. */
const PROBE_EVERY = 20;
/** Processes that share the clients. */
const SHARES = 4;
/** ms between two looks, and until it is given up that everybody was told everything. */
const LOOK_EVERY = 500;
const PATIENCE = 30_000;

const PROBES = {
  query: 'query of a service',
  heartbeat: 'heartbeat',
  register: 'register, on disk',
  event: 'from a register to its event',
};
const DAEMON = 'the daemon';
const WRONG = 'what must not be';
const FAULTS = [
  { metric: 'vanished', title: 'instances of live connections that vanished' },
  { metric: 'missed', title: 'events that a watch missed' },
  { metric: 'surplus', title: 'events that were not to come' },
  { metric: 'differing', title: 'views that differ from the registry in the end' },
  { metric: 'errors', title: 'errors' },
];

const setting = (connections, minutes) => `${connections.toLocaleString('en')} connections, ${minutes} min`;

export const load = {
  name: 'load',
  title: 'Many connections for minutes on end',
  onlyNamed: true,
  about: `Each connection is a client of its own (\`@reg/client\`) with an instance that lives by it, a ttl of ${TTL} s and its heartbeats, and a watch
of a service of ten; one in fifty watches a tenth of all services, too. A tenth of the instances changes, each every ${CHANGE_EVERY} s: it is
updated, destroyed and registered anew, or its connection is reset and comes back. The log is on disk, and everything synced.
A prober asks something every ${PROBE_EVERY} ms and takes the time, from another process; it counts as one of the clients here. They
share the machine with the daemon, and with whatever else runs on it: where that takes much, all times are longer. In the end every watch of every client is compared with what the registry went through, event by event, and with what it has.`,
  tables: [
    [
      { metric: 'p50', title: 'p50, ms', unit: 1000 },
      { metric: 'p99', title: 'p99, ms', unit: 1000 },
      { metric: 'max', title: 'the longest, ms', unit: 1000 },
      { metric: 'count', title: 'how many' },
    ],
    [
      { metric: 'serverShare', title: 'share of a core, %', unit: 0.01 },
      { metric: 'resident', title: 'resident, MB', unit: 1e6 },
      { metric: 'heap', title: 'of it heap, MB', unit: 1e6 },
      { metric: 'renewals', title: 'heartbeats/s' },
      { metric: 'changes', title: 'changes/s' },
      { metric: 'events', title: 'events/s' },
      { metric: 'query99', title: 'query, p99, ms', unit: 1000 },
      { metric: 'event99', title: 'to its event, p99, ms', unit: 1000 },
      { metric: 'stalled', title: 'stalled, ms' },
      { metric: 'clientShare', title: "clients' share of a core, %", unit: 0.01 },
      { metric: 'othersShare', title: 'of everything else on the machine, %', unit: 0.01 },
    ],
    FAULTS,
  ],
  charts: [
    chart('Memory of the daemon, MB, by minutes', [
      { name: 'resident', work: DAEMON, metric: 'residentMB' },
      { name: 'of it heap', work: DAEMON, metric: 'heapMB' },
    ]),
    chart('p99 of each minute, ms, by minutes', [
      { name: 'query', work: DAEMON, metric: 'query99ms' },
      { name: 'from a register to its event', work: DAEMON, metric: 'event99ms' },
    ]),
  ],
  targets: FAULTS.map(({ metric, title }) => ({
    what: `${setting(CONNECTIONS, MINUTES)}: ${title}`,
    metric,
    ours: [reg.disk.name, WRONG, setting(CONNECTIONS, MINUTES)],
    atMost: 0,
    unitName: '',
  })),

  async measure(run) {
    await run.inTurns(1, [{ peer: reg.disk }], ({ peer }) => measure(run, peer));
  },
};

function chart(title, lines) {
  return { title, x: 'minutes', lines };
}

/** Whatever goes wrong is a fault, and none that doing it again would mend. */
async function measure(run, peer) {
  const { connections = run.scaled(CONNECTIONS, 300), minutes = run.scaled(MINUTES, 0.1) } = run.asked;
  const server = await peer.start();
  const witness = new Witness(server.port);
  try {
    await carry(run, peer, { server, witness, connections, minutes });
  } catch (error) {
    run.fault(error.message);
  }
  await witness.close();
  await endAll();
}

async function carry(run, peer, { server, witness, connections, minutes }) {
  const { port } = server;
  run.progress('the clients connect', { isMilestone: true });
  const setup = { port, connections, ttl: run.scaled(TTL, 6), changeEvery: run.scaled(CHANGE_EVERY, 2) };
  const crowds = await Promise.all(
    Array.from({ length: SHARES }, (_, share) => Helper.start('crowd.js', { ...setup, share, shares: SHARES })),
  );
  const probe = await Helper.start('probe.js', { port, connections, every: run.scaled(PROBE_EVERY, 5) });
  const state = { server, witness, crowds, probe };

  witness.begin();
  await askAll(crowds, 'begin');
  const laps = Math.ceil(minutes);
  const length = minutes / laps;
  for (let lap = 1; lap <= laps; lap += 1) {
    const at = Number((lap * length).toFixed(2));
    const sample = await measureLap(run, state, length, `minute ${at} of ${minutes}`);
    run.add(peer, DAEMON, `minute ${at}`, { minutes: at, ...sample });
  }

  run.progress('everything is compared', { isMilestone: true });
  await askAll(crowds, 'stop');
  const { figures, ...probed } = await probe.ask('stop');
  for (const [kind, work] of Object.entries(PROBES)) run.add(peer, work, setting(connections, minutes), figures[kind]);
  const wrong = await settle(run, state, new Population(connections), probed);
  run.add(peer, WRONG, setting(connections, minutes), wrong);
}

/** Waits so many minutes, and tells how it goes. */
async function measureLap(run, state, minutes, title) {
  const first = await look(state);
  const end = first.at + minutes * 60_000;
  let last = first;
  while (last.at < end) {
    await pause(Math.min(1000, end - last.at));
    const next = await look(state);
    run.progress(`${title}: ${describe(rates(last, next), next)}`);
    last = next;
  }
  const sample = rates(first, last);
  run.progress(`${title}: ${describe(sample, last)}`, { isMilestone: true });
  const { query, event } = await state.probe.ask('lap');
  const { resident, heap } = last.memory;
  return {
    ...{ ...sample, resident, heap, residentMB: resident / 1e6, heapMB: heap / 1e6 },
    ...{ query99: query.p99, event99: event.p99, query99ms: query.p99 / 1000, event99ms: event.p99 / 1000 },
  };
}

/** What everything has come to since the start. */
async function look({ server, witness, crowds, probe }) {
  const counts = await askAll([...crowds, probe], 'count');
  const { connections, renewals, stalled, memory } = await witness.status();
  const cpu = server.cpu();
  const clientCpu = sum(counts, 'cpu') + ownCpu();
  return {
    ...{ at: now(), connections, renewals, stalled, memory, changes: witness.changes, events: sum(counts, 'events') },
    ...{ cpu, clientCpu, othersCpu: machineCpu() - cpu - clientCpu },
  };
}

/** Between two looks, for each second. */
function rates(first, last) {
  const seconds = (last.at - first.at) / 1000;
  const each = (field) => (last[field] - first[field]) / seconds;
  return {
    ...{
      serverShare: each('cpu') / 1000,
      clientShare: each('clientCpu') / 1000,
      othersShare: each('othersCpu') / 1000,
    },
    ...{ renewals: each('renewals'), changes: each('changes'), events: each('events') },
    stalled: last.stalled - first.stalled,
  };
}

function describe({ renewals, changes, events, serverShare }, { connections, memory }) {
  const share = `${Math.round(100 * serverShare)} % of a core, ${Math.round(memory.resident / 1e6)} MB`;
  return `${connections} connections, ${[renewals, changes, events].map(Math.round).join(' / ')} heartbeats/changes/events a second, ${share}`;
}

/** Looks until everybody was told everything, or nobody waits for it any more. What is wrong then is a fault. */
async function settle(run, { witness, crowds }, population, probed) {
  const giveUpAt = now() + PATIENCE;
  for (;;) {
    const services = await witness.truth();
    const watches = await askAll(crowds, 'compare', { services });
    const isSettled = watches.every(({ missed, differing }) => missed + differing === 0);
    if (isSettled || now() > giveUpAt) return judge(run, { services, watches, witness, probed, population });
    await pause(LOOK_EVERY);
  }
}

function judge(run, { services, watches, witness, probed, population }) {
  const gone = population
    .numbers()
    .filter((n) => services[population.serviceOf(n)]?.instances[population.instanceOf(n)] === undefined)
    .map((n) => population.instanceOf(n));
  const errors = [...watches, witness, probed].flatMap((one) => Object.entries(one.errors));
  const wrong = {
    vanished: new Set([...witness.touched, ...gone]).size + probed.short,
    missed: sum(watches, 'missed') + witness.gaps + probed.missing,
    surplus: sum(watches, 'surplus'),
    differing: sum(watches, 'differing'),
    errors: errors.reduce((all, [, count]) => all + count, 0),
  };
  for (const { metric, title } of FAULTS) if (wrong[metric] > 0) run.fault(`${title}: ${wrong[metric]}`);
  for (const [error, count] of errors) run.fault(`${error} (${count} times)`);
  return wrong;
}

function sum(samples, field) {
  return samples.reduce((all, sample) => all + sample[field], 0);
}

function askAll(helpers, order, details) {
  return Promise.all(helpers.map((helper) => helper.ask(order, details)));
}
