/** Requests to lines, and lines to replies: the client's side of docs/protocol.md. */

import { isUtf8 } from 'node:buffer';
import {
  type CommandType,
  type DestroyReply,
  encodeRequest,
  type HelloReply,
  type QueryReply,
  type RegisterReply,
  RegistryError,
  type ReplyOf,
} from '@reg/protocol';
import { ReplyError } from './errors.js';

/** A reply line: what it carries beside `ok` and `id`, or the daemon's error. */
export type Reply = { readonly ok: true; readonly fields: object } | { readonly ok: false; readonly error: ReplyError };

/**
 * Which requests of the caller's change nothing, and so may be sent once more when their reply was lost. The
 * others may not: the second sending could undo what somebody else did after the first.
 */
export const REPEATABLE: { readonly [C in CommandType]: boolean } = {
  register: false,
  query: true,
  destruction: false,
  ping: true,
  hello: true,
};

/** A whole request line. @throws {RegistryError} `bad_request` where JSON cannot say it. */
export function encodeLine(type: CommandType, message: object): string {
  try {
    return encodeRequest(type, message);
  } catch (cause) {
    throw new RegistryError('bad_request', 'the request cannot be written as JSON', { cause });
  }
}

/**
 * Reads one line of the daemon's. `undefined` stands for an event: a line without a boolean `ok`, of which
 * this client knows none yet.
 *
 * @throws {ReplyError} `bad_reply`
 */
export function parseReply(line: Buffer): Reply | undefined {
  const message = parseObject(line);
  if (!('ok' in message) || typeof message.ok !== 'boolean') return undefined;
  if (!message.ok) return { ok: false, error: readError(message) };
  // Both are of the wire, not of the answer.
  const { ok: _, id: __, ...fields } = { id: undefined, ...message };
  return { ok: true, fields };
}

function parseObject(line: Buffer): object {
  let parsed: unknown;
  try {
    parsed = isUtf8(line) ? JSON.parse(line.toString('utf8')) : undefined;
  } catch {
    parsed = undefined;
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed;
  throw new ReplyError('bad_reply', 'the daemon sent a line that is not a JSON object: is it a registry?');
}

function readError(message: object): ReplyError {
  const error = 'error' in message ? message.error : undefined;
  if (typeof error !== 'object' || error === null || !('code' in error) || typeof error.code !== 'string') {
    return new ReplyError('bad_reply', 'the daemon answered an error without a code');
  }
  const text = 'message' in error && typeof error.message === 'string' ? error.message : error.code;
  return ReplyError.ofDaemon(error.code, text);
}

/** One row per command: whether a good reply has what this client and its callers rely on. */
const FORMS: { readonly [C in CommandType]: (fields: object) => fields is ReplyOf<C> } = {
  register: (fields): fields is RegisterReply =>
    hasText(fields, 'result') && hasNumbers(fields, ['revision', 'generation', 'registered']),
  query: (fields): fields is QueryReply =>
    'services' in fields && Array.isArray(fields.services) && hasNumbers(fields, ['revision']),
  destruction: (fields): fields is DestroyReply => hasNumbers(fields, ['removed', 'left']),
  ping: (fields): fields is object => typeof fields === 'object',
  hello: (fields): fields is HelloReply => hasText(fields, 'epoch') && hasNumbers(fields, ['protocol', 'revision']),
};

export function isReplyTo<C extends CommandType>(type: C, fields: object): fields is ReplyOf<C> {
  return FORMS[type](fields);
}

function hasText(fields: object, name: string): boolean {
  return typeof Reflect.get(fields, name) === 'string';
}

function hasNumbers(fields: object, names: readonly string[]): boolean {
  return names.every((name) => typeof Reflect.get(fields, name) === 'number');
}
