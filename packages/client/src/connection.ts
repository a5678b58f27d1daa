/**
 * One stream to a daemon, from the dial to its end: bytes to replies and events, text to bytes. It knows
 * nothing of requests, and nothing of what comes after it.
 */

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, type Event, LineReader, MAX_REPLY_BYTES, type Timer, TOO_LONG } from '@reg/protocol';
import { ReplyError, TimeoutError } from './errors.js';
import { type Message, parseLine, type Reply } from './wire.js';

/** Who is told; `closed` once and last, and within the call of `close` where that is what ends it. */
export interface ConnectionHandler {
  opened(): void;
  replied(reply: Reply): void;
  told(event: Event): void;
  /** What was written is on its way, more may follow. */
  drained(): void;
  closed(error: Error): void;
}

export class Connection {
  readonly #stream: Duplex;
  readonly #handler: ConnectionHandler;
  readonly #clock: Clock;
  readonly #lines = new LineReader(MAX_REPLY_BYTES);
  #connecting: Timer | undefined;
  #heardAt: number;
  #full = false;
  #closed = false;

  /** @param connectTimeout ms until a stream that is still connecting is given up. */
  constructor(stream: Duplex, handler: ConnectionHandler, clock: Clock, connectTimeout: number) {
    this.#stream = stream;
    this.#handler = handler;
    this.#clock = clock;
    this.#heardAt = clock.monotonic();
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('drain', () => this.#drained());
    stream.on('error', (error) => this.close(error));
    stream.on('end', () => this.close(new Error('the daemon closed the connection')));
    stream.on('close', () => this.close(new Error('the connection was closed')));
    unref(stream);
    if (isConnecting(stream)) {
      stream.once('connect', () => this.#open());
      this.#connecting = clock.after(connectTimeout, () =>
        this.close(new TimeoutError(`no connection within ${connectTimeout} ms`)),
      );
    } else {
      process.nextTick(() => this.#open());
    }
  }

  /** When it opened or something was last received, by the monotonic clock. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Whether what was written has not left yet: more would only pile up in memory. */
  get full(): boolean {
    return this.#full;
  }

  write(text: string): void {
    this.#full = !this.#stream.write(text);
  }

  /** Ends it at once, and reports `error` as the reason. */
  close(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connecting?.cancel();
    this.#stream.destroy();
    this.#handler.closed(error);
  }

  #open(): void {
    if (this.#closed) return;
    this.#connecting?.cancel();
    this.#heardAt = this.#clock.monotonic();
    // Once more: a dial that tried several addresses has replaced the handle.
    unref(this.#stream);
    this.#handler.opened();
  }

  #drained(): void {
    this.#full = false;
    if (!this.#closed) this.#handler.drained();
  }

  #read(chunk: Buffer): void {
    if (this.#closed) return;
    this.#heardAt = this.#clock.monotonic();
    this.#lines.push(chunk);
    while (!this.#closed) {
      const line = this.#lines.next();
      if (line === undefined) return;
      this.#take(line);
    }
  }

  #take(line: Buffer | typeof TOO_LONG): void {
    let message: Message | undefined;
    try {
      if (line === TOO_LONG) throw new ReplyError('bad_reply', `the daemon sent a line over ${MAX_REPLY_BYTES} bytes`);
      message = parseLine(line);
    } catch (error) {
      this.close(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (!message) return;
    if ('reply' in message) this.#handler.replied(message.reply);
    else this.#handler.told(message.event);
  }
}

/** What keeps the process alive is the timer of a request; see `Call`. */
function unref(stream: Duplex): void {
  if (stream instanceof Socket) stream.unref();
}

function isConnecting(stream: Duplex): boolean {
  return 'connecting' in stream && stream.connecting === true;
}
