/**
 * A registry inside this process, on a free port and in memory: for tests of what uses one.
 *
 *     node examples/04-embedded.js
 */

import { connect } from '@reg/client';
import { createServer } from '@reg/server';

const server = createServer({ port: 0, storage: 'memory' });
const client = connect(await server.listen());

await client.register('mail', 'smtp://10.0.2.1:25', { instance: null });
const { log, durability } = await client.hello();
console.log(`a ${log} log, durability ${durability}`);

await client.close();
await server.close();

// Prints:
// a memory log, durability none
