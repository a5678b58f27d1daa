/** Many clients in one process, each with a registration and a discovery of its service; see reconnect.js. */

import { connect } from '@reg/client';
import { dial, startAll } from './dial.js';
import { now } from './processes.js';

const { port, first, count, services } = JSON.parse(process.argv[2]);
const RENEWED = Buffer.from('"result":"');
const SYNCED = Buffer.from('{"type":"synced"');

/** For each client when its registration was answered and its watch was synced last, in ms since the Unix epoch. */
const registered = new Float64Array(count);
const synced = new Float64Array(count);
const lost = {};

await startAll(
  Array.from({ length: count }, (_, n) => n),
  start,
);
process.send('ready');

process.on('message', () => {
  const at = now();
  process.send({ at, registered: [...registered], synced: [...synced], lost });
});
process.on('disconnect', () => process.exit());

async function start(n) {
  const client = connect(`127.0.0.1:${port}`, { dial: () => heardDial(n) });
  const service = `service-${(first + n) % services}`;
  const registration = await client.register(service, `10.0.0.1:${first + n}`, { instance: `i-${first + n}` });
  registration.on('lost', ({ reason }) => {
    lost[reason] = (lost[reason] ?? 0) + 1;
  });
  await client.discover(service, { cache: false }).ready();
}

/** A connection on which is seen, beside the client, when the registry answered. */
function heardDial(n) {
  const socket = dial(port, first + n);
  socket.on('data', (bytes) => {
    if (bytes.includes(RENEWED)) registered[n] = now();
    if (bytes.includes(SYNCED)) synced[n] = now();
  });
  return socket;
}
