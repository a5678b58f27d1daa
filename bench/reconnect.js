/**
 * Ten thousand clients, each with a registration and a discovery, lose their daemon to kill -9 and find it again:
 * `node bench/reconnect.js [CLIENTS]`. The times are from the kill to the moment at which the last of them had its
 * registration answered and its watch synced. A registration that came back as another generation, or not, was lost.
 */

import { connect } from '@reg/client';
import { Helper, now, percentiles, startDaemon, temporaryFolder } from './processes.js';

const CLIENTS = Number(process.argv[2] ?? 10_000);
const PROCESSES = 4;
/** Each has ten instances, which is what a client sees. */
const SERVICES = CLIENTS / 10;
/** ms between two looks, and until it is given up. */
const LOOK_EVERY = 500;
const PATIENCE = 120_000;

const dataDir = temporaryFolder();
let daemon = await startDaemon({ port: 0, dataDir });
const { port } = daemon.ready;
const loads = await Promise.all(
  Array.from({ length: PROCESSES }, (_, n) => {
    const count = CLIENTS / PROCESSES;
    return Helper.start('client-load.js', { port, first: n * count, count, services: SERVICES });
  }),
);
const before = await generations();
console.log(`${before.size} of ${CLIENTS} clients have registered.`);

const killedAt = now();
await daemon.kill();
daemon = await startDaemon({ port, dataDir });
const listeningAt = now();
const reports = await allBack();
const times = (field) => reports.flatMap((report) => report[field]).map((at) => at - killedAt);
const after = await generations();
const changed = [...before].filter(([instance, generation]) => after.get(instance) !== generation).length;
console.log(`The daemon took connections again ${Math.round(listeningAt - killedAt)} ms after kill -9.`);
console.log(`Registered again: ${percentiles(times('registered'))} after the kill.`);
console.log(`Watch synced: ${percentiles(times('synced'))} after the kill.`);
console.log(`Lost registrations: ${changed}; what clients heard: ${JSON.stringify(reports.map(({ lost }) => lost))}`);
await Promise.all([...loads, daemon].map((helper) => helper.kill()));

/** What every client says once all have been answered since the kill. */
async function allBack() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    const answers = await Promise.all(loads.map((load) => load.ask('report')));
    const all = answers.flatMap(({ registered, synced }) => [...registered, ...synced]);
    const missing = all.filter((at) => at < killedAt).length;
    if (missing === 0) return answers;
    if (now() - killedAt > PATIENCE) throw new Error(`${missing} answers are still to come`);
  }
}

/** The generation of every instance. */
async function generations() {
  const client = connect(`127.0.0.1:${port}`);
  const { services } = await client.queryAll({ status: 'any' });
  await client.close();
  return new Map(services.map(({ instance, generation }) => [instance, generation]));
}
