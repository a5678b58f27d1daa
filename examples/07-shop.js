/**
 * A small real system: the services `orders` (one process) and `payments` (three), and this program, which calls
 * `orders` by name. While orders come in, one `payments` is killed without a word, and another asked to leave. No
 * request fails.
 *
 *     node examples/07-shop.js
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from '@reg/client';
import { createDispatcher } from '@reg/client/undici';
import { fetch } from 'undici';

const services = [];
const start = (service, ...args) => {
  const script = new URL(`shop/${service}.js`, import.meta.url).pathname;
  services.push(spawn(process.execPath, [script, ...args], { stdio: 'inherit' }));
  return services.at(-1);
};

const client = connect(process.env.REG_ADDR ?? 'reg://127.0.0.1:6734', { keepProcessAlive: true });
const dispatcher = createDispatcher(client);
let good = 0;
let failed = 0;

/** Resolves when so many instances of a service are there, and well. */
async function arrival(discovery, count) {
  const isWell = ({ status }) => status === 'passing';
  while (discovery.instances.filter(isWell).length < count) await once(discovery, 'change');
}

/** One caller of four: an order, and another when that is done. */
async function keepOrdering(orders) {
  for (let order = 1; order <= orders; order += 1) {
    const response = await fetch(`http://orders/${order}`, { dispatcher });
    if (response.ok && (await response.text()).includes('paid by')) good += 1;
    else failed += 1;
    if (good === 200) a.kill('SIGKILL');
    if (good === 500) b.kill('SIGTERM');
  }
}

start('orders');
const [a, b] = ['a', 'b', 'c'].map((name) => start('payments', name));
try {
  const payments = client.discover('payments', { cache: false });
  await arrival(payments, 3);
  await arrival(client.discover('orders', { cache: false }), 1);

  await Promise.all([1, 2, 3, 4].map(() => keepOrdering(250)));

  console.log(`${good} orders paid, ${failed} failed`);
  console.log(`left: ${payments.instances.map(({ instance }) => instance).join(', ')}`);
} finally {
  for (const service of services) service.kill('SIGKILL');
  await dispatcher.close();
  await client.close();
}

// Prints:
// 1000 orders paid, 0 failed
// left: c
