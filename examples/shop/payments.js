/** The service `payments`: three lines keep it registered, and a fourth lets it leave politely. */

import { createServer } from 'node:http';
import { connect, handleSignals } from '@reg/client';

const server = createServer((_, response) => {
  setTimeout(() => response.end(`paid by ${process.argv[2]}`), 5);
});

server.listen(0, '127.0.0.1', async () => {
  const client = connect(process.env.REG_ADDR ?? 'reg://127.0.0.1:6734');
  await client.register('payments', `127.0.0.1:${server.address().port}`, { instance: process.argv[2], ttl: 5 });
  handleSignals(client);
});
