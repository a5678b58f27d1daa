import type { Duplex } from 'node:stream';
import { encodeError, RegistryError, type RequestId } from '@reg/protocol';
import type { Eventually } from './log/log.js';
import type { Reply } from './reply.js';

/** A place in the order of replies; empty until the reply is there. */
interface Slot {
  reply: Reply | undefined;
}

/** How much text is gathered before it is written. */
const WRITE_CHARS = 64 * 1024;
/** So many replies, or so much text of them, may wait before no more requests are taken. */
const MAX_WAITING = 1024;
const MAX_WAITING_CHARS = 1024 * 1024;
/** How many pieces of a long reply are made in one turn of the loop. */
const PIECES_PER_TURN = 8;

/**
 * The replies of one session on their way out: in the order of the requests, and none before what it shows is
 * durable. This is the one place that writes to a socket. What a turn has to say is written at once. What the
 * peer does not read is bounded: while `isFull`, the session takes no more requests.
 */
export class Outbox {
  readonly #stream: Duplex;
  readonly #durable: () => number;
  readonly #onRoom: () => void;
  readonly #slots: Slot[] = [];
  /** Characters in the slots; a long reply counts as more than may wait. */
  #waitingChars = 0;
  /** Ready and not yet written. */
  #text = '';

  /**
   * @param durable tells the revision up to which everything is durable.
   * @param onRoom is told when something has left by itself, outside of a call of `send`.
   */
  constructor(stream: Duplex, durable: () => number, onRoom: () => void) {
    this.#stream = stream;
    this.#durable = durable;
    this.#onRoom = onRoom;
  }

  get isFull(): boolean {
    return (
      this.#stream.writableNeedDrain || this.#slots.length >= MAX_WAITING || this.#waitingChars > MAX_WAITING_CHARS
    );
  }

  /** Whether everything has been handed to the stream. */
  get isEmpty(): boolean {
    return this.#slots.length === 0 && this.#text === '';
  }

  /** Adds the reply to the next request. It leaves with the next `send`, or when it is ready. */
  add(id: RequestId | undefined, reply: Eventually<Reply>): void {
    if (!(reply instanceof Promise)) {
      if (this.#slots.length === 0 && typeof reply.line === 'string' && reply.shows <= this.#durable()) {
        this.#gather(reply.line);
      } else {
        this.#slots.push({ reply });
        this.#waitingChars += charsOf(reply);
      }
      return;
    }
    const slot: Slot = { reply: undefined };
    this.#slots.push(slot);
    const settle = (settled: Reply): void => {
      slot.reply = settled;
      this.#waitingChars += charsOf(settled);
      this.#onRoom();
    };
    reply.then(settle, (error: unknown) => settle(errorReply(id, error)));
  }

  /** Writes what is ready. */
  send(): void {
    let pieces = PIECES_PER_TURN;
    for (;;) {
      const reply = this.#slots[0]?.reply;
      if (reply === undefined || reply.shows > this.#durable()) break;
      if (typeof reply.line === 'string') {
        this.#gather(reply.line);
      } else {
        if (this.#stream.writableNeedDrain) return;
        if (pieces === 0) {
          setImmediate(this.#onRoom);
          break;
        }
        pieces -= 1;
        const piece = reply.line.next();
        if (!piece.done) {
          this.#gather(piece.value);
          continue;
        }
      }
      this.#slots.shift();
      this.#waitingChars -= charsOf(reply);
    }
    this.#write();
  }

  /** What shows changes that were undone fails with `error` instead. */
  fail(error: Error): void {
    for (const slot of this.#slots) {
      if (slot.reply === undefined || slot.reply.shows <= this.#durable()) continue;
      this.#waitingChars -= charsOf(slot.reply);
      slot.reply = errorReply(slot.reply.id, error);
      this.#waitingChars += charsOf(slot.reply);
    }
  }

  #gather(text: string): void {
    this.#text += text;
    if (this.#text.length >= WRITE_CHARS) this.#write();
  }

  #write(): void {
    if (this.#text === '') return;
    this.#stream.write(this.#text);
    this.#text = '';
  }
}

/** The reply that says why there is no other. What is no `RegistryError` is ours to know, not the peer's. */
export function errorReply(id: RequestId | undefined, error: unknown): Reply {
  const known = error instanceof RegistryError ? error : new RegistryError('internal');
  return { id, shows: 0, line: encodeError(id, known) };
}

function charsOf({ line }: Reply): number {
  return typeof line === 'string' ? line.length : MAX_WAITING_CHARS + 1;
}
