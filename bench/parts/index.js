/** The parts of the benchmark, in the order in which they are measured and reported. */

import { durable } from './durable.js';
import { expiry } from './expiry.js';
import { heartbeats } from './heartbeats.js';
import { memory } from './memory.js';
import { pick } from './pick.js';
import { startup } from './startup.js';
import { throughput } from './throughput.js';
import { watch } from './watch.js';

export const parts = [throughput, durable, watch, expiry, memory, heartbeats, startup, pick];
