import { type Endpoint, formatEndpoint, parseAddress, parseEndpoint, RegistryError } from '@reg/protocol';
import type { Host } from './host.js';

/** Where a registry is sought unless somebody says otherwise. */
export const DEFAULT_ENDPOINT: Endpoint = parseEndpoint('127.0.0.1');

/** Where the registry is, and who said so; `undefined` where nobody did. */
export interface Address {
  /** At least one; the first that answers is taken. */
  readonly endpoints: readonly Endpoint[];
  readonly origin: '--addr' | 'REG_ADDR' | 'regctl login' | undefined;
  /** What the address carried; it is never shown. */
  readonly token?: string;
}

/**
 * The flag before the environment before the default. An empty variable is one that is not set.
 *
 * @throws {RegistryError} `bad_endpoint`, naming where it was said.
 */
export function resolveAddress(addr: string | undefined, env: Host['env']): Address {
  if (addr !== undefined) return readAddress('--addr', addr);
  const fromEnv = env['REG_ADDR'];
  if (fromEnv) return readAddress('REG_ADDR', fromEnv);
  return { endpoints: [DEFAULT_ENDPOINT], origin: undefined };
}

/** As it could be typed. */
export function formatAddress({ endpoints }: Address): string {
  return endpoints.map(formatEndpoint).join(',');
}

function readAddress(origin: '--addr' | 'REG_ADDR', text: string): Address {
  try {
    const addresses = text.split(',').map((each) => parseAddress(each.trim()));
    const [token, another] = new Set(addresses.flatMap((address) => address.token ?? []));
    if (another !== undefined) throw new RegistryError('bad_endpoint', 'the addresses carry different tokens');
    return { endpoints: addresses.map(({ endpoint }) => endpoint), origin, ...(token !== undefined && { token }) };
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    throw new RegistryError(error.code, `${origin}: ${error.message}`, { cause: error });
  }
}
