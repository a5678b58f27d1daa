/** What each type of request must hold, field by field. */

import { RegistryError } from './errors.js';
import {
  type Limits,
  MAX_OWNER_BYTES,
  MAX_TAG_BYTES,
  MAX_TAGS,
  MAX_TOKEN_BYTES,
  MAX_VALUE_DEPTH,
  MAX_WEIGHT,
} from './limits.js';
import {
  ALL,
  type CommandType,
  EVERY_INSTANCE,
  type OwnStatus,
  type RequestId,
  STATUSES,
  UNNAMED,
  UNOWNED,
} from './messages.js';
import { checkName } from './names.js';
import type {
  DestroyRequest,
  QueryRequest,
  RegisterRequest,
  Request,
  Scope,
  Selector,
  WatchRequest,
} from './requests.js';
import { lingerToMs, parseLinger, parseTimeout, timeoutToMs } from './timeout.js';

/** What JSON.parse made of a line: it inherits nothing that has the name of a field. */
export type Fields = Readonly<Record<string, unknown>>;

/** How many entries an `audit` without a limit is answered. */
const AUDIT_ENTRIES = 100;

/** The selector of a query that has none; always this one, so that it is told by one comparison. */
export const NOT_SELECTIVE: Selector = { status: undefined, tags: [], meta: [] };

/** One row per command. */
const CHECKS: {
  [T in CommandType]: (fields: Fields, id: RequestId | undefined, limits: Limits) => Request & { type: T };
} = {
  register: checkRegister,
  query: checkQuery,
  destruction: checkDestruction,
  heartbeat: (_, id) => ({ type: 'heartbeat', id }),
  watch: checkWatch,
  unwatch: (fields, id) => ({ type: 'unwatch', id, watch: requiredCount(fields, 'watch', 1) }),
  ack: (fields, id) => ({
    type: 'ack',
    id,
    watch: requiredCount(fields, 'watch', 1),
    revision: requiredCount(fields, 'revision', 0),
  }),
  acks: (fields, id) => ({
    type: 'acks',
    id,
    key: checkName(required(fields, 'key'), 'key'),
    revision: requiredCount(fields, 'revision', 0),
  }),
  explain: (fields, id) => ({
    type: 'explain',
    id,
    key: checkName(required(fields, 'key'), 'key'),
    instance: checkInstance(fields) ?? UNNAMED,
  }),
  backup: (fields, id) => ({ type: 'backup', id, after: checkCount(fields, 'after', 0) ?? 0 }),
  status: (_, id) => ({ type: 'status', id }),
  audit: (fields, id) => ({
    type: 'audit',
    id,
    limit: checkCount(fields, 'limit', 1) ?? AUDIT_ENTRIES,
    after: checkCount(fields, 'after', 0),
  }),
  ping: (_, id) => ({ type: 'ping', id }),
  hello: (_, id) => ({ type: 'hello', id }),
  auth: (fields, id) => ({ type: 'auth', id, token: checkToken(fields) }),
};

/** @throws {RegistryError} with the code that says what is wrong. */
export function checkRequest(fields: Fields, id: RequestId | undefined, limits: Limits): Request {
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
  return {
    type: 'register',
    id,
    key,
    instance: instance ?? UNNAMED,
    ttl: timeoutToMs(timeout),
    body,
    status: checkOwnStatus(fields),
    linger: lingerToMs(parseLinger(fields['linger'])),
    ...checkClaim(fields),
  };
}

/** By what right an instance is registered. */
function checkClaim(fields: Fields): Pick<RegisterRequest, 'owner' | 'generation' | 'takeover'> {
  const owner = checkOwner(fields);
  const generation = checkCount(fields, 'generation', 1) ?? 0;
  const takeover = checkFlag(fields, 'takeover');
  if (generation > 0 && owner === UNOWNED) throw new RegistryError('bad_request', '"generation" goes with "owner"');
  if (generation > 0 && takeover) {
    throw new RegistryError('bad_request', '"takeover" is for a first registration: it does not go with "generation"');
  }
  return { owner, generation, takeover };
}

function checkQuery(fields: Fields, id: RequestId | undefined): QueryRequest {
  const key = required(fields, 'key');
  const instance = checkInstance(fields);
  if (key === ALL && instance !== undefined) {
    throw new RegistryError('bad_request', '"instance" goes with the name of a service, not with "all"');
  }
  return {
    type: 'query',
    id,
    key: key === ALL ? ALL : checkName(key, 'key'),
    instance,
    detail: checkFlag(fields, 'detail'),
    limit: checkCount(fields, 'limit', 1) ?? Number.POSITIVE_INFINITY,
    after: checkCount(fields, 'after', 0) ?? 0,
    selector: checkSelector(fields),
  };
}

function checkDestruction(fields: Fields, id: RequestId | undefined): DestroyRequest {
  const key = checkName(required(fields, 'key'), 'key');
  const instance = fields['instance'] === EVERY_INSTANCE ? EVERY_INSTANCE : (checkInstance(fields) ?? UNNAMED);
  return { type: 'destruction', id, key, instance, owner: checkOwner(fields) };
}

function checkWatch(fields: Fields, id: RequestId | undefined): WatchRequest {
  const epoch = fields['epoch'];
  const after = checkCount(fields, 'after', 0);
  if (!isAbsent(epoch) && typeof epoch !== 'string') {
    throw new RegistryError('bad_request', '"epoch" must be a string');
  }
  if (isAbsent(epoch) !== (after === undefined)) {
    throw new RegistryError('bad_request', '"epoch" and "after" go together: they say where a watch resumes');
  }
  const from = isAbsent(epoch) || after === undefined ? undefined : { epoch, revision: after };
  return { type: 'watch', id, scope: checkScope(fields), from, ack: checkFlag(fields, 'ack') };
}

function checkScope({ key, prefix }: Fields): Scope {
  if (isAbsent(key) === isAbsent(prefix)) {
    throw new RegistryError('bad_request', 'a watch takes either "key" (a service, or "all") or "prefix"');
  }
  if (key === ALL) return { prefix: '' };
  return isAbsent(key) ? { prefix: checkPrefix(prefix) } : { service: checkName(key, 'key') };
}

/** A prefix is the beginning of names, and so of their form, but a reserved word may be one. */
function checkPrefix(prefix: unknown): string {
  return prefix === ALL || prefix === EVERY_INSTANCE ? prefix : checkName(prefix, 'prefix');
}

/** Whether it is what JSON calls an object. */
export function isObject(given: unknown): given is Fields {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

/** Clients in languages whose encoders write absent fields as null are meant to work. */
export function isAbsent(field: unknown): field is undefined | null {
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

function requiredCount(fields: Fields, name: string, least: number): number {
  const count = checkCount(fields, name, least);
  if (count === undefined) throw new RegistryError('bad_request', `"${name}" is missing`);
  return count;
}

function checkFlag(fields: Fields, name: string): boolean {
  const flag = fields[name];
  if (isAbsent(flag)) return false;
  if (typeof flag === 'boolean') return flag;
  throw new RegistryError('bad_request', `"${name}" must be a boolean`);
}

function checkOwner(fields: Fields): string {
  const owner = fields['owner'];
  if (isAbsent(owner)) return UNOWNED;
  if (typeof owner === 'string' && owner !== '' && !isLonger(owner, MAX_OWNER_BYTES) && owner.isWellFormed())
    return owner;
  throw new RegistryError('bad_request', `"owner" must be a string of 1 to ${MAX_OWNER_BYTES} bytes`);
}

/** Its form only: that it is nobody's token is found where it is compared. It is in no error. */
function checkToken(fields: Fields): string {
  const token = required(fields, 'token');
  if (typeof token === 'string' && token.length <= MAX_TOKEN_BYTES && /^[!-~]+$/.test(token)) return token;
  throw new RegistryError(
    'bad_request',
    `"token" must be 1 to ${MAX_TOKEN_BYTES} characters of ASCII that can be seen, without blanks`,
  );
}

function checkOwnStatus(fields: Fields): OwnStatus {
  const status = fields['status'];
  if (isAbsent(status)) return 'passing';
  if (status === 'passing' || status === 'draining' || status === 'critical') return status;
  throw new RegistryError('bad_request', '"status" must be "passing", "draining" or "critical"');
}

function checkSelector(fields: Fields): Selector {
  const { status, tags, meta } = fields;
  if (isAbsent(status) && isAbsent(tags) && isAbsent(meta)) return NOT_SELECTIVE;
  const known = [...STATUSES, 'any' as const].find((word) => word === status);
  if (!isAbsent(status) && known === undefined) {
    throw new RegistryError('bad_request', `"status" must be one of ${STATUSES.join(', ')}, or "any"`);
  }
  if (!isAbsent(tags) && !isTexts(tags)) throw new RegistryError('bad_request', '"tags" must be an array of strings');
  if (!isAbsent(meta) && !isTable(meta)) throw new RegistryError('bad_request', '"meta" must be an object of strings');
  return { status: known, tags: tags ?? [], meta: Object.entries(meta ?? {}) };
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
  if (!isTexts(tags)) throw new RegistryError('bad_request', '"tags" must be an array of strings');
  if (tags.length > MAX_TAGS || tags.some((tag) => isLonger(tag, MAX_TAG_BYTES))) {
    throw new RegistryError(
      'too_many_tags',
      `"tags" must be at most ${MAX_TAGS}, each of at most ${MAX_TAG_BYTES} bytes`,
    );
  }
  return JSON.stringify(tags);
}

function encodeMeta(meta: unknown, limits: Limits): string {
  if (!isTable(meta)) throw new RegistryError('bad_request', '"meta" must be an object of strings');
  const encoded = JSON.stringify(meta);
  if (isLonger(encoded, limits.maxMetaBytes)) {
    throw new RegistryError('meta_too_large', `"meta" must be at most ${limits.maxMetaBytes} bytes of compact JSON`);
  }
  return encoded;
}

export function isTexts(given: unknown): given is string[] {
  return Array.isArray(given) && given.every((text) => typeof text === 'string');
}

function isTable(given: unknown): given is Record<string, string> {
  return isObject(given) && isTexts(Object.values(given));
}

function isLonger(text: string, bytes: number): boolean {
  return text.length > bytes || (text.length * 3 > bytes && Buffer.byteLength(text) > bytes);
}
