/** Processes that regctl starts in its place. */

import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { CommandError } from './errors.js';

/** How a process ended. */
export interface Ending {
  /** As a shell tells it: what it exited with, or 128 and the number of the signal. */
  readonly code: number;
  /** What ended it; absent where it exited by itself. */
  readonly signal?: NodeJS.Signals;
}

export interface Child {
  readonly ended: Promise<Ending>;
  /** Has no effect on one that has ended. */
  kill(signal: NodeJS.Signals): void;
}

/**
 * Starts a command with the standard streams of this process. It keeps this process alive.
 *
 * @param words the program, sought on the path, and what it is given; no shell comes between.
 * @throws {CommandError} `no_command` or `not_executable`
 */
export async function startChild([program = '', ...args]: readonly string[]): Promise<Child> {
  const child = spawn(program, args, { stdio: 'inherit' });
  const ended = endOf(child);
  // What goes wrong before it has started is told here, and there is no end of it.
  ended.catch(() => {});
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(unstartable(program, error)));
  });
  return { ended, kill: (signal) => void child.kill(signal) };
}

/** Rejects where it could not be started. */
export function endOf(child: ChildProcess): Promise<Ending> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) => {
      if (signal) resolve({ code: 128 + constants.signals[signal], signal });
      else resolve({ code: code ?? 0 });
    });
    child.once('error', reject);
  });
}

function unstartable(program: string, error: NodeJS.ErrnoException): CommandError {
  if (error.code === 'ENOENT') return new CommandError('no_command', `there is no command ${program}`);
  return new CommandError('not_executable', `${program} cannot be run: ${error.message}`, { cause: error });
}
