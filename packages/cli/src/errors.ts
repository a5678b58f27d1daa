/** What goes wrong, as it is told: which exit code, which words, and what to do next. */

import {
  DEFAULT_PORT,
  type Endpoint,
  ERRORS,
  type ErrorCode,
  isLoopback,
  RegistryError,
  redactTokens,
} from '@reg/protocol';
import { CommanderError } from 'commander';
import { type Address, formatAddress } from './address.js';

/** What scripts can branch on. The codes of `ERRORS` lead to them; 3 is for what only regctl calls a failure. */
export const EXIT_CODES: Readonly<Record<number, string>> = {
  0: 'done',
  1: 'an unexpected failure, or not well (health, doctor)',
  2: 'wrong usage or input',
  3: 'nothing found (query of a name, explain), or not allowed',
  4: 'no registry answers at the address',
  5: 'no reply in time, or not enough instances (wait)',
  6: 'the registry refused',
  7: 'the registry cannot start (serve)',
  126: 'the command cannot be run (run, wait)',
  127: 'there is no such command (run, wait)',
  130: 'interrupted',
};

/** Codes of errors that are regctl's own, beside those of the protocol. */
const OWN_EXITS = {
  usage: 2,
  not_found: 3,
  not_enough: 5,
  unwritable: 1,
  // As a shell has them.
  not_executable: 126,
  no_command: 127,
} as const;

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
  /** People have been shown the help in its place; programs have not. */
  readonly helped?: boolean;
}

/** Of an error that the registry gives and this version does not know. */
const REFUSED = 6;

/** Whatever went wrong, no token is shown: one may have been typed where something else belongs. */
export function explain(error: unknown): Failure {
  const failure = describe(error);
  return { ...failure, message: redactTokens(failure.message) };
}

function describe(error: unknown): Failure {
  if (error instanceof RegistryError) {
    const unknown = unknownCodeOf(error);
    if (unknown !== undefined) return { code: unknown, message: error.message, exit: REFUSED };
    return { code: error.code, message: error.message, exit: ERRORS[error.code].exit };
  }
  if (error instanceof CommanderError) return explainUsage(error);
  if (error instanceof CommandError) return { code: error.code, message: error.message, exit: OWN_EXITS[error.code] };
  // A defect of ours: the stack is what a report of it needs.
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'unexpected', message, exit: 1 };
}

/** Commander ends a run with an error also where all is well: when it has shown the help or the version. */
function explainUsage({ code, exitCode, message }: CommanderError): Failure {
  if (exitCode === 0) return { code: 'shown', message, exit: 0 };
  const helped = code === 'commander.help';
  return { code: 'usage', message: message.replace(/^error: /, ''), exit: OWN_EXITS.usage, helped };
}

/** The code of a later daemon's error, which the client keeps beside its own `bad_reply`. */
function unknownCodeOf(error: RegistryError): string | undefined {
  if (error.code !== 'bad_reply' || !('daemonCode' in error)) return undefined;
  return typeof error.daemonCode === 'string' ? error.daemonCode : undefined;
}

/** What to say, and what to do next, where the client's own words do not tell. */
const ADVICE: { readonly [C in ErrorCode]?: (error: RegistryError, address: Address) => string } = {
  connect_failed: ({ cause }, address) => {
    const { endpoints, origin } = address;
    const told = `no registry answers at ${formatAddress(address)}${reasonOf(cause)}.`;
    const here = endpoints.find(({ host, secure }) => isLoopback(host) && !secure);
    if (!here) return `${told}\nIs the address right? It is that of ${origin}.`;
    const elsewhere = origin === undefined ? 'say where it is, with --addr or REG_ADDR' : `check ${origin}`;
    return `${told} Start one with: ${serveCommand(here)}\nOr ${elsewhere}.`;
  },
  connection_lost: ({ message }) => `${message}.\nWhether a change was made is unknown: regctl query shows it.`,
  timed_out: ({ message }, address) =>
    `${formatAddress(address)} does not answer: ${message}.\nTo wait longer, give --timeout.`,
  bad_reply: ({ message }, address) => `${formatAddress(address)} does not talk as a registry does: ${message}`,
  owned: ({ message }) => `${message}.\nregctl explain shows whose it is, and --takeover takes it over.`,
  unauthenticated: ({ message }, address) =>
    `${formatAddress(address)} wants to know who asks: ${message}.\nGive a token with regctl login, REG_TOKEN or --token.`,
  aborted: () => 'interrupted',
};

/** What people typed, by the field of a request that it became. */
const TYPED: Readonly<Record<string, string>> = {
  key: '<key>',
  values: '<values>',
  instance: '--instance',
  timeout: '--ttl',
  tags: '--tag',
  meta: '--meta',
  weight: '--weight',
  status: '--status',
  linger: '--linger',
  prefix: '--prefix',
};

function nameTyped(quoted: string, field: string): string {
  return TYPED[field] ?? quoted;
}

/** The same error in words that help. */
export function advise(error: unknown, address: Address): unknown {
  if (!(error instanceof RegistryError) || unknownCodeOf(error) !== undefined) return error;
  const advice = ADVICE[error.code];
  const message = advice ? advice(error, address) : error.message.replace(/^"(\w+)"/, nameTyped);
  return new RegistryError(error.code, message, { cause: error });
}

/** What starts a registry at a loopback address. */
function serveCommand({ host, port }: Endpoint): string {
  const words = ['regctl serve'];
  if (host !== '127.0.0.1' && host !== 'localhost') words.push(`--host ${host}`);
  if (port !== DEFAULT_PORT) words.push(`--port ${port}`);
  return words.join(' ');
}

/** That nobody listens there goes without saying. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error) || ('code' in cause && cause.code === 'ECONNREFUSED')) return '';
  return ` (${cause.message})`;
}
