/** What goes wrong, as it is told: which exit code, which words, and what to do next. */

import { ERRORS, type ErrorCode, formatEndpoint, RegistryError } from '@reg/protocol';
import { CommanderError } from 'commander';
import type { Address } from './address.js';

/** What scripts can branch on. The codes of `ERRORS` lead to them; 3 is for what only regctl calls a failure. */
export const EXIT_CODES: Readonly<Record<number, string>> = {
  0: 'done',
  1: 'an unexpected failure',
  2: 'wrong usage or input',
  3: 'nothing found (query of a name)',
  4: 'no registry answers at the address',
  5: 'no reply in time',
  6: 'the registry refused',
  7: 'the registry cannot start (serve)',
  130: 'interrupted',
};

/** Codes of errors that are regctl's own, beside those of the protocol. */
const OWN_EXITS = { usage: 2, not_found: 3 } as const;

/** An error that has nothing to do with the registry's. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: keyof typeof OWN_EXITS;

  constructor(code: keyof typeof OWN_EXITS, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** An error as it is told: the code for programs, the message for people, perhaps of several lines. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exit: number;
}

export function explain(error: unknown): Failure {
  if (error instanceof RegistryError) {
    return { code: error.code, message: error.message, exit: ERRORS[error.code].exit };
  }
  if (error instanceof CommanderError) return explainUsage(error);
  if (error instanceof CommandError) return { code: error.code, message: error.message, exit: OWN_EXITS[error.code] };
  // A defect of ours: the stack is what a report of it needs.
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'unexpected', message, exit: 1 };
}

/** Commander ends a run with an error also where all is well: when it has shown the help or the version. */
function explainUsage({ exitCode, message }: CommanderError): Failure {
  if (exitCode === 0) return { code: 'shown', message, exit: 0 };
  return { code: 'usage', message: message.replace(/^error: /, ''), exit: OWN_EXITS.usage };
}

/** What to say, and what to do next, where the client's own words do not tell. */
const ADVICE: { readonly [C in ErrorCode]?: (error: RegistryError, address: Address) => string } = {
  connect_failed: ({ cause }, { endpoint, origin }) =>
    `no registry answers at ${formatEndpoint(endpoint)}${reasonOf(cause)}. Start one with: regctl serve\n` +
    (origin === undefined
      ? 'Or say where it is, with --addr or REG_ADDR.'
      : `Or check the address, which is that of ${origin}.`),
  connection_lost: ({ message }) => `${message}.\nWhether a change was made is unknown: regctl query shows it.`,
  timed_out: ({ message }, { endpoint }) =>
    `${formatEndpoint(endpoint)} does not answer: ${message}.\nTo wait longer, give --timeout.`,
  bad_reply: ({ message }, { endpoint }) => `${formatEndpoint(endpoint)} does not talk as a registry does: ${message}`,
  aborted: () => 'interrupted',
};

/** The same error in words that help. */
export function advise(error: unknown, address: Address): unknown {
  if (!(error instanceof RegistryError)) return error;
  const message = ADVICE[error.code]?.(error, address);
  return message === undefined ? error : new RegistryError(error.code, message, { cause: error });
}

/** That nobody listens there goes without saying. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error) || ('code' in cause && cause.code === 'ECONNREFUSED')) return '';
  return ` (${cause.message})`;
}
