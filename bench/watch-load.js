/**
 * Watchers on bare sockets, many in one process: what arrives is counted and timed, and not parsed. They are spread over
 * loopback addresses, as one has not ports enough for all. See watchers.js.
 */

import { once } from 'node:events';
import { connect } from 'node:net';
import { now } from './processes.js';

const { port } = JSON.parse(process.argv[2]);
const LF = 10;
/** Connections of one loopback address: the system takes long to find a port for the next where there are thousands. */
const PER_ADDRESS = 100;
/** How many are being opened at once. */
const AT_ONCE = 200;
const MARK = Buffer.from('{"type":"change"');

const sockets = [];
let arrivals = [];
let expected = 0;
let onArrived;

const orders = {
  async connect({ connections }) {
    while (sockets.length < connections) {
      const count = Math.min(AT_ONCE, connections - sockets.length);
      sockets.push(...(await Promise.all(Array.from({ length: count }, (_, n) => open(sockets.length + n)))));
    }
  },

  /** Begins `each` watches on every connection, and waits until all are synced. */
  async watch({ each }) {
    const line = '{"type":"watch","key":"payments"}\r\n'.repeat(each);
    for (const socket of sockets) {
      const synced = lines(socket, each, Buffer.from('{"type":"synced"'));
      socket.write(line);
      await synced;
    }
    for (const socket of sockets) socket.on('data', (bytes) => arrive(bytes));
    expected = sockets.length * each;
  },

  /** Forgets what has arrived. The next `arrivals` tells of one change. */
  arm() {
    arrivals = [];
  },

  /** When the change arrived at each of the watches, in ms since the Unix epoch. */
  async arrivals() {
    if (arrivals.length < expected) {
      await new Promise((resolve) => {
        onArrived = resolve;
      });
    }
    return arrivals;
  },
};

process.on('message', async ({ order, ...details }) => process.send((await orders[order](details)) ?? 'done'));
process.on('disconnect', () => process.exit());
process.send('ready');

async function open(n) {
  const localAddress = `127.0.1.${1 + Math.floor(n / PER_ADDRESS)}`;
  const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
  await once(socket, 'connect');
  socket.on('error', (error) => {
    throw error;
  });
  return socket;
}

function arrive(bytes) {
  const at = now();
  for (let count = starts(bytes, MARK); count > 0; count -= 1) arrivals.push(at);
  if (arrivals.length >= expected) onArrived?.();
}

/** Resolves when so many lines with this beginning have come. */
function lines(socket, count, mark) {
  return new Promise((resolve) => {
    let left = count;
    const read = (bytes) => {
      left -= starts(bytes, mark);
      if (left > 0) return;
      socket.off('data', read);
      resolve();
    };
    socket.on('data', read);
  });
}

/** How many lines of a chunk begin so. A line whose beginning is cut by the end of the chunk counts in neither. */
function starts(bytes, mark) {
  let count = 0;
  for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + mark.length)) {
    if (at === 0 || bytes[at - 1] === LF) count += 1;
  }
  return count;
}
