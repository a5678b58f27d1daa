/**
 * What is registered can be watched, change by change, and found, in a view that is always up to date.
 *
 *     node examples/06-watch-and-find.js
 */

import { once } from 'node:events';
import { connect } from '@reg/client';

const client = connect(process.env.REG_ADDR ?? 'reg://127.0.0.1:6734', { keepProcessAlive: true });

// Two lines find a service: the second costs no request, and can be asked for every call.
const payments = client.discover('payments', { balance: 'round-robin', cache: false });
await payments.ready();
console.log(`found: ${payments.pick()?.instance ?? 'nothing yet'}`);

const a = await client.register('payments', '10.0.0.5:8080', { instance: 'a' });
await client.register('payments', '10.0.0.6:8080', { instance: 'b' });
while (payments.instances.length < 2) await once(payments, 'change');
const picks = [payments.pick(), payments.pick(), payments.pick(), payments.pick()];
console.log(
  `round robin: ${picks
    .map(({ address }) => address.host)
    .sort()
    .join(' ')}`,
);

// Every change, in order, each once; over reconnects and restarts too.
const seen = [];
for await (const event of client.watch('payments')) {
  if (event.type === 'state') seen.push(...event.services.map(({ instance }) => `${instance} is there`));
  if (event.type === 'synced') void a.setStatus('critical').then(() => a.close());
  if (event.type === 'change') seen.push(`${event.service.instance} ${event.change}: ${event.service.status ?? ''}`);
  if (event.change === 'destroyed') break;
}
for (const line of seen) console.log(line);

payments.close();
await client.close();

// Prints:
// found: nothing yet
// round robin: 10.0.0.5 10.0.0.5 10.0.0.6 10.0.0.6
// a is there
// b is there
// a updated: critical
// a destroyed:
