/** Request bodies that can be sent once more, for an attempt on another instance. */

import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';

export type RequestBody = NonNullable<Dispatcher.DispatchOptions['body']> | null;

/** What one request sends, as often as it is sent. */
export interface Sendable {
  /** Whether it can be sent now, from its beginning. */
  readonly repeatable: boolean;
  /** Whether its source failed: the fault is the caller's then. */
  readonly failed: boolean;
  /** The body for one attempt. @param onRead is called whenever another piece of it is asked for. */
  open(onRead: () => void): RequestBody;
  /** Nothing of it will be sent any more. */
  close(): void;
}

/**
 * Texts, bytes, forms and blobs are sent again as they are. A stream can be read once only, and fetch makes a stream
 * of any body: what was read of it is kept, up to `limit` bytes, and as long as that is all, it can be sent again.
 */
export function makeSendable(body: RequestBody | undefined, limit: number): Sendable {
  if (isStream(body)) return new Recording(body, limit);
  return { repeatable: true, failed: false, open: () => body ?? null, close: () => {} };
}

type Chunk = string | Uint8Array;
type Stream = AsyncIterable<unknown> | Iterable<unknown>;

/** The types of undici know of Node's streams only, undici itself takes whatever can be iterated over. */
function isStream(body: unknown): body is Stream {
  if (typeof body !== 'object' || body === null || ArrayBuffer.isView(body)) return false;
  // A form can be iterated over too, but not for its bytes.
  if (Object.prototype.toString.call(body) === '[object FormData]') return false;
  return Symbol.asyncIterator in body || Symbol.iterator in body;
}

/** A stream that is read once and sent several times, by one attempt after the other: an attempt ends those before it. */
class Recording implements Sendable {
  readonly #stream: Stream;
  readonly #source: AsyncIterator<unknown> | Iterator<unknown>;
  readonly #limit: number;
  /** What was read, but for the first `#dropped` chunks. */
  #kept: Chunk[] = [];
  #dropped = 0;
  #bytes = 0;
  #state: 'open' | 'ended' | 'failed' = 'open';
  /** Shared: an attempt that was given up may still wait for what the next one needs. */
  #reading: Promise<void> | undefined;
  /** What the latest attempt sends. */
  #latest: Readable | undefined;

  constructor(stream: Stream, limit: number) {
    this.#stream = stream;
    this.#source = Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]();
    this.#limit = limit;
    // It may fail before it is read; who reads it then is told.
    if (stream instanceof Readable) stream.on('error', () => {});
  }

  get repeatable(): boolean {
    return this.#bytes <= this.#limit && !this.failed;
  }

  get failed(): boolean {
    return this.#state === 'failed';
  }

  open(onRead: () => void): Readable {
    // One that was given up while it was sent would read on, and past the limit take away what this one has to send.
    this.#latest?.destroy();
    this.#latest = Readable.from(this.#chunks(onRead), { objectMode: false });
    return this.#latest;
  }

  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ended';
    this.#kept = [];
    // The iterator of a stream that was not read yet would not close it.
    if (this.#stream instanceof Readable) this.#stream.destroy();
    else Promise.resolve(this.#source.return?.()).catch(() => {});
  }

  async *#chunks(onRead: () => void): AsyncGenerator<Chunk> {
    for (let index = 0; ; index += 1) {
      onRead();
      while (index === this.#dropped + this.#kept.length && this.#state === 'open') await this.#read();
      const chunk = this.#kept[index - this.#dropped];
      if (chunk === undefined) return;
      yield chunk;
    }
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readOne().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readOne(): Promise<void> {
    try {
      const { done, value } = await this.#source.next();
      if (done) this.#end('ended');
      else this.#keep(toChunk(value));
    } catch (error) {
      this.#end('failed');
      throw error;
    }
  }

  #end(state: 'ended' | 'failed'): void {
    if (this.#state === 'open') this.#state = state;
  }

  /** Over the limit nobody will begin anew, and who reads has had all that is kept. */
  #keep(chunk: Chunk): void {
    if (this.#state !== 'open' || chunk.length === 0) return;
    if (!this.repeatable) {
      this.#dropped += this.#kept.length;
      this.#kept = [];
    }
    this.#kept.push(chunk);
    this.#bytes += Buffer.byteLength(chunk);
  }
}

function toChunk(value: unknown): Chunk {
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  throw new TypeError('a request body must be a stream of strings or bytes');
}
