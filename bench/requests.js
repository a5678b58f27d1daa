/** Requests of one kind, sent as fast as they are answered, and what is reported of them. */

import { generate } from './generators.js';

export const CONNECTIONS = 50;

/** The figures of a run of generator/load.c, and the server's memory after it. */
export const COLUMNS = [
  { metric: 'rate', title: 'thousand requests/s', unit: 1000 },
  { metric: 'p50', title: 'p50, µs' },
  { metric: 'p99', title: 'p99, µs' },
  { metric: 'serverCpu', title: "server's CPU, µs/request" },
  { metric: 'resident', title: 'resident, MB', unit: 1e6 },
  { metric: 'generatorCpu', title: "generator's share of a core" },
];

export const settingOf = (pipeline) => `pipeline ${pipeline}`;

/** How many requests a second ours answers, beside another. */
export function rateTarget(ours, { work, against, pipeline, ...target }) {
  return {
    what: `${work}, ${settingOf(pipeline)}`,
    metric: 'rate',
    ours: [ours.name, work, settingOf(pipeline)],
    theirs: [against.name, work, settingOf(pipeline)],
    ...target,
  };
}

/** @param options of generator/load.c; connections are as many as everybody has unless they say so. */
export async function measureRequests(run, { peer, server, work, setting, ...options }) {
  run.progress(`${work}, ${setting}`);
  const details = { port: server.port, server: server.pid, connections: CONNECTIONS, ...options };
  const sample = await generate('load', details);
  run.add(peer, work, setting, { ...sample, resident: server.resident() });
}
