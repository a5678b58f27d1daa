/** The parts of the benchmark, in the order in which they are measured and reported. */

import { connections } from './connections.js';
import { durable } from './durable.js';
import { expiry } from './expiry.js';
import { heartbeats } from './heartbeats.js';
import { instances } from './instances.js';
import { load } from './load.js';
import { memory } from './memory.js';
import { pick } from './pick.js';
import { startup } from './startup.js';
import { throughput } from './throughput.js';
import { watch } from './watch.js';
import { watchers } from './watchers.js';

export const parts = [
  ...[throughput, durable, watch, expiry, memory, heartbeats, startup, pick],
  ...[instances, connections, watchers, load],
];
