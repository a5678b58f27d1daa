/** What the tables of commands have in common. */

import { Option } from 'commander';
import type { ConnectionFlags, Context } from '../context.js';
import type { Login } from '../credentials.js';
import type { Host } from '../host.js';
import type { Output } from '../output.js';

/** Of the process that a command runs in. */
export interface Surroundings {
  readonly host: Host;
  readonly output: Output;
  /**
   * @param patience what `--timeout` is where nobody gives it.
   * @param flags come before those of the command line.
   */
  readonly makeContext: (
    patience?: string,
    flags?: Partial<ConnectionFlags>,
  ) => Promise<Context & { readonly login: Login }>;
  /** Ends the run with another code than 0, and without a failure. */
  readonly exit: (code: number) => void;
}

/** Of an option that may be given again. */
export function append(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** An option whose words are told in its description; Commander would tell them once more. */
export function choice(flags: string, description: string, words: readonly string[]): Option {
  return new Option(flags, `${description}: ${words.join(', ')}`).choices(words);
}

/** Flags that say where the registry is, and how to get in. */
export const CONNECTION_FLAGS: readonly string[] = ['addr', 'timeout', 'token', 'tlsCa', 'tlsCert', 'tlsKey'];
