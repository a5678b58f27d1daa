/**
 * Lines to checked requests, and replies to lines: the daemon's side of docs/protocol.md. What leaves
 * `decodeRequest` needs no further check of its form.
 */

import { isUtf8 } from 'node:buffer';
import { type ErrorCode, RegistryError } from './errors.js';
import { type Limits, MAX_ID_BYTES, MAX_TAG_BYTES, MAX_TAGS, MAX_VALUE_DEPTH, MAX_WEIGHT } from './limits.js';
import { ALL, type CommandType, EVERY_INSTANCE, type RequestId, UNNAMED } from './messages.js';
import { checkName } from './names.js';
import { parseTimeout, timeoutToMs } from './timeout.js';

interface CheckedRequest<T extends CommandType> {
  readonly type: T;
  readonly id: RequestId | undefined;
}

export interface RegisterRequest extends CheckedRequest<'register'> {
  readonly key: string;
  readonly instance: string;
  /** Time to live in ms; `Infinity` for never. */
  readonly ttl: number;
  /**
   * Everything that another register may change, as the inside of a JSON object: `"values":…,"timeout":…`
   * and the labels given. Two registrations are the same but for time where their bodies are equal.
   */
  readonly body: string;
}

export interface QueryRequest extends CheckedRequest<'query'> {
  /** A service's name, or `ALL`. */
  readonly key: string;
  readonly instance: string | undefined;
  readonly detail: boolean;
  /** `Infinity` where none was asked for. */
  readonly limit: number;
  readonly after: number;
}

export interface DestroyRequest extends CheckedRequest<'destruction'> {
  readonly key: string;
  /** An instance, `UNNAMED`, or `EVERY_INSTANCE`. */
  readonly instance: string;
}

export type Request =
  | RegisterRequest
  | QueryRequest
  | DestroyRequest
  | CheckedRequest<'ping'>
  | CheckedRequest<'hello'>;

/** A request that could not be taken: the error, and the id that its reply has to carry. */
export class RequestError extends RegistryError {
  override readonly name = 'RequestError';
  readonly id: RequestId | undefined;

  constructor(code: ErrorCode, message: string, id: RequestId | undefined) {
    super(code, message);
    this.id = id;
  }
}

/**
 * Reads one line, without its ending.
 *
 * @throws {RequestError} with the code that says what is wrong; nothing else, whatever the bytes are.
 */
export function decodeRequest(line: Buffer, limits: Limits): Request {
  const fields = parseObject(line);
  const id = checkId(fields['id']);
  try {
    return checkRequest(fields, id, limits);
  } catch (error) {
    if (error instanceof RegistryError) throw new RequestError(error.code, error.message, id);
    throw error;
  }
}

/** What JSON.parse made of a line: it inherits nothing that has the name of a field. */
type Fields = Readonly<Record<string, unknown>>;

function parseObject(line: Buffer): Fields {
  if (!isUtf8(line)) throw new RequestError('bad_json', 'the line is not valid UTF-8', undefined);
  let parsed: unknown;
  try {
    parsed = JSON.parse(line.toString('utf8'));
  } catch {
    throw new RequestError('bad_json', 'the line is not valid JSON', undefined);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new RequestError('bad_request', 'a request must be a JSON object', undefined);
  }
  return parsed as Fields;
}

function checkId(id: unknown): RequestId | undefined {
  if (isAbsent(id)) return undefined;
  if (typeof id === 'string' && id.length <= MAX_ID_BYTES && Buffer.byteLength(id) <= MAX_ID_BYTES) return id;
  if (Number.isSafeInteger(id)) return id as number;
  throw new RequestError(
    'bad_request',
    `"id" must be a string of at most ${MAX_ID_BYTES} bytes or a safe integer`,
    undefined,
  );
}

/** One row per command. */
const CHECKS: {
  [T in CommandType]: (fields: Fields, id: RequestId | undefined, limits: Limits) => Request & { type: T };
} = {
  register: checkRegister,
  query: checkQuery,
  destruction: checkDestruction,
  ping: (_, id) => ({ type: 'ping', id }),
  hello: (_, id) => ({ type: 'hello', id }),
};

function checkRequest(fields: Fields, id: RequestId | undefined, limits: Limits): Request {
  const type = fields['type'];
  if (typeof type !== 'string') throw new RegistryError('bad_request', '"type" is missing or not a string');
  if (!Object.hasOwn(CHECKS, type)) {
    const known = Object.keys(CHECKS).join(', ');
    throw new RegistryError('unknown_type', `no such type of request; known are ${known}`);
  }
  return CHECKS[type as CommandType](fields, id, limits);
}

function checkRegister(fields: Fields, id: RequestId | undefined, limits: Limits): RegisterRequest {
  const key = checkName(required(fields, 'key'), 'key');
  const values = required(fields, 'values');
  const instance = checkInstance(fields);
  const timeout = parseTimeout(fields['timeout']);
  const body = `"values":${encodeValues(values, limits)},"timeout":${JSON.stringify(timeout)}${encodeLabels(fields, limits)}`;
  return { type: 'register', id, key, instance: instance ?? UNNAMED, ttl: timeoutToMs(timeout), body };
}

function checkQuery(fields: Fields, id: RequestId | undefined): QueryRequest {
  const key = required(fields, 'key');
  const instance = checkInstance(fields);
  if (key === ALL && instance !== undefined) {
    throw new RegistryError('bad_request', '"instance" goes with the name of a service, not with "all"');
  }
  const detail = fields['detail'];
  if (!isAbsent(detail) && typeof detail !== 'boolean')
    throw new RegistryError('bad_request', '"detail" must be a boolean');
  return {
    type: 'query',
    id,
    key: key === ALL ? ALL : checkName(key, 'key'),
    instance,
    detail: detail === true,
    limit: checkCount(fields, 'limit', 1) ?? Number.POSITIVE_INFINITY,
    after: checkCount(fields, 'after', 0) ?? 0,
  };
}

function checkDestruction(fields: Fields, id: RequestId | undefined): DestroyRequest {
  const key = checkName(required(fields, 'key'), 'key');
  const instance = fields['instance'] === EVERY_INSTANCE ? EVERY_INSTANCE : (checkInstance(fields) ?? UNNAMED);
  return { type: 'destruction', id, key, instance };
}

/** Clients in languages whose encoders write absent fields as null are meant to work. */
function isAbsent(field: unknown): field is undefined | null {
  return field === undefined || field === null;
}

function required(fields: Fields, name: string): unknown {
  const field = fields[name];
  if (field === undefined) throw new RegistryError('bad_request', `"${name}" is missing`);
  return field;
}

function checkInstance(fields: Fields): string | undefined {
  const instance = fields['instance'];
  return isAbsent(instance) ? undefined : checkName(instance, 'instance');
}

function checkCount(fields: Fields, name: string, least: number): number | undefined {
  const count = fields[name];
  if (isAbsent(count)) return undefined;
  if (Number.isSafeInteger(count) && (count as number) >= least) return count as number;
  throw new RegistryError('bad_request', `"${name}" must be a whole number of at least ${least}`);
}

function encodeValues(values: unknown, limits: Limits): string {
  checkTree(values);
  const encoded = JSON.stringify(values);
  if (isLonger(encoded, limits.maxValueBytes)) {
    throw new RegistryError(
      'value_too_large',
      `"values" must be at most ${limits.maxValueBytes} bytes of compact JSON`,
    );
  }
  return encoded;
}

/** Level by level, not by recursion: the stack must not depend on what a peer sends. */
function checkTree(values: unknown): void {
  let level = [values];
  for (let left = MAX_VALUE_DEPTH; level.length > 0; left -= 1) {
    const next: unknown[] = [];
    for (const item of level) {
      // JSON.parse makes Infinity of 1e999, and JSON.stringify would make null of that.
      if (typeof item === 'number' && !Number.isFinite(item)) {
        throw new RegistryError('bad_request', '"values" must hold no number beyond the range of a double');
      }
      if (typeof item !== 'object' || item === null) continue;
      if (left === 0) {
        throw new RegistryError('value_too_deep', `"values" must nest at most ${MAX_VALUE_DEPTH} levels deep`);
      }
      for (const child of Array.isArray(item) ? item : Object.values(item)) next.push(child);
    }
    level = next;
  }
}

function encodeLabels(fields: Fields, limits: Limits): string {
  const tags = fields['tags'];
  const meta = fields['meta'];
  const weight = fields['weight'];
  let encoded = '';
  if (!isAbsent(tags)) encoded += `,"tags":${encodeTags(tags)}`;
  if (!isAbsent(meta)) encoded += `,"meta":${encodeMeta(meta, limits)}`;
  if (!isAbsent(weight)) {
    if (!Number.isInteger(weight) || (weight as number) < 0 || (weight as number) > MAX_WEIGHT) {
      throw new RegistryError('bad_request', `"weight" must be a whole number from 0 to ${MAX_WEIGHT}`);
    }
    encoded += `,"weight":${JSON.stringify(weight)}`;
  }
  return encoded;
}

function encodeTags(tags: unknown): string {
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string')) {
    throw new RegistryError('bad_request', '"tags" must be an array of strings');
  }
  if (tags.length > MAX_TAGS || tags.some((tag) => isLonger(tag, MAX_TAG_BYTES))) {
    throw new RegistryError(
      'too_many_tags',
      `"tags" must be at most ${MAX_TAGS}, each of at most ${MAX_TAG_BYTES} bytes`,
    );
  }
  return JSON.stringify(tags);
}

function encodeMeta(meta: unknown, limits: Limits): string {
  const isTexts =
    typeof meta === 'object' &&
    meta !== null &&
    !Array.isArray(meta) &&
    Object.values(meta).every((text) => typeof text === 'string');
  if (!isTexts) throw new RegistryError('bad_request', '"meta" must be an object of strings');
  const encoded = JSON.stringify(meta);
  if (isLonger(encoded, limits.maxMetaBytes)) {
    throw new RegistryError('meta_too_large', `"meta" must be at most ${limits.maxMetaBytes} bytes of compact JSON`);
  }
  return encoded;
}

function isLonger(text: string, bytes: number): boolean {
  return text.length > bytes || (text.length * 3 > bytes && Buffer.byteLength(text) > bytes);
}

/** What ends every line that leaves. */
export const LINE_END = '\r\n';

/** The beginning of every good reply, up to where its own fields follow; the caller closes the object. */
export function openReply(id: RequestId | undefined): string {
  return id === undefined ? '{"ok":true' : `{"ok":true,"id":${JSON.stringify(id)}`;
}

/** A whole good reply. `fields` is the inside of a JSON object, or empty. */
export function encodeReply(id: RequestId | undefined, fields: string): string {
  return fields === '' ? `${openReply(id)}}${LINE_END}` : `${openReply(id)},${fields}}${LINE_END}`;
}

export function encodeError(id: RequestId | undefined, error: { code: ErrorCode; message: string }): string {
  const echo = id === undefined ? '' : `"id":${JSON.stringify(id)},`;
  return `{"ok":false,${echo}"error":{"code":"${error.code}","message":${JSON.stringify(error.message)}}}${LINE_END}`;
}

/** A whole request line, as a client sends it. */
export function encodeRequest(type: CommandType, message: object): string {
  return JSON.stringify({ type, ...message }) + LINE_END;
}
