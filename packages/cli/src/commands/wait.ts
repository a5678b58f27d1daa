import type { Client, InstanceRecord } from '@reg/client';
import { statusOf } from '@reg/protocol';
import { startChild } from '../child.js';
import { withClient } from '../context.js';
import { readCount } from '../count.js';
import { lapse } from '../duration.js';
import { CommandError } from '../errors.js';
import { readKey } from '../names.js';
import { countOf } from '../records.js';
import { View } from '../view.js';
import { WARMING } from './query.js';
import { type ChildContext, takeSignals } from './run.js';

export interface WaitArguments {
  readonly key: string;
  /** How many instances; 1 where absent. */
  readonly min?: string;
  /** A program and what it is given; empty where there is only to be waited. */
  readonly command: readonly string[];
}

/**
 * Waits until a service has enough instances that pass, and then runs a command in its place.
 *
 * @returns what the command exited with, or 128 and the number of the signal that ended it; 0 without one.
 * @throws {CommandError} `not_enough` where the time is over.
 */
export async function wait(given: WaitArguments, context: ChildContext, start = startChild): Promise<number> {
  const wanted: Wanted = { key: readKey(given.key), least: readCount(given.min ?? '1', '--min') };
  const instances = await withClient(context, (client) => gather(client, wanted, context), { reconnect: {} });
  const { key } = wanted;
  if (given.command.length === 0) {
    context.output.result({ key, instances }, `${key} has ${countOf(instances, 'usable instance')}`);
    return 0;
  }
  const handOver = takeSignals(context);
  const child = await start(given.command);
  handOver(child, async () => {});
  return (await child.ended).code;
}

interface Wanted {
  readonly key: string;
  readonly least: number;
}

/** What was found on the way, for who waited in vain. */
interface Progress {
  readonly view: View;
  usable: number;
  /** Why there is no connection. */
  error?: Error;
}

/** @returns how many instances there were when there were enough. */
async function gather(client: Client, wanted: Wanted, { signal, clock, timeout }: ChildContext): Promise<number> {
  const progress: Progress = { view: new View(), usable: 0 };
  client.on('retry', ({ error }) => {
    progress.error = error;
  });
  const overdue = new AbortController();
  const timer = clock.after(timeout, () => overdue.abort());
  try {
    return await follow(client, wanted, progress, AbortSignal.any([signal, overdue.signal]));
  } catch (error) {
    if (signal.aborted || !overdue.signal.aborted) throw error;
    throw new CommandError('not_enough', tooFew(wanted, progress, timeout), { cause: error });
  } finally {
    timer.cancel();
  }
}

async function follow(
  client: Client,
  { key, least }: Wanted,
  progress: Progress,
  signal: AbortSignal,
): Promise<number> {
  const { view } = progress;
  /** When the daemon started, while it is warming. */
  let started = 0;
  for await (const event of client.watch(key, { signal })) {
    view.take(event);
    if (view.standing === 'unknown') continue;
    if (event.type === 'synced') started = event.warming ? (await client.status({ signal })).started : 0;
    progress.usable = view.records.filter((record) => isUsable(record, started)).length;
    if (progress.usable >= least) break;
  }
  return progress.usable;
}

/** What was registered before the daemon started may be gone in fact, until the daemon is no longer warming. */
function isUsable(record: InstanceRecord, started: number): boolean {
  return statusOf(record) === 'passing' && record.registered >= started;
}

function tooFew({ key, least }: Wanted, { view, usable, error }: Progress, timeout: number): string {
  if (view.standing === 'unknown') {
    return `no registry answered within ${lapse(timeout)}${error ? `: ${error.message}` : ''}`;
  }
  const told = `${key} has ${countOf(usable, 'usable instance')} after ${lapse(timeout)}, not ${least}`;
  return view.standing === 'warming' ? `${told}\n${WARMING}` : told;
}
