/** Requests to lines, and lines to replies and events: the client's side of docs/protocol.md. */

import { isUtf8 } from 'node:buffer';
import {
  type AcksReply,
  type AuditReply,
  type AuthReply,
  type BackupReply,
  type ChangeEvent,
  type CommandType,
  type DestroyReply,
  type EndedEvent,
  type Event,
  type ExplainReply,
  encodeRequest,
  type HeartbeatReply,
  type HelloReply,
  isObject,
  type ProgressEvent,
  type QueryReply,
  type RegisterReply,
  RegistryError,
  type ReplyOf,
  type ResetEvent,
  type StateEvent,
  type StatusReply,
  type SyncedEvent,
  type WatchReply,
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
  // These are about the connection that they are sent on.
  heartbeat: false,
  watch: false,
  unwatch: false,
  ack: false,
  // A page goes on where the page before ended, on the same connection.
  backup: false,
  acks: true,
  explain: true,
  status: true,
  audit: true,
  ping: true,
  hello: true,
  // Of the connection, too.
  auth: false,
};

/** A whole request line. @throws {RegistryError} `bad_request` where JSON cannot say it. */
export function encodeLine(type: CommandType, message: object): string {
  try {
    return encodeRequest(type, message);
  } catch (cause) {
    throw new RegistryError('bad_request', 'the request cannot be written as JSON', { cause });
  }
}

/** The line that says who the client is. It holds a secret, and is nobody's to show. */
export function authLine(token: string): string {
  return `${JSON.stringify({ type: 'auth', token })}\r\n`;
}

/** Whether a good reply is one to `authLine`. */
export function isAuthReply(fields: object): boolean {
  return hasText(fields, 'caller');
}

/** One line of the daemon's: the answer to a request, or what it says of its own accord. */
export type Message = { readonly reply: Reply } | { readonly event: Event };

/**
 * Reads one line of the daemon's. A line without a boolean `ok` is an event; `undefined` stands for one of a type that
 * this client does not know.
 *
 * @throws {ReplyError} `bad_reply`
 */
export function parseLine(line: Buffer): Message | undefined {
  const message = parseObject(line);
  if (!('ok' in message) || typeof message.ok !== 'boolean') return parseEvent(message);
  if (!message.ok) return { reply: { ok: false, error: readError(message) } };
  // Both are of the wire, not of the answer.
  const { ok: _, id: __, ...fields } = { id: undefined, ...message };
  return { reply: { ok: true, fields } };
}

function parseEvent(message: object): Message | undefined {
  const type = 'type' in message ? message.type : undefined;
  if (!isEventType(type)) return undefined;
  if (isEvent(type, message)) return { event: message };
  throw new ReplyError('bad_reply', `the daemon sent an event that is not of the form that ${type} has`);
}

function parseObject(line: Buffer): object {
  let parsed: unknown;
  try {
    parsed = isUtf8(line) ? JSON.parse(line.toString('utf8')) : undefined;
  } catch {
    parsed = undefined;
  }
  if (isObject(parsed)) return parsed;
  throw new ReplyError('bad_reply', 'the daemon sent a line that is not a JSON object: is it a registry?');
}

function readError(message: object): ReplyError {
  const error = 'error' in message ? message.error : undefined;
  if (typeof error !== 'object' || error === null || !('code' in error) || typeof error.code !== 'string') {
    return new ReplyError('bad_reply', 'the daemon answered an error without a code');
  }
  const text = 'message' in error && typeof error.message === 'string' ? error.message : error.code;
  const limit = 'limit' in error && typeof error.limit === 'string' ? error.limit : undefined;
  const retryAfter = 'retryAfter' in error && typeof error.retryAfter === 'number' ? error.retryAfter : undefined;
  return ReplyError.ofDaemon(error.code, text, { limit, retryAfter });
}

/** One row per command: whether a good reply has what this client and its callers rely on. */
const FORMS: { readonly [C in CommandType]: (fields: object) => fields is ReplyOf<C> } = {
  register: (fields): fields is RegisterReply =>
    hasText(fields, 'result') && hasNumbers(fields, ['revision', 'generation', 'registered']),
  query: (fields): fields is QueryReply =>
    'services' in fields && Array.isArray(fields.services) && hasNumbers(fields, ['revision']),
  destruction: (fields): fields is DestroyReply => hasNumbers(fields, ['removed', 'left']),
  heartbeat: (fields): fields is HeartbeatReply => hasNumbers(fields, ['held']),
  watch: (fields): fields is WatchReply => hasText(fields, 'epoch') && hasNumbers(fields, ['watch', 'progress']),
  unwatch: (fields): fields is object => typeof fields === 'object',
  ack: (fields): fields is object => typeof fields === 'object',
  acks: (fields): fields is AcksReply => hasNumbers(fields, ['watches', 'acknowledged']),
  explain: (fields): fields is ExplainReply => hasNumbers(fields, ['revision', 'watches']),
  backup: (fields): fields is BackupReply =>
    hasText(fields, 'epoch') &&
    hasNumbers(fields, ['revision', 'taken', 'instances']) &&
    'services' in fields &&
    Array.isArray(fields.services),
  status: (fields): fields is StatusReply => hasText(fields, 'epoch') && 'instances' in fields,
  audit: (fields): fields is AuditReply => hasText(fields, 'kept') && hasList(fields, 'entries'),
  ping: (fields): fields is object => typeof fields === 'object',
  hello: (fields): fields is HelloReply => hasNumbers(fields, ['protocol']),
  auth: (fields): fields is AuthReply => hasText(fields, 'caller'),
};

export function isReplyTo<C extends CommandType>(type: C, fields: object): fields is ReplyOf<C> {
  return FORMS[type](fields);
}

type EventType = Event['type'];

/** One row per type of event: whether it has what this client and its callers rely on. */
const EVENT_FORMS: { readonly [T in EventType]: (event: object) => event is Extract<Event, { type: T }> } = {
  reset: (event): event is ResetEvent => hasText(event, 'reason') && hasNumbers(event, ['watch']),
  state: (event): event is StateEvent =>
    hasNumbers(event, ['watch']) &&
    'services' in event &&
    Array.isArray(event.services) &&
    event.services.every(isNamed),
  ended: (event): event is EndedEvent => hasNumbers(event, ['watch']) && isFailure(Reflect.get(event, 'error')),
  synced: (event): event is SyncedEvent => hasText(event, 'epoch') && hasNumbers(event, ['watch', 'revision']),
  change: (event): event is ChangeEvent =>
    hasText(event, 'change') &&
    hasNumbers(event, ['watch', 'revision', 'at']) &&
    isNamed(Reflect.get(event, 'service')),
  progress: (event): event is ProgressEvent => hasNumbers(event, ['revision']),
};

function isEventType(type: unknown): type is EventType {
  return typeof type === 'string' && Object.hasOwn(EVENT_FORMS, type);
}

function isEvent(type: EventType, message: object): message is Event {
  return EVENT_FORMS[type](message);
}

/** Whether it says which instance it is about. */
function isNamed(record: unknown): boolean {
  return typeof record === 'object' && record !== null && hasText(record, 'key') && hasNumbers(record, ['generation']);
}

function isFailure(error: unknown): boolean {
  return typeof error === 'object' && error !== null && hasText(error, 'code') && hasText(error, 'message');
}

function hasText(fields: object, name: string): boolean {
  return typeof Reflect.get(fields, name) === 'string';
}

function hasList(fields: object, name: string): boolean {
  return Array.isArray(Reflect.get(fields, name));
}

function hasNumbers(fields: object, names: readonly string[]): boolean {
  return names.every((name) => typeof Reflect.get(fields, name) === 'number');
}
