import type { Duplex } from 'node:stream';
import { encodeError, RegistryError, type RequestId } from '@reg/protocol';
import type { Eventually } from './log/log.js';
import { type KnownLines, MAX_REPLY_BYTES, SPARE_BYTES } from './registry/known-lines.js';
import type { Reply } from './reply.js';
import type { Outlet } from './watch/feed.js';

/** A place in the order of replies; empty until the reply is there. */
interface Slot {
  reply: Reply | undefined;
  /** What it holds in memory, roughly: the request while it is not durable, and the reply. */
  bytes: number;
}

/** How much text is gathered before it is written. */
const WRITE_CHARS = 64 * 1024;
/** UTF-8 takes as many bytes at most for a unit of a text. */
const MAX_BYTES_OF_CHAR = 3;
/** So many replies may wait, or so much memory be held for them, before no more requests are taken. */
const MAX_WAITING = 1024;
const MAX_WAITING_BYTES = 1024 * 1024;
/** How many pieces of a long reply are made in one turn of the loop. */
const PIECES_PER_TURN = 8;

/**
 * The replies of one session on their way out: in the order of the requests, and none before what it shows is
 * durable; and the events of its feed, which wait for nothing and are not added while the peer does not read. This is
 * the one place that writes to a socket. What a turn has to say is written at once. What the peer does not read is
 * bounded: while `isFull`, the session takes no more requests.
 */
export class Outbox implements Outlet {
  readonly #stream: Duplex;
  readonly #durable: () => number;
  readonly #onRoom: () => void;
  readonly #slots: Slot[] = [];
  /** The sum of the slots. A long reply counts as more than may wait. */
  #waitingBytes = 0;
  #piecesLeft = PIECES_PER_TURN;
  /** Some of a long reply was gathered, and not all of it. */
  #isWithinReply = false;
  #carriesEvents = false;
  /** The peer has to read before more is written. */
  #isClogged = false;
  #isYielding = false;
  /** Ready and not yet written: whole lines, but for a long reply. */
  #text = '';
  #writes = 0;

  /**
   * @param durable tells the revision up to which everything is durable.
   * @param onRoom is told when something has left by itself, outside of a call of `send`.
   */
  constructor(stream: Duplex, durable: () => number, onRoom: () => void) {
    this.#stream = stream;
    this.#durable = durable;
    this.#onRoom = onRoom;
  }

  /**
   * Whether no more requests are to be taken. Where the connection carries events, that the peer does not read them is
   * no reason: its heartbeats count, and the replies wait in their slots.
   */
  get isFull(): boolean {
    const isClosed = this.#isClogged && !this.#carriesEvents;
    return isClosed || this.#slots.length >= MAX_WAITING || this.#waitingBytes > MAX_WAITING_BYTES;
  }

  /** Whether everything has been handed to the stream. */
  get isEmpty(): boolean {
    return this.#slots.length === 0 && this.#text === '';
  }

  /**
   * Adds the reply to the next request. It leaves with the next `send`, or when it is ready.
   *
   * @param requestBytes the length of the request.
   */
  add(id: RequestId | undefined, requestBytes: number, reply: Eventually<Reply>): void {
    if (reply instanceof Promise) {
      this.#await(id, requestBytes, reply);
    } else if (typeof reply.line === 'string' && this.#mayPass(reply)) {
      this.#gather(reply.line);
      reply.onSent?.();
    } else {
      this.#push({ reply, bytes: requestBytes + bytesOf(reply) });
    }
  }

  /** Whether a reply that waits for nothing may leave at once. */
  get isFree(): boolean {
    return this.#slots.length === 0 && !this.#isClogged;
  }

  /** Adds a reply that is known, byte by byte; only while the outbox `isFree`. */
  addKnown(known: KnownLines, place: number): void {
    if (room.user !== this) this.#enterRoom();
    room.length += known.copyReply(place, room.view, room.length);
    if (room.length >= WRITE_CHARS) this.#write();
  }

  /** Writes what is ready, as far as the peer takes it. */
  send(): void {
    while (!this.#isClogged) {
      const slot = this.#slots[0];
      if (slot?.reply === undefined || slot.reply.shows > this.#durable()) break;
      const { line } = slot.reply;
      if (typeof line === 'string') {
        this.#gather(line);
        slot.reply.onSent?.();
      } else {
        const piece = this.#nextPiece(line);
        if (piece === undefined) break;
        this.#isWithinReply = !piece.done;
        if (!piece.done) {
          this.#gather(piece.value);
          continue;
        }
      }
      this.#slots.shift();
      this.#waitingBytes -= slot.bytes;
    }
    this.#write();
  }

  /** The peer has read what was written. */
  drained(): void {
    this.#isClogged = false;
  }

  /** What shows changes that were undone fails with `error` instead. */
  fail(error: Error): void {
    for (const slot of this.#slots) {
      if (slot.reply === undefined || slot.reply.shows <= this.#durable()) continue;
      this.#fill(slot, errorReply(slot.reply.id, error));
    }
  }

  /** Whether events may be added: the peer reads, no more waits than is written at once, and no reply is half said. */
  get isOpen(): boolean {
    return !this.#isClogged && this.#text.length < WRITE_CHARS && !this.#isWithinReply;
  }

  /** How many times something was written. */
  get writes(): number {
    return this.#writes;
  }

  /** Adds whole lines. */
  addEvents(lines: string): void {
    this.#carriesEvents = true;
    if (room.user === this) this.#write();
    this.#text += lines;
  }

  /** Has the session resumed in the next turn of the loop. */
  yield(): void {
    if (this.#isYielding) return;
    this.#isYielding = true;
    setImmediate(() => {
      this.#isYielding = false;
      this.#onRoom();
    });
  }

  #await(id: RequestId | undefined, requestBytes: number, reply: Promise<Reply>): void {
    const slot: Slot = { reply: undefined, bytes: requestBytes };
    this.#push(slot);
    const settle = (settled: Reply): void => {
      this.#fill(slot, settled);
      this.#onRoom();
    };
    reply.then(settle, (error: unknown) => settle(errorReply(id, error)));
  }

  /** Whether the reply may leave at once: it waits for nothing, and nothing waits before it. */
  #mayPass({ shows }: Reply): boolean {
    return this.#slots.length === 0 && shows <= this.#durable() && !this.#isClogged;
  }

  /** `undefined` where none is to be made now: the peer has to read first, or others have their turn. */
  #nextPiece(line: Iterator<string>): IteratorResult<string> | undefined {
    if (this.#isClogged || this.#piecesLeft === 0) return undefined;
    this.#piecesLeft -= 1;
    // A stream drains within the turn as long as the system takes everything, so it does not end the turn.
    if (this.#piecesLeft === 0) {
      setImmediate(() => {
        this.#piecesLeft = PIECES_PER_TURN;
        this.#onRoom();
      });
    }
    return line.next();
  }

  #push(slot: Slot): void {
    this.#slots.push(slot);
    this.#waitingBytes += slot.bytes;
  }

  #fill(slot: Slot, reply: Reply): void {
    slot.reply = reply;
    this.#waitingBytes += bytesOf(reply) - slot.bytes;
    slot.bytes = bytesOf(reply);
  }

  #gather(text: string): void {
    if (room.user === this) {
      if (room.add(text)) return;
      this.#write();
    }
    this.#text += text;
    if (this.#text.length >= WRITE_CHARS) this.#write();
  }

  /** Takes the room, and puts there what was gathered so far. */
  #enterRoom(): void {
    // Only where a stream hands on what it is given within the call, as those of tests do.
    if (room.user !== undefined) room.user.#write();
    if (!room.add(this.#text)) this.#write();
    this.#text = '';
    room.user = this;
  }

  #write(): void {
    const isKnown = room.user === this;
    const ready = isKnown ? room.take() : this.#text;
    if (ready === '') return;
    this.#text = '';
    this.#writes += 1;
    const isTaken = this.#stream.write(ready, isKnown ? 'latin1' : 'utf8');
    // A stream that has handed on everything it was given asks for a drain all the same, where that was much.
    this.#isClogged = !isTaken && this.#stream.writableLength > 0;
  }
}

/**
 * Where known replies are put together before they are written: in bytes, as they are kept, of which no text is made.
 * All outboxes share it, since it is empty again when a session has been resumed.
 */
class Room {
  /** Whose replies are in it. */
  user: Outbox | undefined;
  length = 0;
  readonly #bytes = Buffer.allocUnsafeSlow(WRITE_CHARS + MAX_REPLY_BYTES + SPARE_BYTES);
  readonly view = new DataView(this.#bytes.buffer);

  /** @returns whether the text had room. */
  add(text: string): boolean {
    if (this.length + text.length * MAX_BYTES_OF_CHAR > this.#bytes.length) return false;
    this.length += this.#bytes.write(text, this.length);
    return true;
  }

  /** What is in it, a character for each byte. */
  take(): string {
    const taken = this.#bytes.toString('latin1', 0, this.length);
    this.user = undefined;
    this.length = 0;
    return taken;
  }
}

const room = new Room();

/** The reply that says why there is no other. What is no `RegistryError` is ours to know, not the peer's. */
export function errorReply(id: RequestId | undefined, error: unknown): Reply {
  const known = error instanceof RegistryError ? error : new RegistryError('internal');
  return { id, shows: 0, line: encodeError(id, known) };
}

function bytesOf({ line }: Reply): number {
  return typeof line === 'string' ? line.length : MAX_WAITING_BYTES + 1;
}
