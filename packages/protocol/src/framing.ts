/**
 * Bytes to lines. A line ends with LF, and one CR before it belongs to the ending; blank lines do not
 * count. Lines are pulled, not pushed, so that a reader who cannot take more leaves the rest where it is.
 */

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;

/** Stands for a line that was longer than allowed; its bytes are gone. */
export const TOO_LONG = Symbol('line too long');

/** A carry that has grown beyond this is given back when its line is done. */
const KEEP_CARRY_BYTES = 4096;

export class LineReader {
  readonly #maxLineBytes: number;
  /** What was pushed and not yet read, from `#offset` on. */
  #chunk: Buffer = EMPTY;
  #offset = 0;
  /** The beginning of a line whose end has not come, at most `maxLineBytes` + 1 (for a CR) of it. */
  #carry: Buffer = EMPTY;
  #carried = 0;
  /** The current line is over the limit: everything up to its end is dropped. */
  #skipping = false;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  push(chunk: Buffer): void {
    this.#chunk =
      this.#offset < this.#chunk.length ? Buffer.concat([this.#chunk.subarray(this.#offset), chunk]) : chunk;
    this.#offset = 0;
  }

  /**
   * The next line without its ending, `TOO_LONG` in place of one over the limit, or `undefined` where more
   * bytes are needed. The line is valid only until the next call.
   */
  next(): Buffer | typeof TOO_LONG | undefined {
    while (this.unread) {
      const end = this.#chunk.indexOf(LF, this.#offset);
      const piece = this.#chunk.subarray(this.#offset, end === -1 ? this.#chunk.length : end);
      this.#offset += piece.length;
      if (end === -1) {
        this.#keep(piece);
        break;
      }
      this.#offset += 1;
      if (this.#skipping) {
        this.#skipping = false;
        return TOO_LONG;
      }
      const line = withoutCR(this.#carried === 0 ? piece : this.#joined(piece));
      if (line.length > this.#maxLineBytes) return TOO_LONG;
      if (!isBlank(line)) return line;
    }
    this.#chunk = EMPTY;
    this.#offset = 0;
    return undefined;
  }

  /** What was pushed last, with what was not read before it; and up to where it was read. */
  get chunk(): Buffer {
    return this.#chunk;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Takes note that somebody else has read whole lines of the chunk, up to `offset`. Not within a line. */
  skip(offset: number): void {
    this.#offset = offset;
  }

  /** Whether a line has begun whose end has not come. */
  get partial(): boolean {
    return this.#carried > 0 || this.#skipping;
  }

  /** Whether bytes are left that `next` has not looked at. */
  get unread(): boolean {
    return this.#offset < this.#chunk.length;
  }

  #keep(piece: Buffer): void {
    if (this.#skipping) return;
    const total = this.#carried + piece.length;
    if (total > this.#maxLineBytes + 1) {
      this.#skipping = true;
      this.#drop();
      return;
    }
    if (total > this.#carry.length) {
      // Doubling keeps the cost of a line that arrives byte by byte linear.
      const grown = Buffer.allocUnsafeSlow(
        Math.min(Math.max(total, this.#carry.length * 2, 256), this.#maxLineBytes + 1),
      );
      this.#carry.copy(grown, 0, 0, this.#carried);
      this.#carry = grown;
    }
    piece.copy(this.#carry, this.#carried);
    this.#carried = total;
  }

  #joined(piece: Buffer): Buffer {
    const line = Buffer.concat([this.#carry.subarray(0, this.#carried), piece]);
    this.#drop();
    return line;
  }

  #drop(): void {
    this.#carried = 0;
    if (this.#carry.length > KEEP_CARRY_BYTES) this.#carry = EMPTY;
  }
}

const EMPTY: Buffer = Buffer.alloc(0);

function withoutCR(line: Buffer): Buffer {
  return line.length > 0 && line[line.length - 1] === CR ? line.subarray(0, -1) : line;
}

function isBlank(line: Buffer): boolean {
  for (let i = 0; i < line.length; i += 1) {
    const byte = line[i];
    if (byte !== SPACE && byte !== TAB && byte !== CR) return false;
  }
  return true;
}
