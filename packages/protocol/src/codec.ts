/**
 * Lines to checked requests, and replies to lines: the daemon's side of docs/protocol.md. What leaves
 * `decodeRequest` needs no further check of its form.
 */

import { isUtf8 } from 'node:buffer';
import { checkRequest, type Fields, isAbsent, isObject } from './checks.js';
import { type ErrorCode, RegistryError } from './errors.js';
import { type Limits, MAX_ID_BYTES } from './limits.js';
import type { CommandType, RequestId } from './messages.js';
import type { Request } from './requests.js';

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

function parseObject(line: Buffer): Fields {
  if (!isUtf8(line)) throw new RequestError('bad_json', 'the line is not valid UTF-8', undefined);
  let parsed: unknown;
  try {
    parsed = JSON.parse(line.toString('utf8'));
  } catch {
    throw new RequestError('bad_json', 'the line is not valid JSON', undefined);
  }
  if (isObject(parsed)) return parsed;
  throw new RequestError('bad_request', 'a request must be a JSON object', undefined);
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

/** A whole failure. */
export function encodeError(id: RequestId | undefined, error: ErrorFields): string {
  const echo = id === undefined ? '' : `"id":${JSON.stringify(id)},`;
  return `{"ok":false,${echo}"error":${encodeErrorFields(error)}}${LINE_END}`;
}

/** What of an error is told. */
interface ErrorFields {
  readonly code: ErrorCode;
  readonly message: string;
  readonly limit?: string | undefined;
  readonly retryAfter?: number | undefined;
}

/** An error as an object of a line. */
export function encodeErrorFields({ code, message, limit, retryAfter }: ErrorFields): string {
  const bound = limit === undefined ? '' : `,"limit":${JSON.stringify(limit)}`;
  const after = retryAfter === undefined ? '' : `,"retryAfter":${retryAfter}`;
  return `{"code":"${code}","message":${JSON.stringify(message)}${bound}${after}}`;
}

/** A whole request line, as a client sends it. */
export function encodeRequest(type: CommandType, message: object): string {
  return JSON.stringify({ type, ...message }) + LINE_END;
}
