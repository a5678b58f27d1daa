/**
 * Everything at once: clients in many processes register and watch, while processes are killed, stopped, replaced and
 * cut off, and the daemon is killed, over and over. When that is over, everybody has to agree: every registration that
 * somebody owns is in the registry with its values, nothing else is, and every watcher sees just that.
 *
 * The short form runs with all tests. The long one:
 *
 *     REG_CONVERGENCE=long npx vitest run tests/convergence
 *
 * REG_CONVERGENCE_SEED repeats a schedule, REG_CONVERGENCE_REPORT names a file for the figures as JSON.
 */

import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Arena } from './convergence/arena.js';
import { Random } from './convergence/random.js';
import { describe, type Report } from './convergence/report.js';
import { makeSchedule, type Shape } from './convergence/schedule.js';
import { Storm } from './convergence/storm.js';
import { temporaryFolder } from './processes.js';

const LONG: Shape = { workers: 20, clients: 10, seconds: 60, faultEvery: 8 };
const SHORT: Shape = { workers: 6, clients: 4, seconds: 8, faultEvery: 3 };
const SHAPE = process.env['REG_CONVERGENCE'] === 'long' ? LONG : SHORT;
const SEED = Number(process.env['REG_CONVERGENCE_SEED'] ?? Date.now() % 1_000_000);

/** ms: in this everything has started, and has settled when the faults are over, or never will. */
const PATIENCE = 30_000;
/** ms, more than the ttl and the grace: what was agreed upon has to outlast whatever was still under way. */
const STAYS = 3500;
/** ms: beyond it, what nothing disturbed is no slow machine any more. */
const BEARABLE = 10_000;

test(
  `after ${SHAPE.seconds} s of faults the registry has what ${SHAPE.workers * SHAPE.clients} clients own, and all see it`,
  async () => {
    process.stdout.write(`convergence: REG_CONVERGENCE_SEED=${SEED}\n`);
    const schedule = makeSchedule(new Random(SEED), SHAPE);
    using folder = temporaryFolder();
    await using arena = await Arena.open(SHAPE, folder.path);
    for (const place of arena.places) place.start();
    expect(await arena.agreement(PATIENCE)).toEqual([]);

    const storm = new Storm(arena);
    await storm.run(schedule);
    const over = performance.now();
    expect(await arena.agreement(PATIENCE)).toEqual([]);
    const settled = performance.now() - over;
    await sleep(STAYS);
    expect(await arena.agreement(0)).toEqual([]);

    const report: Report = { seed: SEED, shape: SHAPE, done: storm.counts, settled, ...arena.outcome() };
    process.stdout.write(describe(report));
    const file = process.env['REG_CONVERGENCE_REPORT'];
    if (file !== undefined) writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
    expect(report.wrong).toEqual([]);
    for (const { missing, lingering } of [report.registry, report.views]) {
      expect(missing.undisturbed.ms).toBeLessThan(BEARABLE);
      expect(lingering.undisturbed.ms).toBeLessThan(BEARABLE);
    }
  },
  120_000 + SHAPE.seconds * 1000,
);
