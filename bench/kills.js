/**
 * How long callers go on choosing a service that was killed: from kill -9 of its process to the moment at which
 * `pick()` of a discovery in another process does not give it any more. `node bench/kills.js [KILLS]`; 50 unless given.
 */

import { connect } from '@reg/client';
import { Helper, now, percentiles, startDaemon, temporaryFolder } from './processes.js';

const KILLS = Number(process.argv[2] ?? 50);
/** Instances that live on, so that there is always something else to choose. */
const OTHERS = 3;

const daemon = await startDaemon({ port: 0, dataDir: temporaryFolder() });
const { port } = daemon.ready;
const others = await Promise.all(Array.from({ length: OTHERS }, (_, n) => start(`other-${n}`)));
const client = connect(`127.0.0.1:${port}`);
const payments = client.discover('payments', { cache: false });
await payments.ready();

const times = [];
for (let round = 0; round < KILLS; round += 1) {
  const instance = `victim-${round}`;
  const victim = await start(instance);
  await until(() => isPicked(instance));
  const killedAt = now();
  const gone = until(() => !isPicked(instance));
  const dead = victim.kill();
  times.push((await gone) - killedAt);
  await dead;
}
console.log(`From kill -9 of a service to its absence from another process's pick(), ${KILLS} kills:`);
console.log(percentiles(times));

payments.close();
await client.close();
await Promise.all([...others, daemon].map((helper) => helper.kill()));

function start(instance) {
  return Helper.start('service.js', { port, instance });
}

/** Whether it comes up when as many are picked as there are, twice over. */
function isPicked(instance) {
  for (let n = 2 * payments.instances.length; n > 0; n -= 1) if (payments.pick()?.instance === instance) return true;
  return false;
}

/** Resolves with the time at which `condition` holds; it is looked at when the view has changed. */
function until(condition) {
  return new Promise((resolve) => {
    const look = () => {
      if (!condition()) return;
      payments.off('change', look);
      resolve(now());
    };
    payments.on('change', look);
    look();
  });
}
