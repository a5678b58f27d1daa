/**
 * How long a change takes to its watchers, and what they cost the daemon: `node bench/watchers.js [--memory]`. Times are
 * from the writing of the `register` to the arrival of the event, at each watcher in each round; the watchers are
 * bare sockets in a process of their own, which has its share in them. The daemon keeps its log on disk (each change is
 * synced before it is told) unless it is told --memory. Memory is that of the daemon after three collections.
 */

import { once } from 'node:events';
import { connect } from 'node:net';
import { Helper, now, percentiles, startDaemon, temporaryFolder } from './processes.js';

const storage = process.argv.includes('--memory') ? { storage: 'memory' } : {};

console.log(`From register to a watcher's event, log ${storage.storage ?? 'on disk'}:`);
await measure('1 watcher', { connections: 1, each: 1, rounds: 300 });
await measure('1,000 watchers, a connection each', { connections: 1000, each: 1, rounds: 60 });
await measure('10,000 watchers, a connection each', { connections: 10_000, each: 1, rounds: 30 });
await measure('10,000 watchers on 100 connections', { connections: 100, each: 100, rounds: 30 });

async function measure(title, { connections, each, rounds }) {
  const daemon = await startDaemon({ port: 0, dataDir: temporaryFolder(), ...storage });
  const watchers = await Helper.start('watch-load.js', daemon.ready);
  const empty = await daemon.ask('memory');
  await watchers.ask('connect', { connections });
  const connected = await daemon.ask('memory');
  await watchers.ask('watch', { each });
  const watching = await daemon.ask('memory');

  const registrar = connect(daemon.ready.port, '127.0.0.1');
  await once(registrar, 'connect');
  const times = [];
  const replies = [];
  for (let round = 0; round < rounds; round += 1) {
    await watchers.ask('arm');
    const sentAt = now();
    registrar.write(`{"type":"register","key":"payments","values":{"host":"10.0.0.5","port":${round}}}\r\n`);
    await once(registrar, 'data');
    replies.push(now() - sentAt);
    for (const at of await watchers.ask('arrivals')) times.push(at - sentAt);
  }
  console.log(`  ${title}, ${rounds} rounds: ${percentiles(times)}; its own reply: ${percentiles(replies)}`);
  if (connections * each >= 10_000) {
    console.log(`    memory: ${cost(empty, connected, connections)} for a connection;`);
    console.log(`            ${cost(connected, watching, connections * each)} more for a watch.`);
  }
  registrar.destroy();
  await Promise.all([watchers.kill(), daemon.kill()]);
}

/** What one of so many costs, in bytes. */
function cost(before, after, count) {
  const share = (field) => Math.round((after[field] - before[field]) / count).toLocaleString('en');
  return `resident ${share('rss')} B, heap ${share('heap')} B, outside the heap ${share('external')} B`;
}
