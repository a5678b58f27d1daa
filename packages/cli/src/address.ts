import { type Endpoint, parseEndpoint, RegistryError } from '@reg/protocol';
import type { Host } from './host.js';

/** Where the registry is, and who said so; `undefined` where nobody did. */
export interface Address {
  readonly endpoint: Endpoint;
  readonly origin: '--addr' | 'REG_ADDR' | undefined;
}

/**
 * The flag before the environment before the default. An empty variable is one that is not set.
 *
 * @throws {RegistryError} `bad_endpoint`, naming where it was said.
 */
export function resolveAddress(addr: string | undefined, env: Host['env']): Address {
  if (addr !== undefined) return { endpoint: readEndpoint('--addr', addr), origin: '--addr' };
  const fromEnv = env['REG_ADDR'];
  if (fromEnv) return { endpoint: readEndpoint('REG_ADDR', fromEnv), origin: 'REG_ADDR' };
  return { endpoint: parseEndpoint('127.0.0.1'), origin: undefined };
}

function readEndpoint(origin: string, text: string): Endpoint {
  try {
    return parseEndpoint(text);
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    throw new RegistryError(error.code, `${origin}: ${error.message}`, { cause: error });
  }
}
