/** What the commands that talk to a registry are given: flags and environment, made into a client. */

import { type Client, type ClientOptions, connect } from '@reg/client';
import { type Clock, systemClock } from '@reg/protocol';
import { type Address, resolveAddress } from './address.js';
import { DAY, readDuration } from './duration.js';
import { advise } from './errors.js';
import type { Host } from './host.js';
import type { Output } from './output.js';

export interface Context {
  readonly address: Address;
  /** What `--timeout` says, in ms. */
  readonly timeout: number;
  readonly output: Output;
  readonly clock: Clock;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** Makes a client. What finds no registry, or loses it, fails at once unless told to reconnect. */
  readonly connect: (options?: ClientOptions) => Client;
}

export interface ConnectionFlags {
  /** One or several, with commas between them. */
  readonly addr?: string;
  readonly timeout: string;
}

/** @throws {RegistryError | CommandError} where a flag or the environment makes no sense. */
export function makeContext(flags: ConnectionFlags, host: Host, output: Output): Context {
  const address = resolveAddress(flags.addr, host.env);
  const timeout = readDuration(flags.timeout, '--timeout', { most: DAY });
  const defaults: ClientOptions = { reconnect: false, requestTimeout: timeout, connectTimeout: timeout };
  return {
    address,
    timeout,
    output,
    clock: systemClock,
    signal: host.interruption(),
    connect: (options) => connect(address.endpoints, { ...defaults, ...options }),
  };
}

/**
 * Runs `action` with a client of its own, and says what to do next where it fails. After a failure the client
 * is not closed, which could take as long again: it keeps no process alive.
 */
export async function withClient<T>(
  context: Context,
  action: (client: Client) => Promise<T>,
  options?: ClientOptions,
): Promise<T> {
  try {
    const client = context.connect(options);
    const result = await action(client);
    await client.close();
    return result;
  } catch (error) {
    throw advise(error, context.address);
  }
}
