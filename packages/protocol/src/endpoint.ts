import { BlockList, isIP } from 'node:net';
import { RegistryError } from './errors.js';
import { DEFAULT_PORT } from './limits.js';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** Whether the connection is by TLS; absent where it is not. */
  readonly secure?: true;
}

/**
 * What an address says. The token is kept apart from the endpoint, which is written into errors and logs.
 */
export interface Address {
  readonly endpoint: Endpoint;
  /** `undefined` where the address has none. */
  readonly token: string | undefined;
}

/** A token is of characters that a URL takes as they are. Only an address with a scheme has one. */
const ADDRESS = /^(?:(regs?):\/\/(?:([\w.~-]+)@)?)?(?:\[([0-9a-fA-F:.]+)\]|([^\s:@/?#[\]]*))(?::(\d{1,5}))?\/?$/;
/** What tokens look like, wherever they stand. */
const TOKEN = /reg_[\w-]+_[\w-]+/g;

/**
 * Reads where a daemon is: `reg://host:port`, `host:port`, `host`, `:port`, with an IPv6 address in brackets;
 * `regs://` for TLS, and `reg://TOKEN@host` where there is a token. What is left out is 127.0.0.1 and the default port.
 *
 * @throws {RegistryError} `bad_endpoint`; the message holds nothing that may be a token.
 */
export function parseAddress(text: string): Address {
  const match = ADDRESS.exec(text);
  const [, scheme, token, ipv6, name, digits] = match ?? [];
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  const isEmpty = text === '' || /^(?:regs?:\/\/)?\/?$/.test(text);
  // A token without a host would be taken for one, and be looked up, and shown.
  if (!match || isEmpty || port < 1 || port > 65_535 || redactTokens(name ?? '') !== (name ?? '')) {
    // What stands before an `@` is a token, or a password of somebody who is used to URLs.
    const shown = JSON.stringify(redactTokens(text.replace(/^(\w*:\/\/)?.*@/s, '$1***@')));
    throw new RegistryError(
      'bad_endpoint',
      `${shown} is not an address of a registry: it should be like reg://127.0.0.1:${DEFAULT_PORT}`,
    );
  }
  const endpoint = { host: ipv6 || name || '127.0.0.1', port };
  return { endpoint: scheme === 'regs' ? { ...endpoint, secure: true } : endpoint, token };
}

/** Where an address leads to, whatever token it carries. @throws {RegistryError} `bad_endpoint` */
export function parseEndpoint(text: string): Endpoint {
  return parseAddress(text).endpoint;
}

/** `host:port`, with an IPv6 address in brackets, and `regs://` before it where that is needed to connect. */
export function formatEndpoint({ host, port, secure }: Endpoint): string {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return secure ? `regs://${address}` : address;
}

/** A text that somebody may have typed, without what looks like a token. */
export function redactTokens(text: string): string {
  return text.replace(TOKEN, 'reg_***');
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

/**
 * Whether only this machine can reach it. A name may lead anywhere; of `localhost` it is taken for granted where it
 * leads.
 */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  return family === 0 ? host === 'localhost' : LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4');
}
