/** Many clients in one process. */

import { connect } from 'node:net';

/** How many start at once. */
const AT_ONCE = 50;
/** Connections of one loopback address: the system takes long to find a port for the next where there are thousands. */
const PER_ADDRESS = 100;

/** The connection of the n-th client. */
export function dial(port, n) {
  const address = 257 + Math.floor(n / PER_ADDRESS);
  const localAddress = `127.0.${address >> 8}.${address & 255}`;
  return connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
}

/** Resolves when each of them was started. */
export async function startAll(items, start) {
  for (let at = 0; at < items.length; at += AT_ONCE) await Promise.all(items.slice(at, at + AT_ONCE).map(start));
}
