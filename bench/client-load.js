/** Many clients in one process, each with a registration and a discovery of its service; see reconnect.js. */

import { connect as connectSocket } from 'node:net';
import { connect } from '@reg/client';
import { now } from './processes.js';

const { port, first, count, services } = JSON.parse(process.argv[2]);
/** How many start at once. */
const AT_ONCE = 50;
/** Connections of one loopback address: the system takes long to find a port for the next where there are thousands. */
const PER_ADDRESS = 100;
const RENEWED = Buffer.from('"result":"');
const SYNCED = Buffer.from('{"type":"synced"');

/** For each client when its registration was answered and its watch was synced last, in ms since the Unix epoch. */
const registered = new Float64Array(count);
const synced = new Float64Array(count);
const lost = {};

for (let n = 0; n < count; n += AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - n) }, (_, k) => start(n + k)));
}
process.send('ready');

process.on('message', () => {
  const at = now();
  process.send({ at, registered: [...registered], synced: [...synced], lost });
});
process.on('disconnect', () => process.exit());

async function start(n) {
  const client = connect(`127.0.0.1:${port}`, { dial: () => dial(n) });
  const service = `service-${(first + n) % services}`;
  const registration = await client.register(service, `10.0.0.1:${first + n}`, { instance: `i-${first + n}` });
  registration.on('lost', ({ reason }) => {
    lost[reason] = (lost[reason] ?? 0) + 1;
  });
  await client.discover(service, { cache: false }).ready();
}

/** A connection on which is seen, beside the client, when the registry answered. */
function dial(n) {
  const localAddress = `127.0.1.${1 + Math.floor((first + n) / PER_ADDRESS)}`;
  const socket = connectSocket({ port, host: '127.0.0.1', localAddress, noDelay: true });
  socket.on('data', (bytes) => {
    if (bytes.includes(RENEWED)) registered[n] = now();
    if (bytes.includes(SYNCED)) synced[n] = now();
  });
  return socket;
}
