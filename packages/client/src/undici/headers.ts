import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

type RequestHeaders = NonNullable<Dispatcher.DispatchOptions['headers']>;

/** The headers with `host`, unless they have one. They may come in any of the forms that undici takes. */
export function withHost(headers: RequestHeaders | null | undefined, host: string): RequestHeaders {
  if (!headers) return { host };
  if (Array.isArray(headers)) {
    return headers.some((name, index) => index % 2 === 0 && isHost(name)) ? headers : ['host', host, ...headers];
  }
  if (isIterable(headers)) {
    const pairs = [...headers];
    const flat = flatten(pairs);
    return pairs.some(([name]) => isHost(name)) ? flat : ['host', host, ...flat];
  }
  return Object.keys(headers).some(isHost) ? headers : { host, ...headers };
}

function isHost(name: string): boolean {
  return name.length === 4 && name.toLowerCase() === 'host';
}

type HeaderPair = [string, string | string[] | undefined];

function isIterable(headers: object): headers is Iterable<HeaderPair> {
  return Symbol.iterator in headers;
}

/** Names and values in turns, one pair for each value: as bytes of Latin-1, as they were on the wire. */
export function toRawHeaders(headers: IncomingHttpHeaders): Buffer[] {
  return toPairs(headers).map((text) => Buffer.from(text, 'latin1'));
}

/** The same as texts. */
export function toPairs(headers: IncomingHttpHeaders): string[] {
  return flatten(Object.entries(headers));
}

function flatten(pairs: readonly HeaderPair[]): string[] {
  return pairs.flatMap(([name, value]) => [value ?? []].flat().flatMap((one) => [name, one]));
}
