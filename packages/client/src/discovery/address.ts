/** Where an instance can be reached, as far as its values say so. */

import { isIPv6 } from 'node:net';
import type { Json } from '@reg/protocol';

export interface Address {
  /** A name or an address; one of IPv6 has no brackets. */
  readonly host: string;
  readonly port: number;
}

/** Ports that a URL may leave out. */
const DEFAULT_PORTS: ReadonlyMap<string, number> = new Map([
  ['http:', 80],
  ['ws:', 80],
  ['https:', 443],
  ['wss:', 443],
]);

const IS_URL = /^[a-z][a-z0-9+.-]*:\/\//i;
const HOST_AND_PORT = /^(\[[^\]]*\]|[^\s:@/?#[\]]+):(\d{1,5})$/;
const NAME = /^[^\s:@/?#[\]]+$/;

/**
 * The address in an instance's values: a URL, `host:port` (what is before the last `@` does not count), or the
 * fields `host` or `address` and `port` of an object. `undefined` where there is none, or a malformed one.
 */
export function addressOf(values: Json): Address | undefined {
  if (typeof values === 'string') return addressOfText(values);
  if (typeof values !== 'object' || values === null) return undefined;
  const { host, address, port } = { host: undefined, address: undefined, port: undefined, ...values };
  return makeAddress(host ?? address, port);
}

function addressOfText(text: string): Address | undefined {
  if (IS_URL.test(text)) return addressOfUrl(text);
  const rest = text.slice(text.lastIndexOf('@') + 1);
  if (IS_URL.test(rest)) return addressOfUrl(rest);
  const match = HOST_AND_PORT.exec(rest);
  return match ? makeAddress(match[1], match[2]) : undefined;
}

function addressOfUrl(text: string): Address | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, hostname, port } = new URL(text);
  return makeAddress(hostname, port === '' ? DEFAULT_PORTS.get(protocol) : port);
}

/** @param port a number, or its decimal digits. */
function makeAddress(host: unknown, port: unknown): Address | undefined {
  if (typeof host !== 'string') return undefined;
  const number = typeof port === 'string' && /^\d{1,5}$/.test(port) ? Number(port) : port;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 1 || number > 65_535) return undefined;
  const bare = /^\[(.*)\]$/.exec(host)?.[1];
  if (bare !== undefined) return isIPv6(bare) ? { host: bare, port: number } : undefined;
  return NAME.test(host) || isIPv6(host) ? { host, port: number } : undefined;
}
