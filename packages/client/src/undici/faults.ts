/** Whose fault a failure is: what is known of errors and statuses. */

import type { IncomingHttpHeaders } from 'node:http';

/** An instance, or what stands before it, says that it cannot serve at present. */
const GATEWAY_FAILURES: ReadonlySet<number> = new Set([502, 503, 504]);

/** A connection that broke, or that nothing came over. */
const BROKEN: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_SOCKET',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
]);

/** What undici finds wrong with a request, or with what is done to its dispatcher. */
const CALLERS: ReadonlySet<string> = new Set([
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_ABORTED',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
]);

export function isGatewayFailure(status: number): boolean {
  return GATEWAY_FAILURES.has(status);
}

/** Whether the instance broke off what it was sent, or answered what is no HTTP. */
export function isBroken(error: Error): boolean {
  const code = codeOf(error);
  return BROKEN.has(code) || code.startsWith('HPE_');
}

/** Whether a request that was not sent failed for its own sake. Anything else, the certificate included, is a connection that was not made. */
export function isCallersFault(error: Error): boolean {
  return CALLERS.has(codeOf(error));
}

/** ms that a 503 asks to be left alone; 0 where it does not. A date, which needs clocks that agree, does not count. */
export function retryAfter(status: number, { 'retry-after': seconds = '' }: IncomingHttpHeaders): number {
  return status === 503 && /^\d+$/.test(seconds) ? Number(seconds) * 1000 : 0;
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}
