import { RegistryError } from './errors.js';
import { DEFAULT_TIMEOUT, MAX_LINGER, MAX_TIMEOUT } from './limits.js';
import type { Timeout } from './messages.js';

/** Reads a number as people write seconds, `30` or `0.5`; `undefined` where the text is none. */
export function parseDecimal(text: string): number | undefined {
  return /^(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : undefined;
}

/**
 * Reads a timeout as the wire and the command line give it: seconds as a number or a decimal string,
 * `"never"`, or nothing for the default.
 *
 * @throws {RegistryError} `invalid_timeout`
 */
export function parseTimeout(timeout: unknown): Timeout {
  if (timeout === undefined || timeout === null) return DEFAULT_TIMEOUT;
  if (timeout === 'never') return 'never';
  const seconds = typeof timeout === 'string' ? parseDecimal(timeout) : timeout;
  if (typeof seconds === 'number' && seconds > 0 && seconds <= MAX_TIMEOUT) return seconds;
  throw new RegistryError(
    'invalid_timeout',
    `"timeout" must be seconds above 0 and at most ${MAX_TIMEOUT}, as a number or a decimal string, or "never"`,
  );
}

/**
 * Reads how many seconds an instance outlives its connection, a number or a decimal string; `undefined` where there
 * is none, and it is bound to no connection.
 *
 * @throws {RegistryError} `invalid_linger`
 */
export function parseLinger(linger: unknown): number | undefined {
  if (linger === undefined || linger === null) return undefined;
  const seconds = typeof linger === 'string' ? parseDecimal(linger) : linger;
  if (typeof seconds === 'number' && seconds >= 0 && seconds <= MAX_LINGER) return seconds;
  throw new RegistryError(
    'invalid_linger',
    `"linger" must be seconds from 0 to ${MAX_LINGER}, as a number or a decimal string`,
  );
}

/** A timeout in ms; `Infinity` for `"never"`. */
export function timeoutToMs(timeout: Timeout): number {
  return timeout === 'never' ? Number.POSITIVE_INFINITY : timeout * 1000;
}

/** A linger in ms; `Infinity` where it is bound to no connection. */
export function lingerToMs(linger: number | undefined): number {
  return linger === undefined ? Number.POSITIVE_INFINITY : linger * 1000;
}
