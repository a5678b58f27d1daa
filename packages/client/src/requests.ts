/**
 * The requests of one client that have no reply yet. The state of a request is the collection that it is in:
 *
 *     waiting   not written; it survives any number of connections
 *     sent      written to the present connection, which answers in this order
 *     neither   over
 *
 * A request that timed out or was aborted after it was sent is settled, but stays in `sent`: its reply still
 * comes, and has to be swallowed in its place.
 */

import type { CommandType, RegistryError, ReplyOf } from '@reg/protocol';
import { ReplyError } from './errors.js';
import { Wait, type WaitOptions } from './wait.js';
import { isReplyTo, type Reply } from './wire.js';

export interface CallOptions extends WaitOptions {
  /**
   * ms of silence after which the connection is taken for dead, when this request is given up. Unless given
   * it is the client's `requestTimeout`, or the request's own if that is longer.
   */
  readonly patience?: number;
  /** Whether it goes on waiting when its time is over, unless the connection is dead: its reply must not be missed. */
  readonly lasting?: boolean;
  /** Whether it is sent once more where the connection broke before the reply; otherwise it fails then. */
  readonly repeatable?: boolean;
  /** Whether it counts against `maxQueue`. What keeps or ends a registration does not compete for that. */
  readonly bounded?: boolean;
}

/** Who has to act on a good reply before what follows it on the connection is read. */
export interface ReplyListener<C extends CommandType> {
  /** Also where the request was given up meanwhile. */
  answered(reply: ReplyOf<C>): void;
}

/** One request and the wait for its reply. */
export class Call<C extends CommandType = CommandType> extends Wait<ReplyOf<C>, CallOptions> {
  readonly type: C;
  readonly line: string;
  /** When it was written, by the monotonic clock; `undefined` where it waits (again). */
  sentAt: number | undefined;
  /** Over which connection it was written; see `Link.session`. */
  session: number | undefined;

  readonly #listener: ReplyListener<C> | undefined;

  /** @param line the whole request, with its ending. */
  constructor(type: C, line: string, options: CallOptions, listener?: ReplyListener<C>) {
    super(options);
    this.type = type;
    this.line = line;
    this.#listener = listener;
  }

  /** Takes its reply; `false` where that is not of the form that a reply to this request has. */
  answer(reply: Reply): boolean {
    if (!reply.ok) {
      this.reject(reply.error);
      return true;
    }
    const { fields } = reply;
    if (!isReplyTo(this.type, fields)) return false;
    this.#listener?.answered(fields);
    this.resolve(fields);
    return true;
  }
}

/** Characters after which a write is closed and the next begun: a flood must not become one huge string. */
const BATCH_LENGTH = 64 * 1024;

export class Requests {
  #waiting = new Set<Call>();
  #sent = new Fifo<Call>();
  #bounded = 0;

  /** How many wait or are in flight, those included whose reply nobody waits for any more. */
  get size(): number {
    return this.#waiting.size + this.#sent.length;
  }

  /** How many of them count against `maxQueue`. */
  get bounded(): number {
    return this.#bounded;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Since when the connection owes its next reply, by the monotonic clock. */
  get owedSince(): number | undefined {
    return this.#sent.first?.sentAt;
  }

  add(call: Call): void {
    this.#waiting.add(call);
    if (call.options.bounded) this.#bounded += 1;
  }

  /** Takes a request out of the queue unless it was sent. */
  drop(call: Call): void {
    if (this.#waiting.delete(call)) this.#gone(call);
  }

  /** Moves what waits to `sent` and gives its text, about `BATCH_LENGTH` of it at most. */
  takeBatch(now: number, session: number): string {
    let text = '';
    for (const call of this.#waiting) {
      if (text.length >= BATCH_LENGTH) break;
      this.#waiting.delete(call);
      this.#sent.push(call);
      call.sentAt = now;
      call.session = session;
      text += call.line;
    }
    return text;
  }

  /** Gives a reply to the request whose turn it is; an error where it cannot be the reply to that. */
  answer(reply: Reply): ReplyError | undefined {
    const call = this.#sent.first;
    // Who closes a connection says why, also where nothing was asked.
    if (!call)
      return reply.ok ? new ReplyError('bad_reply', 'the daemon sent a reply that nothing had asked for') : reply.error;
    if (!call.answer(reply)) {
      return new ReplyError('bad_reply', `the daemon's reply is not of the form that ${call.type} has`);
    }
    this.#shift();
    return undefined;
  }

  /** Fails the request whose reply could not be read. */
  failOldest(error: RegistryError): void {
    this.#shift()?.reject(error);
  }

  /**
   * The connection is gone: what can be repeated waits again, ahead of what was made later; `makeError` is
   * what the rest fails with.
   */
  disconnected(makeError: () => RegistryError): void {
    const later = this.#waiting;
    this.#waiting = new Set();
    for (let call = this.#shift(); call; call = this.#shift()) {
      if (call.settled) continue;
      if (call.options.repeatable) {
        call.sentAt = undefined;
        this.add(call);
      } else {
        call.reject(makeError());
      }
    }
    for (const call of later) this.#waiting.add(call);
  }

  failWaiting(makeError: () => RegistryError): void {
    for (const call of this.#waiting) {
      this.drop(call);
      call.reject(makeError());
    }
  }

  failAll(makeError: () => RegistryError): void {
    for (let call = this.#shift(); call; call = this.#shift()) call.reject(makeError());
    this.failWaiting(makeError);
  }

  #shift(): Call | undefined {
    const call = this.#sent.shift();
    if (call) this.#gone(call);
    return call;
  }

  #gone(call: Call): void {
    if (call.options.bounded) this.#bounded -= 1;
  }
}

/** First in, first out, at a constant cost however long it grows; `Array.shift` moves what is left. */
class Fifo<T> {
  #items: T[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const first = this.first;
    if (this.#head < this.#items.length) this.#head += 1;
    // Half empty is when moving the rest costs no more than what was taken since the last time.
    if (this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return first;
  }
}
