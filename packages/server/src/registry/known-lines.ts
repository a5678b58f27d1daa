import type { Instance } from './instance.js';

/** Stands for the place of a line that is not known. */
export const UNKNOWN = -1;

/** A longer line is read each time, and a longer reply made each time. */
const MAX_LINE_BYTES = 512;
export const MAX_REPLY_BYTES = 2048;
/** A reply is copied by words, so that up to so many bytes behind it are written as well. */
export const SPARE_BYTES = 4;

/** A line may be in any of the places of its set, and in no other. */
const WAYS = 4;
const SET_BITS = 13;
const SETS = 2 ** SET_BITS;
const PLACES = SETS * WAYS;

/** Lines and replies lie one behind the other in a ring, which is made when there is a first one. */
const RING_BYTES = 8 * 1024 * 1024;
/** A record begins at a multiple of this. First the time as a double, then both lengths, then the line and the reply. */
const UNIT_BYTES = 8;
const HEAD_BYTES = 16;
const LENGTHS_AT = 8;
const RING_UNITS = RING_BYTES / UNIT_BYTES;
/** Where a record begins is counted in units from the first one on. Before the numbers become too large for the index, all begins anew. */
const MAX_COURSE = 2 ** 30;
/** Before everything that can be in the ring. */
const NOWHERE = -RING_UNITS - 1;

/** Lines begin to differ behind `{"type":"query","key":"`, and differ within so many bytes; the others are not hashed. */
const HASH_FROM = 23;
const HASH_BYTES = 64;
const LF = 0x0a;
/** An odd number whose bits are as good as random: 2^32 divided by the golden ratio. */
const SPREAD = 0x9e3779b1;

/** What makes the reply to a line the reply to the same line when it comes again. */
export interface Again {
  /** Its name, not as a slice of a longer text, which would be kept with it. */
  readonly service: string;
  /** What the line renews; `undefined` where it asks for all of the service. */
  readonly renewed: Instance | undefined;
  /** Of a query, registry time until which the reply holds, unless the service changes; of a renewal, its ttl in ms. */
  readonly time: number;
}

/**
 * Requests that come again word for word, and what they were answered. Who asks for a service again, or renews what is
 * registered, sends the same bytes, and is to have the same bytes. A line that is found by its bytes is not read, no
 * text is made of it, and nothing is looked up by name. What it takes lies together: among more than some thousand
 * services, most of what a request costs is waiting for memory.
 *
 * The reply to a query holds until its service changes, which has it forgotten, or something of the service expires;
 * the reply to a renewal as long as the instance is what it was. The latest are kept, as far as the ring reaches: some
 * 50,000 short ones. What is not kept costs time, and nothing else.
 */
export class KnownLines {
  /** Of each place the hash of its line, and where its record begins. */
  readonly #index = new Int32Array(2 * PLACES);
  /** What was kept with it: see `Again`. */
  readonly #renewed = new Array<Instance | undefined>(PLACES).fill(undefined);
  readonly #services = new Array<string>(PLACES).fill('');
  /** Where the next record begins. The one that was there before is gone, and so are all that are as old. */
  #course = 0;
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);

  constructor() {
    this.clear();
  }

  /** The place of the line that begins at `start`, its ending included; `UNKNOWN` where it has none. */
  find(chunk: Uint8Array, start: number): number {
    return this.#search(hashOf(chunk, start), chunk, start);
  }

  /**
   * Keeps the reply to a line, its ending included.
   *
   * @returns the line's place; `UNKNOWN` where one of the two is too long.
   */
  keep(line: Uint8Array, reply: string, { service, renewed, time }: Again): number {
    const replyBytes = Buffer.byteLength(reply);
    if (line.length > MAX_LINE_BYTES || replyBytes > MAX_REPLY_BYTES) return UNKNOWN;
    const hash = hashOf(line, 0);
    const found = this.#search(hash, line, 0);
    const course = this.#reserve(HEAD_BYTES + line.length + replyBytes);
    const place = found === UNKNOWN ? this.#oldestFrom(firstPlaceOf(hash)) : found;
    this.#index[2 * place] = hash;
    this.#index[2 * place + 1] = course;
    this.#renewed[place] = renewed;
    this.#services[place] = service;
    const at = this.#at(place);
    this.#view.setFloat64(at, renewed === undefined ? time : -time, true);
    this.#view.setInt32(at + LENGTHS_AT, line.length, true);
    this.#view.setInt32(at + LENGTHS_AT + 4, replyBytes, true);
    this.#bytes.set(line, at + HEAD_BYTES);
    encoder.encodeInto(reply, this.#bytes.subarray(at + HEAD_BYTES + line.length));
    return place;
  }

  /** Where another line has taken the place since, it is that one which is forgotten. */
  forget(place: number): void {
    if (place === UNKNOWN) return;
    this.#index[2 * place + 1] = NOWHERE;
    this.#renewed[place] = undefined;
  }

  clear(): void {
    this.#course = 0;
    this.#renewed.fill(undefined);
    for (let place = 0; place < PLACES; place += 1) this.#index[2 * place + 1] = NOWHERE;
  }

  /** Whether the line is still to be answered as it was. */
  holds(place: number, now: number): boolean {
    const time = this.#timeAt(place);
    if (time >= 0) return time > now;
    const renewed = this.#renewed[place];
    return renewed !== undefined && renewed.expiresAt > now;
  }

  /** What it is about, and was kept with: see `Again`. */
  serviceOf(place: number): string {
    return this.#services[place] ?? '';
  }

  renewedBy(place: number): Instance | undefined {
    return this.#timeAt(place) < 0 ? this.#renewed[place] : undefined;
  }

  timeOf(place: number): number {
    return Math.abs(this.#timeAt(place));
  }

  lineLengthOf(place: number): number {
    return this.#view.getInt32(this.#at(place) + LENGTHS_AT, true);
  }

  /** Copies the reply, and less than `SPARE_BYTES` that mean nothing behind it. @returns its length. */
  copyReply(place: number, target: DataView, start: number): number {
    const source = this.#view;
    const at = this.#at(place);
    const from = at + HEAD_BYTES + source.getInt32(at + LENGTHS_AT, true);
    const length = source.getInt32(at + LENGTHS_AT + 4, true);
    // By words, as the processor has them: no call that copies bytes is as quick for so few.
    for (let index = 0; index < length; index += 4)
      target.setInt32(start + index, source.getInt32(from + index, true), true);
    return length;
  }

  #search(hash: number, chunk: Uint8Array, start: number): number {
    const first = firstPlaceOf(hash);
    for (let place = first; place < first + WAYS; place += 1) {
      if (this.#index[2 * place] === hash && this.#isAt(place, chunk, start)) return place;
    }
    return UNKNOWN;
  }

  /** Below zero for a renewal, so that nothing else has to be looked at for a query. */
  #timeAt(place: number): number {
    return this.#view.getFloat64(this.#at(place), true);
  }

  #at(place: number): number {
    return ((this.#index[2 * place + 1] ?? 0) % RING_UNITS) * UNIT_BYTES;
  }

  #isAt(place: number, chunk: Uint8Array, start: number): boolean {
    if ((this.#index[2 * place + 1] ?? NOWHERE) < this.#course - RING_UNITS) return false;
    const bytes = this.#bytes;
    const from = this.#at(place) + HEAD_BYTES;
    const length = this.lineLengthOf(place);
    if (start + length > chunk.length) return false;
    for (let index = 0; index < length; index += 1) if (bytes[from + index] !== chunk[start + index]) return false;
    return true;
  }

  /** Where a record of so many bytes may begin: it does not go over the end of the ring. */
  #reserve(bytes: number): number {
    if (this.#bytes.length === 0) {
      this.#bytes = new Uint8Array(RING_BYTES + SPARE_BYTES);
      this.#view = new DataView(this.#bytes.buffer);
    }
    if (this.#course > MAX_COURSE) this.clear();
    const units = Math.ceil(bytes / UNIT_BYTES);
    const left = RING_UNITS - (this.#course % RING_UNITS);
    const course = this.#course + (left < units ? left : 0);
    this.#course = course + units;
    return course;
  }

  #oldestFrom(first: number): number {
    let oldest = first;
    for (let place = first + 1; place < first + WAYS; place += 1) {
      if ((this.#index[2 * place + 1] ?? 0) < (this.#index[2 * oldest + 1] ?? 0)) oldest = place;
    }
    return oldest;
  }
}

const encoder = new TextEncoder();

/** Four bytes at a time, since each step waits for the one before; what is left of the line one by one. */
function hashOf(chunk: Uint8Array, start: number): number {
  const end = Math.min(start + HASH_FROM + HASH_BYTES, chunk.length);
  let at = start + HASH_FROM;
  let hash = 0;
  for (; at + 3 < end; at += 4) {
    const a = chunk[at] ?? LF;
    const b = chunk[at + 1] ?? LF;
    const c = chunk[at + 2] ?? LF;
    const d = chunk[at + 3] ?? LF;
    if (a === LF || b === LF || c === LF || d === LF) break;
    hash = (Math.imul(hash, SPREAD) + (a | (b << 8) | (c << 16) | (d << 24))) | 0;
  }
  for (; at < end && chunk[at] !== LF; at += 1) hash = (Math.imul(hash, SPREAD) + (chunk[at] ?? 0)) | 0;
  return hash;
}

/** The upper bits of the product depend on all of the hash. */
function firstPlaceOf(hash: number): number {
  return (Math.imul(hash, SPREAD) >>> (32 - SET_BITS)) * WAYS;
}
