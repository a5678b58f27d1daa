/** Ways to find out, from outside, whether a service works. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get, type IncomingMessage, type RequestOptions } from 'node:http';
import { get as getSecurely } from 'node:https';
import { connect } from 'node:net';
import { type Address, addressOf, type Json } from '@reg/client';
import { endOf } from './child.js';
import { CommandError } from './errors.js';

/**
 * Looks once. Resolves where the service works, and rejects with an error whose message says why it does not.
 * Nothing of it is left when the signal is aborted.
 */
export type Check = (signal: AbortSignal) => Promise<void>;

/**
 * Reads what `--check` was given: `tcp`, `tcp:host:port`, a URL, or `command:` and a line for the shell.
 *
 * @param values what is registered; `tcp` alone looks there.
 * @throws {CommandError} `usage`
 */
export function readCheck(text: string, values: Json): Check {
  if (text === 'tcp')
    return checkAddress(addressOf(values), '--check tcp looks where the values say: give tcp:host:port');
  if (text.startsWith('tcp:')) return checkAddress(addressOf(text.slice('tcp:'.length)), KNOWN);
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return (signal) => checkHttp(new URL(text), signal);
  const line = /^command:(.*\S.*)$/s.exec(text)?.[1];
  if (line !== undefined) return (signal) => checkCommand(line, signal);
  throw new CommandError('usage', `${KNOWN}, not "${text}"`);
}

const KNOWN = '--check must be tcp, tcp:host:port, http://host:port/path or command:line';

function checkAddress(address: Address | undefined, otherwise: string): Check {
  if (!address) throw new CommandError('usage', `${otherwise}, such as tcp:127.0.0.1:8080`);
  return (signal) => checkTcp(address, signal);
}

/** It passes where something accepts a connection; nothing is said over it. */
async function checkTcp({ host, port }: Address, signal: AbortSignal): Promise<void> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect', { signal });
  } catch (error) {
    throw new Error(`no connection to ${host}:${port} (${reasonOf(error)})`, { cause: error });
  } finally {
    socket.destroy();
  }
}

/** It passes where the answer is of the 2xx or 3xx kind. The body is not read. */
async function checkHttp(url: URL, signal: AbortSignal): Promise<void> {
  const getter = url.protocol === 'https:' ? getSecurely : get;
  // A connection of its own each time: one that is open already would not show that no other is accepted.
  const options: RequestOptions = { agent: false, signal };
  const status = await new Promise<number>((resolve, reject) => {
    const request = getter(url, options, (response: IncomingMessage) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    request.on('error', (error) =>
      reject(new Error(`no answer from ${url.host} (${reasonOf(error)})`, { cause: error })),
    );
  });
  if (status < 200 || status >= 400) throw new Error(`${url.href} answers ${status}`);
}

/** It passes where the line exits with 0. What it writes is not shown. */
async function checkCommand(line: string, signal: AbortSignal): Promise<void> {
  // A group of its own, so that what the shell has started goes with it.
  const child = spawn(line, { shell: true, stdio: 'ignore', detached: true });
  const kill = (): void => {
    if (child.pid !== undefined) killGroup(child.pid);
  };
  signal.addEventListener('abort', kill, { once: true });
  try {
    const ending = await endOf(child);
    if (signal.aborted) throw new Error('it took too long');
    if (ending.signal) throw new Error(`the command was ended by ${ending.signal}`);
    if (ending.code !== 0) throw new Error(`the command exits with ${ending.code}`);
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

/** Of a failed dial: its code says it all, and there is not always a message. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'AbortError') return 'it took too long';
  return 'code' in error ? String(error.code) : error.message;
}
