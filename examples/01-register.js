/**
 * Registers a service, finds it, and lets go of it again.
 *
 *     node examples/01-register.js
 */

import { connect } from '@reg/client';

const client = connect(process.env.REG_ADDR ?? 'reg://127.0.0.1:6734');
await client.register('payments', '10.0.0.5:8080', { ttl: 10 });

const { services } = await client.query('payments');
for (const { key, values, timeout } of services) console.log(`${key} is at ${values}, for ${timeout} s at a time`);

// Registrations end with the client that made them.
await client.close();

// Prints:
// payments is at 10.0.0.5:8080, for 10 s at a time
