/** A service that registers itself and then waits for its end; see kills.js. */

import { connect } from '@reg/client';

const { port, instance } = JSON.parse(process.argv[2]);
const client = connect(`127.0.0.1:${port}`, { keepProcessAlive: true });
await client.register('payments', '127.0.0.1:8080', { instance });
process.send({ instance });
process.on('disconnect', () => process.exit());
