/** The service `orders`: for every order it asks `payments`, by name, for the money. */

import { createServer } from 'node:http';
import { connect, handleSignals } from '@reg/client';
import { createDispatcher } from '@reg/client/undici';
import { fetch } from 'undici';

const client = connect(process.env.REG_ADDR ?? 'reg://127.0.0.1:6734');
const dispatcher = createDispatcher(client);

const server = createServer(async (request, response) => {
  const paid = await fetch(`http://payments/pay${request.url}`, { dispatcher });
  response.writeHead(paid.status).end(`order ${request.url.slice(1)}: ${await paid.text()}`);
});

server.listen(0, '127.0.0.1', async () => {
  await client.register('orders', `127.0.0.1:${server.address().port}`, { ttl: 5 });
  handleSignals(client);
});
