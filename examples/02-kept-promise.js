/**
 * A registration is kept for as long as it is not closed: it heartbeats, registers again after the daemon was away,
 * and tells when the promise was broken for a while.
 *
 *     node examples/02-kept-promise.js
 */

import { once } from 'node:events';
import { connect } from '@reg/client';

// Nothing else keeps this program running while it waits for a heartbeat.
const client = connect(process.env.REG_ADDR ?? 'reg://127.0.0.1:6734', { keepProcessAlive: true });
const registration = await client.register('orders', '10.0.0.6:8080', { ttl: 1, instance: 'orders-1' });
registration.on('lost', ({ reason }) => console.log(`not registered any more: ${reason}`));
registration.on('recovered', () => console.log('registered again'));

// Busy with one thing for longer than the ttl: no heartbeat can go out. This process is the first to know.
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000);
await once(registration, 'recovered');

// What is registered can change on the way.
await registration.update('10.0.0.6:9090');
const { services } = await client.query('orders');
console.log(`orders is now at ${services[0].values}`);

// Somebody ends it, which is for good: the next heartbeat tells.
const lost = once(registration, 'lost');
await client.destroy('orders', { instance: 'orders-1' });
await lost;
console.log(`the registration is ${registration.state}`);

await client.close();

// Prints:
// not registered any more: blocked
// registered again
// orders is now at 10.0.0.6:9090
// not registered any more: destroyed
// the registration is closed
