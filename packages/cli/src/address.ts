import { isIPv4 } from 'node:net';
import { type Endpoint, formatEndpoint, parseEndpoint, RegistryError } from '@reg/protocol';
import type { Host } from './host.js';

/** Where a registry is sought unless somebody says otherwise. */
export const DEFAULT_ENDPOINT: Endpoint = parseEndpoint('127.0.0.1');

/** Where the registry is, and who said so; `undefined` where nobody did. */
export interface Address {
  /** At least one; the first that answers is taken. */
  readonly endpoints: readonly Endpoint[];
  readonly origin: '--addr' | 'REG_ADDR' | undefined;
}

/**
 * The flag before the environment before the default. An empty variable is one that is not set.
 *
 * @throws {RegistryError} `bad_endpoint`, naming where it was said.
 */
export function resolveAddress(addr: string | undefined, env: Host['env']): Address {
  if (addr !== undefined) return { endpoints: readEndpoints('--addr', addr), origin: '--addr' };
  const fromEnv = env['REG_ADDR'];
  if (fromEnv) return { endpoints: readEndpoints('REG_ADDR', fromEnv), origin: 'REG_ADDR' };
  return { endpoints: [DEFAULT_ENDPOINT], origin: undefined };
}

/** As it could be typed. */
export function formatAddress({ endpoints }: Address): string {
  return endpoints.map(formatEndpoint).join(',');
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

function readEndpoints(origin: string, text: string): readonly Endpoint[] {
  try {
    return text.split(',').map((each) => parseEndpoint(each.trim()));
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    throw new RegistryError(error.code, `${origin}: ${error.message}`, { cause: error });
  }
}
