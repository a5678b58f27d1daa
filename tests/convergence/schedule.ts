/**
 * What is done to the processes, and when: made from random numbers before anything begins, so that a seed repeats
 * it. Faults of one process do not overlap, those of different processes and the daemon's do.
 */

import type { Mode } from './proxy.js';
import type { Random } from './random.js';

/** How much there is of everything. */
export interface Shape {
  /** Processes, and clients in each. */
  readonly workers: number;
  readonly clients: number;
  /** For how long they are disturbed. */
  readonly seconds: number;
  /** Seconds, on average, between two faults of one process. */
  readonly faultEvery: number;
}

interface Timed {
  /** When it begins, in ms since the beginning. */
  readonly at: number;
}

/** What happens to a process, or to the way between it and the daemon, for `lasts` ms. */
export interface WorkerFault extends Timed {
  readonly worker: number;
  readonly lasts: number;
  /**
   * `kill`: -9, and it is started again. `leave`: SIGTERM, and it is started again. `stop`: SIGSTOP and SIGCONT.
   * `replace`: it is stopped, another process takes over what it has, it is continued and finds itself superseded.
   * `vanish`: the network swallows everything and it is killed, so that nobody hears of it; it is started again.
   */
  readonly kind: 'kill' | 'leave' | 'stop' | 'replace' | 'vanish';
}

export interface Partition extends Timed {
  readonly kind: 'partition';
  readonly worker: number;
  readonly lasts: number;
  readonly mode: Exclude<Mode, 'pass'>;
  /** ms, for `delay`. */
  readonly delay: number;
}

/** The daemon is killed with -9, and started again `lasts` ms later on the same folder and port. */
interface DaemonFault extends Timed {
  readonly kind: 'crash';
  readonly lasts: number;
}

/** What registrants do of their own accord: other values, another life; and what somebody else does to them. */
export interface Deed extends Timed {
  readonly kind: 'update' | 'renew' | 'destroy';
  readonly worker: number;
  readonly client: number;
}

export type Step = WorkerFault | Partition | DaemonFault | Deed;
export type Kind = Step['kind'];

const WORKER_KINDS = [
  ['kill', 4],
  ['leave', 1],
  ['stop', 3],
  ['replace', 1],
  ['vanish', 1],
  ['partition', 6],
] as const;

const MODES = [
  ['hold', 2],
  ['delay', 1],
  ['reset', 2],
  ['blackhole', 2],
  ['ghost', 1],
  ['orphan', 1],
] as const;

const DEEDS = [
  ['update', 6],
  ['renew', 3],
  ['destroy', 1],
] as const;

/** ms: a fault lasts so long, and then the process is left alone for as long as the least of it. */
const FAULT = { least: 100, most: 6000 };
const OUTAGE = { least: 50, most: 2500 };
/** ms between two outages of the daemon; its first comes within this. */
const BETWEEN_OUTAGES = { least: 2500, most: 9000 };
/** ms, on average, between two deeds of one client. */
const DEED_EVERY = 10_000;

/**
 * A process that is to be replaced must own what it has registered when that happens: one that is about to register
 * may take it all back when its successor is suspect, and rightly.
 */
const SETTLED = 5000;

/** Every step ends before the time is over; they are in the order in which they begin. */
export function makeSchedule(random: Random, shape: Shape): Step[] {
  const end = shape.seconds * 1000;
  const faults = workerSteps(random, shape, end);
  const calm = deeds(random, shape, end).filter((deed) => !faults.some((fault) => forbids(fault, deed)));
  return [...faults, ...outages(random, end), ...calm].sort((a, b) => a.at - b.at);
}

function workerSteps(random: Random, { workers, faultEvery }: Shape, end: number): Step[] {
  const steps: Step[] = [];
  const freeAt = new Array<number>(workers).fill(0);
  for (const at of moments(random, (faultEvery * 1000) / workers, end)) {
    const worker = random.between(0, workers);
    const lasts = duration(random, FAULT, end - at);
    const kind = random.choose(WORKER_KINDS);
    const mode = random.choose(MODES);
    const delay = random.between(20, 250);
    if (at < (freeAt[worker] ?? 0) || lasts < FAULT.least) continue;
    freeAt[worker] = at + lasts + FAULT.least;
    steps.push(kind === 'partition' ? { kind, at, worker, lasts, mode, delay } : { kind, at, worker, lasts });
  }
  return steps;
}

function outages(random: Random, end: number): Step[] {
  const steps: Step[] = [];
  for (let at = random.between(1000, BETWEEN_OUTAGES.least); at < end; ) {
    const lasts = duration(random, OUTAGE, end - at);
    if (lasts >= OUTAGE.least) steps.push({ kind: 'crash', at, lasts });
    at += lasts + random.between(BETWEEN_OUTAGES.least, BETWEEN_OUTAGES.most);
  }
  return steps;
}

function deeds(random: Random, { workers, clients }: Shape, end: number): Deed[] {
  return [...moments(random, DEED_EVERY / (workers * clients), end)].map((at) => ({
    kind: random.choose(DEEDS),
    at,
    worker: random.between(0, workers),
    client: random.between(0, clients),
  }));
}

function forbids(fault: Step, deed: Deed): boolean {
  return (
    fault.kind === 'replace' &&
    fault.worker === deed.worker &&
    deed.at > fault.at - SETTLED &&
    deed.at < fault.at + fault.lasts
  );
}

function* moments(random: Random, every: number, end: number): Generator<number> {
  for (let at = random.next() * every; at < end; at += random.next() * 2 * every) yield Math.round(at);
}

/** Short ones are as frequent as long ones are in sum: the square of what is even. */
function duration(random: Random, { least, most }: { least: number; most: number }, left: number): number {
  return Math.min(Math.round(least + random.next() ** 2 * (most - least)), left);
}
