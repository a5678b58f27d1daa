import { readCheck } from '../check.js';
import { type Child, startChild } from '../child.js';
import type { Context } from '../context.js';
import { DAY, readDuration } from '../duration.js';
import { CommandError } from '../errors.js';
import { Health } from '../health.js';
import type { Host } from '../host.js';
import { Service } from '../service.js';
import { readWanted, type WantedArguments } from '../wanted.js';

export interface RunArguments extends WantedArguments {
  /** What `readCheck` takes. Where absent it works as soon as it runs. */
  readonly check?: string;
  readonly checkInterval: string;
  readonly drainTimeout: string;
  /** A program and what it is given. */
  readonly command: readonly string[];
}

/** What the commands need that start another. */
export interface ChildContext extends Context, Pick<Host, 'foreground' | 'takeSignals'> {}

/**
 * Starts a command, and keeps a service registered while that lives and its check passes. The registry has no part in
 * whether the command runs.
 *
 * @returns what the command exited with, or 128 and the number of the signal that ended it.
 */
export async function run(given: RunArguments, context: ChildContext, start = startChild): Promise<number> {
  const wanted = readWanted(given);
  const interval = readDuration(given.checkInterval, '--check-interval', { most: DAY });
  const drainTimeout = readDuration(given.drainTimeout, '--drain-timeout', { most: DAY });
  const check = given.check === undefined ? undefined : readCheck(given.check, wanted.values);
  const command = requireCommand(given.command);
  const handOver = takeSignals(context);
  const child = await start(command);
  const service = new Service(wanted, context);
  const health = check && new Health(check, interval, context.clock, service);
  handOver(child, async () => {
    health?.stop();
    await service.drain(drainTimeout);
  });
  if (health) health.start();
  else service.passing();
  const { code } = await child.ended;
  health?.stop();
  await service.end();
  return code;
}

/** @throws {CommandError} `usage` */
function requireCommand(command: readonly string[]): readonly string[] {
  if (command.length > 0) return command;
  throw new CommandError('usage', 'the command to run is missing. It follows two dashes, as in: -- node server.js');
}

const LEAVING: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT'];

/**
 * Takes the signals of this process, for a command that is about to be started: none may come in between and be lost.
 * The first that asks it to leave waits for `drain`; a second one does not wait.
 *
 * @returns what hands over the command, and what came before it was there.
 */
export function takeSignals(context: ChildContext): (child: Child, drain: () => Promise<void>) => void {
  const pending: NodeJS.Signals[] = context.signal.aborted ? ['SIGTERM'] : [];
  let pass = (signal: NodeJS.Signals): unknown => pending.push(signal);
  context.takeSignals((signal) => pass(signal));
  return (child, drain) => {
    let leaving = false;
    pass = async (signal) => {
      if (LEAVING.includes(signal) && !leaving) {
        leaving = true;
        await drain();
      }
      // The terminal has sent Ctrl-C to it as well.
      if (!context.foreground || signal !== 'SIGINT') child.kill(signal);
    };
    for (const signal of pending) pass(signal);
  };
}
