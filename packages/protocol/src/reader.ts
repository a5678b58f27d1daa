import { CanonicalReader } from './canonical.js';
import { decodeRequest, RequestError } from './codec.js';
import { LineReader, TOO_LONG } from './framing.js';
import type { Limits } from './limits.js';
import type { Request } from './requests.js';

/** Bytes to checked requests: framing.ts and codec.ts in one, and before them the short cut of canonical.ts. */
export class RequestReader {
  readonly #limits: Limits;
  readonly #lines: LineReader;
  readonly #canonical: CanonicalReader;
  #length = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#lines = new LineReader(limits.maxLineBytes);
    this.#canonical = new CanonicalReader(limits);
  }

  push(chunk: Buffer): void {
    this.#lines.push(chunk);
  }

  /**
   * The next request, or `undefined` where more bytes are needed.
   *
   * @throws {RequestError} where the next line is none; the one after it can be asked for.
   */
  next(): Request | undefined {
    return this.#nextCanonical() ?? this.#nextLine();
  }

  /** How many bytes the request had that `next` gave last. */
  get length(): number {
    return this.#length;
  }

  /** What was pushed last, with what was not read before it; and up to where that was read. */
  get lines(): Buffer {
    return this.#lines.chunk;
  }

  get offset(): number {
    return this.#lines.offset;
  }

  /** Takes note that somebody else has read whole lines, up to `offset`. Not within a line. */
  skip(offset: number): void {
    this.#lines.skip(offset);
  }

  /** Whether a line has begun whose end has not come. */
  get partial(): boolean {
    return this.#lines.partial;
  }

  /** Whether bytes are left that `next` has not looked at. */
  get unread(): boolean {
    return this.#lines.unread;
  }

  #nextCanonical(): Request | undefined {
    const lines = this.#lines;
    if (lines.partial) return undefined;
    const request = this.#canonical.read(lines.chunk, lines.offset);
    if (request === undefined) return undefined;
    this.#length = this.#canonical.end - lines.offset;
    lines.skip(this.#canonical.end);
    return request;
  }

  #nextLine(): Request | undefined {
    const line = this.#lines.next();
    if (line === undefined) {
      this.#canonical.clear();
      return undefined;
    }
    if (line === TOO_LONG) {
      throw new RequestError('line_too_long', `a line must be at most ${this.#limits.maxLineBytes} bytes`, undefined);
    }
    this.#length = line.length;
    return decodeRequest(line, this.#limits);
  }
}
