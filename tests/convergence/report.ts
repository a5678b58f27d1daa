/** What is told of a run, for people and as JSON. */

import { AFTERMATH, type Figure, type Figures } from './ledger.js';
import { PROBE_EVERY } from './prober.js';
import type { Shape } from './schedule.js';

export interface Report {
  readonly seed: number;
  readonly shape: Shape;
  /** What was done, and how often. */
  readonly done: Readonly<Record<string, number>>;
  /** How often a client lost its registration, for each reason. */
  readonly lost: Readonly<Record<string, number>>;
  /** What a watch told that it must not, in words. */
  readonly wrong: readonly string[];
  /** ms from the end of all faults to the moment at which all agreed. */
  readonly settled: number;
  readonly registry: Figures;
  readonly views: Figures;
}

export function describe({ seed, shape, done, lost, settled, registry, views }: Report): string {
  const { workers, clients, seconds } = shape;
  const line = (what: string, figure: Exclude<keyof Figures, 'calm'>): string =>
    `  ${what.padEnd(34)}${show(registry[figure])}${show(views[figure])}`;
  return [
    `convergence: ${workers * clients} clients in ${workers} processes, ${seconds} s of faults, seed ${seed}`,
    `  done to them: ${list(done)}`,
    `  registrations lost: ${list(lost)}`,
    `  all agreed ${Math.round(settled)} ms after the last fault`,
    `  Longest spans in ms: undisturbed, and in brackets where a process was stopped or cut off, or the daemon away,`,
    `  then or up to ${AFTERMATH} ms before. Of the time ${percent(registry.calm)} and ${percent(views.calm)} were undisturbed.`,
    `  ${''.padEnd(34)}${'the registry'.padEnd(16)}the worst of all views`,
    line('a live instance was not listed', 'missing'),
    line('a live instance was not passing', 'unusable'),
    line('a dead instance was listed', 'lingering'),
    line('a dead instance was passing', 'misleading'),
    `  The registry is looked at every ${PROBE_EVERY} ms; views tell of what they see when they see it.`,
    '',
  ].join('\n');
}

function show({ undisturbed, disturbed }: Figure): string {
  return `${undisturbed.ms} (${disturbed.ms})`.padEnd(16);
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function list(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([what, count]) => `${count} ${what}`)
    .join(', ');
}
