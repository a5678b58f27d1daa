/**
 * The daemon against a model of what a registry should do, under any order of commands. `REG_MODEL_RUNS=10000` runs it
 * long, from a seed that it prints where it fails; without that it is the same every time.
 */

import fc from 'fast-check';
import { test } from 'vitest';
import { histories } from './model/arbitraries.js';
import { diskStorage, keptStorage } from './model/storage.js';
import { GRACE_MS, System } from './model/system.js';

const LONG_RUNS = Number(process.env['REG_MODEL_RUNS'] ?? 0);
const SEED = 20_260_101;

test.each([
  ['in memory', keptStorage, 150],
  ['on disk', diskStorage, 50],
])(
  'with a log %s the daemon does what the model does',
  async (_, storage, runs) => {
    const property = fc.asyncProperty(
      histories,
      fc.constantFrom(3, 12, 1000),
      fc.constantFrom(64, 16_384),
      async (commands, history, buffer) => {
        const system = await System.start({ storage: storage(GRACE_MS), history, buffer });
        try {
          await fc.asyncModelRun(() => ({ model: system.model, real: system }), commands);
        } finally {
          await system.close();
        }
      },
    );
    await fc.assert(property, LONG_RUNS > 0 ? { numRuns: LONG_RUNS } : { numRuns: runs, seed: SEED });
  },
  LONG_RUNS > 0 ? 24 * 3_600_000 : 120_000,
);
