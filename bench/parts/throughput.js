/** Requests a second of one kind, in memory, beside Redis, the article's server, and the least that node:net can do. */

import { generate } from '../generators.js';
import { article, query as articleQuery, register as articleRegister } from '../peers/article.js';
import { echo, echoOfQuery, echoOfRegister } from '../peers/echo.js';
import * as redis from '../peers/redis.js';
import * as reg from '../peers/reg.js';
import { COLUMNS, CONNECTIONS, measureRequests, rateTarget, settingOf } from '../requests.js';

const PIPELINES = [1, 16, 100];
/** Numbers that renewals and queries go around in. */
const KEYS = 10_000;
/** Requests that are measured, by pipeline, after so many that are not; and how long a run goes on at most. */
const TOTAL = { 1: 200_000, 16: 400_000, 100: 600_000 };
const WARMUP = 20_000;
/** What answers a hundred times slower, and has nothing to warm up, need not be asked as much. */
const WARMUP_OF_ARTICLE = 200;
const SECONDS = 3;

/** What one server is asked, in this order; `before` is there before anything is measured. */
const ENTRANTS = [
  { peer: reg.memory, works: { 'new registration': reg.register } },
  { peer: redis.memory, works: { 'new registration': redis.set } },
  { peer: article, warmup: WARMUP_OF_ARTICLE, works: { 'new registration': articleRegister } },
  { peer: reg.memory, before: reg.register, works: { renewal: reg.renewal, query: reg.query } },
  { peer: redis.memory, before: redis.set, works: { renewal: redis.set, query: redis.get } },
  {
    peer: article,
    before: articleRegister,
    warmup: WARMUP_OF_ARTICLE,
    works: { renewal: articleRegister, query: articleQuery },
  },
  { peer: echo, works: { renewal: echoOfRegister, query: echoOfQuery } },
];

const TARGETS = [
  ...['new registration', 'renewal'].flatMap((work) => [
    { work, against: redis.memory, pipeline: 16, atLeast: 1 },
    { work, against: redis.memory, pipeline: 100, atLeast: 1 },
  ]),
  { work: 'query', against: redis.memory, pipeline: 16, atLeast: 0.9, stretch: 1 },
  { work: 'query', against: redis.memory, pipeline: 100, atLeast: 1 },
  { work: 'renewal', against: echo, pipeline: 1, atLeast: 0.9 },
  { work: 'query', against: echo, pipeline: 1, atLeast: 0.9 },
  ...['new registration', 'renewal', 'query'].flatMap((work) =>
    PIPELINES.map((pipeline) => ({ work, against: article, pipeline })),
  ),
];

export const throughput = {
  name: 'throughput',
  title: 'Throughput in memory',
  about: `${CONNECTIONS} connections, each with so many requests under way as the pipeline says; a batch is sent when all replies
to the one before have come. A new registration is of a service that was not there (Redis: SET EX of a new key), a
renewal the same request again (SET EX of a key that is there), a query of one service (GET); renewals and queries go
around ${KEYS.toLocaleString('en')} services in a scattered order. Keys and values are equally long everywhere. ${WARMUP.toLocaleString('en')} requests come before those
that count (${WARMUP_OF_ARTICLE} to the article's server). The echo gives back the very bytes of our requests. Ratios are of the
requests a second of one round.`,
  columns: COLUMNS,
  charts: ['new registration', 'renewal', 'query'].map((work) => ({
    title: `${work[0].toUpperCase()}${work.slice(1)}, thousand requests a second`,
    metric: 'rate',
    unit: 1000,
    work,
  })),
  targets: TARGETS.map((target) => rateTarget(reg.memory, target)),

  async measure(run) {
    await run.inTurns(7, ENTRANTS, (entrant) => measure(run, entrant));
  },
};

async function measure(run, { peer, before, works, warmup: fullWarmup = WARMUP }) {
  const server = await peer.start();
  if (before !== undefined) {
    await generate('load', { port: server.port, connections: CONNECTIONS, total: KEYS, ...before });
  }
  const warmup = run.scaled(fullWarmup, 200);
  let first = 0;
  for (const [work, requests] of Object.entries(works)) {
    for (const pipeline of PIPELINES) {
      const total = run.scaled(TOTAL[pipeline], 2000);
      const numbers = work === 'new registration' ? { first } : { keys: KEYS };
      const limits = { warmup, total, seconds: SECONDS };
      const what = { peer, server, work, setting: settingOf(pipeline) };
      await measureRequests(run, { ...what, ...requests, ...numbers, ...limits, pipeline });
      first += warmup + total;
    }
  }
  await server.end();
}
