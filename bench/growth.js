/** What the parts have in common that measure how the cost of one operation grows with how much there is. */

import * as reg from './peers/reg.js';

/** Less than so many bytes, of so many things, are lost in what the heap, and the system, do by themselves. */
const ENOUGH = {
  used: (bytes) => bytes >= 1e6,
  heap: (bytes) => bytes >= 1e6,
  resident: (_, count) => count >= 10_000,
};

/**
 * What each of so many takes of memory, in bytes, where there are enough of them to say so.
 *
 * @param before, after what `memory()` of `reg.collecting` said.
 */
export function memoryOfEach(before, after, count) {
  const kinds = Object.keys(ENOUGH).filter((kind) => ENOUGH[kind](after[kind] - before[kind], count));
  return Object.fromEntries(kinds.map((kind) => [kind, (after[kind] - before[kind]) / count]));
}

/** By how much the cost of each of these has grown, from the first setting to the last. */
export function growthTargets(series, first, last) {
  return series.map(({ work, metric, title, from = first }) => ({
    what: `${work}, ${title}: ${last}`,
    metric,
    ours: [reg.memory.name, work, last],
    theirs: [reg.memory.name, work, from],
  }));
}
