/**
 * One stream to a daemon, from the dial to its end: bytes to replies and events, text to bytes. It knows
 * nothing of requests, and nothing of what comes after it.
 */

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import {
  type Clock,
  type Event,
  LineReader,
  MAX_REPLY_BYTES,
  RegistryError,
  type Timer,
  TOO_LONG,
} from '@reg/protocol';
import { ReplyError, TimeoutError } from './errors.js';
import { authLine, isAuthReply, type Message, parseLine, type Reply } from './wire.js';

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
  /** What comes before everything else, until it is written. */
  #greeting: string;
  /** The first reply is the one to the greeting. */
  #isAuthenticating: boolean;
  #connecting: Timer | undefined;
  /** The daemon has said nothing yet on a connection that is open. */
  #isUnheard = false;
  #heardAt: number;
  #full = false;
  #closed = false;

  /**
   * @param connectTimeout ms until a stream that is still connecting is given up.
   * @param token is sent before everything else. Where the daemon refuses it, the connection closes for that reason.
   */
  constructor(stream: Duplex, handler: ConnectionHandler, clock: Clock, connectTimeout: number, token?: string) {
    this.#stream = stream;
    this.#handler = handler;
    this.#clock = clock;
    this.#greeting = token === undefined ? '' : authLine(token);
    this.#isAuthenticating = token !== undefined;
    this.#heardAt = clock.monotonic();
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('drain', () => this.#drained());
    stream.on('error', (error) => this.#broke(error));
    stream.on('end', () => this.#broke(new Error('the daemon closed the connection')));
    stream.on('close', () => this.#broke(new Error('the connection was closed')));
    unref(stream);
    if (isConnecting(stream)) {
      // Nothing is written before it is known who is at the other end.
      stream.once(stream instanceof TLSSocket ? 'secureConnect' : 'connect', () => this.#open());
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
    const greeting = this.#greeting;
    this.#greeting = '';
    this.#full = !this.#stream.write(greeting + text);
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
    this.#isUnheard = true;
    this.#handler.opened();
    if (this.#greeting !== '' && !this.#closed) this.write('');
  }

  #broke(error: Error): void {
    this.close(this.#closed ? error : explain(error, this.#stream, this.#isUnheard));
  }

  #drained(): void {
    this.#full = false;
    if (!this.#closed) this.#handler.drained();
  }

  #read(chunk: Buffer): void {
    if (this.#closed) return;
    this.#heardAt = this.#clock.monotonic();
    this.#isUnheard = false;
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
    if (!('reply' in message)) this.#handler.told(message.event);
    else if (this.#isAuthenticating) this.#authenticated(message.reply);
    else this.#handler.replied(message.reply);
  }

  #authenticated(reply: Reply): void {
    this.#isAuthenticating = false;
    if (!reply.ok) this.close(reply.error);
    else if (!isAuthReply(reply.fields)) {
      this.close(new ReplyError('bad_reply', "the daemon's reply is not of the form that auth has"));
    }
  }
}

/** What OpenSSL says where the first bytes of the peer are no TLS. */
const NO_TLS = /wrong version number|packet length too long|record layer failure/i;

/** The reason of a connection's end, and what it may mean: the two kinds of ports say nothing to who takes one for the other. */
function explain(error: Error, stream: Duplex, isUnheard: boolean): Error {
  const isSecure = stream instanceof TLSSocket;
  if (isSecure && NO_TLS.test(error.message)) {
    return new Error('it speaks no TLS: perhaps its address begins with reg://', { cause: error });
  }
  if (!isUnheard || !(stream instanceof Socket) || error instanceof RegistryError) return error;
  const guess = isSecure ? 'it wants another certificate of the client' : 'it wants TLS, and its address is regs://';
  return new Error(`${error.message} before it said anything: perhaps ${guess}`, { cause: error });
}

/** What keeps the process alive is the timer of a request; see `Call`. */
function unref(stream: Duplex): void {
  if (stream instanceof Socket) stream.unref();
}

function isConnecting(stream: Duplex): boolean {
  return 'connecting' in stream && stream.connecting === true;
}
