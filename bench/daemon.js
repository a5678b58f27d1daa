/** A daemon in a process of its own, which tells its memory after a collection where it runs with --expose-gc. */

import { getHeapStatistics } from 'node:v8';
import { createServer } from '@reg/server';

const server = createServer(JSON.parse(process.argv[2]));
const { port } = await server.listen();
process.send({ port, heapLimit: getHeapStatistics().heap_size_limit });

process.on('message', async () => {
  // A collection may let go of what only the next one can take.
  for (let round = 0; round < 3; round += 1) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  process.send({ rss, heap: heapUsed, external });
});
process.on('disconnect', () => process.exit());
