/**
 * Loaded before a daemon by `node --expose-gc --import`: when its parent asks, it says how much memory is in use that
 * no collection frees, and how many descriptors are open.
 */

import { readdirSync } from 'node:fs';
import { memoryUsage } from 'node:process';
import { setTimeout } from 'node:timers/promises';

const ROUNDS = 5;
/** Between two rounds: what a checkpoint has open for a moment is closed again. */
const ROUND_MS = 100;

process.on('message', async () => {
  let heap = Number.POSITIVE_INFINITY;
  let descriptors = Number.POSITIVE_INFINITY;
  // What is only weakly held, or waits to be finalised, takes more than one collection.
  for (let round = 0; round < ROUNDS; round += 1) {
    globalThis.gc?.();
    await setTimeout(ROUND_MS);
    heap = Math.min(heap, memoryUsage().heapUsed);
    descriptors = Math.min(descriptors, readdirSync('/proc/self/fd').length);
  }
  const { external, rss } = memoryUsage();
  process.send?.({ heap, external, rss, descriptors });
});
