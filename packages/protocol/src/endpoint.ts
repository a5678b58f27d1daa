import { RegistryError } from './errors.js';
import { DEFAULT_PORT } from './limits.js';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads where a daemon is: `reg://host:port`, `host:port`, `host`, `:port`, with an IPv6 address in
 * brackets. What is left out is 127.0.0.1 and the default port.
 *
 * @throws {RegistryError} `bad_endpoint`
 */
export function parseEndpoint(text: string): Endpoint {
  const bare = text.replace(/^reg:\/\//, '').replace(/\/$/, '');
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:@/?#[\]]*))(?::(\d{1,5}))?$/.exec(bare);
  const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (!match || bare === '' || port < 1 || port > 65_535) {
    throw new RegistryError(
      'bad_endpoint',
      `${JSON.stringify(text)} is not an address of a registry: it should be like reg://127.0.0.1:${DEFAULT_PORT}`,
    );
  }
  return { host: match[1] || match[2] || '127.0.0.1', port };
}

/** `host:port`, with an IPv6 address in brackets. */
export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
