/** What it costs a program to be told where a service is, each time that it asks. */

import { connect } from '@reg/client';
import { Redis } from 'ioredis';
import * as redis from '../peers/redis.js';
import * as reg from '../peers/reg.js';

const WORK = 'where is the service?';
const INSTANCES = 10;
const setting = `${INSTANCES} instances`;
const ours = [reg.memory.name, WORK, setting];

const ENTRANTS = [
  { peer: reg.memory, measure: pickOften },
  { peer: redis.memory, measure: getOften },
];

export const pick = {
  name: 'pick',
  title: 'pick()',
  about: `\`discover().pick()\` of a service of ${INSTANCES} instances, in a program that watches it, beside a GET
of one key through ioredis, one after the other: what a program does that asks each time. Each was done as often before it counted.`,
  columns: [{ metric: 'ns', title: 'ns' }],
  charts: [{ title: 'To be told where a service is, ns', metric: 'ns', isLogarithmic: true }],
  targets: [
    { what: 'pick()', metric: 'ns', ours, atMost: 200, unitName: 'ns' },
    {
      what: 'pick(), how many times sooner',
      metric: 'ns',
      ours,
      theirs: [redis.memory.name, WORK, setting],
      isInverse: true,
    },
  ],

  async measure(run) {
    await run.inTurns(7, ENTRANTS, async ({ peer, measure }) => {
      const server = await peer.start();
      run.add(peer, WORK, setting, { ns: await measure(run, server) });
      await server.end();
    });
  },
};

async function pickOften(run, { port }) {
  const client = connect(`127.0.0.1:${port}`);
  for (let n = 0; n < INSTANCES; n += 1) await client.register('payments', `10.0.0.1:${n + 1}`, { instance: `i-${n}` });
  const payments = client.discover('payments', { cache: false });
  await payments.ready();
  const times = run.scaled(10_000_000, 100_000);
  const seen = new Set();
  let last;
  let repeated = 0;
  const pickAll = () => {
    for (let n = 0; n < times; n += 1) {
      const picked = payments.pick();
      if (picked === last) repeated += 1;
      last = picked;
    }
  };
  for (let n = 0; n < 1000; n += 1) seen.add(payments.pick()?.instance);
  if (seen.size !== INSTANCES) throw new Error(`${seen.size} instances were picked, of ${INSTANCES}`);
  pickAll();
  const ns = time(pickAll) / times;
  if (repeated > times / 2) throw new Error('one instance was picked again and again');
  payments.close();
  await client.close();
  return ns;
}

async function getOften(run, { port }) {
  const client = new Redis({ port, host: '127.0.0.1' });
  await client.set('payments', '10.0.0.1:1', 'EX', 600);
  const times = run.scaled(20_000, 1000);
  const getAll = async () => {
    for (let n = 0; n < times; n += 1)
      if ((await client.get('payments')) !== '10.0.0.1:1') throw new Error('wrong value');
  };
  await getAll();
  const start = process.hrtime.bigint();
  await getAll();
  const ns = Number(process.hrtime.bigint() - start) / times;
  client.disconnect();
  return ns;
}

/** ns that it takes. */
function time(action) {
  const start = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - start);
}
