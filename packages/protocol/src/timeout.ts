import { RegistryError } from './errors.js';
import { DEFAULT_TIMEOUT, MAX_TIMEOUT } from './limits.js';
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

/** A timeout in ms; `Infinity` for `"never"`. */
export function timeoutToMs(timeout: Timeout): number {
  return timeout === 'never' ? Number.POSITIVE_INFINITY : timeout * 1000;
}
