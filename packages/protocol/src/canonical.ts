/**
 * A short cut for the requests that nearly all traffic consists of: a register of one text, and a query of one service,
 * in the very form in which `JSON.stringify` writes them. Their fields are cut out of the chunk as it arrived, without
 * a buffer, a parse or a check of their own. It decides nothing: whatever is not byte for byte of these forms is left to
 * framing.ts and codec.ts, and what is taken becomes what those would have made of it
 * (test/canonical.test.ts compares). Whoever removes the one call of it in reader.ts loses speed and nothing else.
 *
 *     {"type":"query","key":"redis"}
 *     {"type":"register","key":"redis","instance":"a","values":"10.0.0.1:6379","timeout":30}
 *
 * `instance` may be absent, and `timeout` may be a string of digits.
 */

import { NOT_SELECTIVE } from './checks.js';
import { type Limits, MAX_NAME_BYTES, MAX_TIMEOUT } from './limits.js';
import { ALL, EVERY_INSTANCE, UNNAMED, UNOWNED } from './messages.js';
import type { QueryRequest, RegisterRequest } from './requests.js';

const QUERY = Buffer.from('{"type":"query","key":"');
const REGISTER = Buffer.from('{"type":"register","key":"');
const INSTANCE = Buffer.from(',"instance":"');
const VALUES = Buffer.from(',"values":"');
const TIMEOUT = Buffer.from(',"timeout":');
/** The first byte of a type, where each of the two differs from all others. */
const TYPE_AT = '{"type":"'.length;
const Q = 0x71;
const R = 0x72;
const QUOTE = 0x22;
const CLOSING = 0x7d;
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
const NINE = 0x39;

/** What a byte may stand in as itself: nothing, a value, or a name too, which has no slash. */
const IN_VALUE = 1;
const IN_NAME = 2;
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte);
  if (byte < 0x20 || byte > 0x7e || char === '"' || char === '\\') return 0;
  return char === '/' ? IN_VALUE : IN_NAME;
});
/** So few digits are a number without loss, and `MAX_TIMEOUT` has no more. */
const MAX_DIGITS = 9;

/** Reads canonical requests out of one chunk after the other. */
export class CanonicalReader {
  readonly #limits: Limits;
  #chunk: Buffer = EMPTY;
  /** The chunk, a character for each byte; empty where nothing was cut out of it yet. */
  #text = '';
  #at = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Where the request that was read last has ended, its line ending included. */
  get end(): number {
    return this.#at;
  }

  /** Forgets the chunk that it has read last. */
  clear(): void {
    this.#chunk = EMPTY;
    this.#text = '';
  }

  /** The request that begins at `start`; `undefined` where that is not a whole one of a canonical form. */
  read(chunk: Buffer, start: number): QueryRequest | RegisterRequest | undefined {
    const type = chunk[start + TYPE_AT];
    if (type !== Q && type !== R) return undefined;
    if (chunk !== this.#chunk) {
      this.#chunk = chunk;
      this.#text = '';
    }
    this.#at = start;
    const request = type === Q ? this.#query() : this.#register();
    return request !== undefined && this.#endsLine(start) ? request : undefined;
  }

  #query(): QueryRequest | undefined {
    if (!this.#passes(QUERY)) return undefined;
    const key = this.#name();
    if (key === undefined) return undefined;
    return {
      type: 'query',
      id: undefined,
      key,
      instance: undefined,
      detail: false,
      limit: Number.POSITIVE_INFINITY,
      after: 0,
      selector: NOT_SELECTIVE,
    };
  }

  #register(): RegisterRequest | undefined {
    if (!this.#passes(REGISTER)) return undefined;
    const key = this.#name();
    if (key === undefined) return undefined;
    const instance = this.#passes(INSTANCE) ? this.#name() : UNNAMED;
    if (instance === undefined) return undefined;
    const values = this.#at + 1;
    if (!this.#passes(VALUES)) return undefined;
    const opening = this.#at - 1;
    if (!this.#passesText(IN_VALUE) || this.#at - opening > this.#limits.maxValueBytes) return undefined;
    const valuesEnd = this.#at;
    if (!this.#passes(TIMEOUT)) return undefined;
    const isQuoted = this.#passesByte(QUOTE);
    const digits = this.#at;
    const timeout = this.#seconds();
    if (timeout === undefined) return undefined;
    const body = isQuoted
      ? `${this.#cut(values, valuesEnd)},"timeout":${this.#cut(digits, this.#at)}`
      : this.#cut(values, this.#at);
    if (isQuoted && !this.#passesByte(QUOTE)) return undefined;
    return {
      type: 'register',
      id: undefined,
      key,
      instance,
      ttl: timeout * 1000,
      body,
      status: 'passing',
      linger: Number.POSITIVE_INFINITY,
      owner: UNOWNED,
      generation: 0,
      takeover: false,
    };
  }

  /** Passes a name and the quote that ends it; `undefined` where there is none, or none that needs no more thought. */
  #name(): string | undefined {
    const start = this.#at;
    if (!this.#passesText(IN_NAME)) return undefined;
    const length = this.#at - 1 - start;
    if (length === 0 || length > MAX_NAME_BYTES) return undefined;
    const name = this.#cut(start, this.#at - 1);
    return name === ALL || name === EVERY_INSTANCE ? undefined : name;
  }

  /** Passes digits that are above zero and do not begin with it. */
  #seconds(): number | undefined {
    const chunk = this.#chunk;
    const start = this.#at;
    let at = start;
    let seconds = 0;
    for (let byte = chunk[at]; byte !== undefined && byte >= ZERO && byte <= NINE; byte = chunk[at]) {
      seconds = seconds * 10 + byte - ZERO;
      at += 1;
    }
    this.#at = at;
    const isNumber = at > start && at - start <= MAX_DIGITS && chunk[start] !== ZERO;
    return isNumber && seconds <= MAX_TIMEOUT ? seconds : undefined;
  }

  /** Passes what stands for itself, and the quote behind it. */
  #passesText(least: number): boolean {
    const chunk = this.#chunk;
    let at = this.#at;
    while (at < chunk.length && (PLAIN[chunk[at] ?? 0] ?? 0) >= least) at += 1;
    this.#at = at;
    return this.#passesByte(QUOTE);
  }

  /** Passes these bytes, if it is they that follow. */
  #passes(bytes: Buffer): boolean {
    const chunk = this.#chunk;
    const start = this.#at;
    if (start + bytes.length > chunk.length) return false;
    for (let index = 0; index < bytes.length; index += 1) if (chunk[start + index] !== bytes[index]) return false;
    this.#at = start + bytes.length;
    return true;
  }

  #passesByte(byte: number): boolean {
    if (this.#chunk[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  #endsLine(start: number): boolean {
    if (!this.#passesByte(CLOSING)) return false;
    if (this.#at - start > this.#limits.maxLineBytes) return false;
    this.#passesByte(CR);
    return this.#passesByte(LF);
  }

  #cut(from: number, to: number): string {
    if (this.#text === '') this.#text = this.#chunk.toString('latin1');
    return this.#text.slice(from, to);
  }
}

const EMPTY: Buffer = Buffer.alloc(0);
