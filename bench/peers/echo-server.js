/** The limit: a server on node:net that gives everything back as it came, and does nothing else. */

import { createServer } from 'node:net';

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});
  socket.on('data', (bytes) => socket.write(bytes));
});
server.listen(Number(process.argv[2]), '127.0.0.1', 4096);
