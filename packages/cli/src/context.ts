/** What the commands that talk to a registry are given: flags and environment, made into a client. */

import { readFileSync } from 'node:fs';
import { type Client, type ClientOptions, connect, type TlsOptions } from '@reg/client';
import { type Clock, RegistryError, systemClock } from '@reg/protocol';
import { type Address, formatAddress, resolveAddress } from './address.js';
import { type Credentials, credentialsPath, findLogin, type Login, readCredentials } from './credentials.js';
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
  readonly token?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** Where the registry is, and what it takes to get in. */
interface Access {
  readonly address: Address;
  readonly login: Login;
}

/**
 * The flags before the address before the environment before what `regctl login` kept. What was kept for one registry is
 * used for no other.
 *
 * @throws {RegistryError} `bad_endpoint`, `access_failed`.
 */
function resolveAccess(flags: ConnectionFlags, env: Host['env']): Access {
  const credentials = readCredentials(credentialsPath(env));
  const address = withContext(resolveAddress(flags.addr, env), credentials);
  const text = formatAddress(address);
  const kept = findLogin(credentials, text);
  const login = {
    address: text,
    token: flags.token ?? address.token ?? (env['REG_TOKEN'] || kept?.token),
    ca: flags.tlsCa ?? kept?.ca,
    cert: flags.tlsCert ?? kept?.cert,
    key: flags.tlsKey ?? kept?.key,
  };
  return { address, login };
}

/** Where nobody said an address, it is that of the current context. */
function withContext(address: Address, { current, contexts }: Credentials): Address {
  const login = current === undefined ? undefined : contexts.get(current);
  if (address.origin !== undefined || !login) return address;
  return { endpoints: resolveAddress(login.address, {}).endpoints, origin: 'regctl login' };
}

/** What the files hold; nothing where none is named. @throws {RegistryError} `access_failed` */
function readTls({ ca, cert, key }: Login): TlsOptions | undefined {
  if (ca === undefined && cert === undefined && key === undefined) return undefined;
  return {
    ...(ca !== undefined && { ca: readPem(ca) }),
    ...(cert !== undefined && { cert: readPem(cert) }),
    ...(key !== undefined && { key: readPem(key) }),
  };
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new RegistryError('access_failed', `cannot read ${path}: ${String(cause)}`, { cause });
  }
}

/** @throws {RegistryError | CommandError} where a flag or the environment makes no sense. */
export function makeContext(flags: ConnectionFlags, host: Host, output: Output): Context & { readonly login: Login } {
  const { address, login } = resolveAccess(flags, host.env);
  const tls = readTls(login);
  const timeout = readDuration(flags.timeout, '--timeout', { most: DAY });
  const defaults: ClientOptions = {
    reconnect: false,
    requestTimeout: timeout,
    connectTimeout: timeout,
    ...(login.token !== undefined && { token: login.token }),
    ...(tls && { tls }),
  };
  return {
    address,
    login,
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
