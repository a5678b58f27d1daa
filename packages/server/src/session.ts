import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { formatEndpoint, RegistryError, RequestError, type RequestId, RequestReader } from '@reg/protocol';
import { idleError } from './bounds.js';
import type { Caller } from './caller.js';
import type { Core } from './core.js';
import { dispatch, dispatchKnown, isAnswered } from './dispatch.js';
import type { Logger } from './logger.js';
import { errorReply, Outbox } from './outbox.js';
import { Holder } from './registry/holder.js';
import { UNKNOWN } from './registry/known-lines.js';
import type { Reply } from './reply.js';
import { certificateNameOf } from './tls.js';
import { Feed } from './watch/feed.js';

/** How long a line may stay unfinished, and a peer may read nothing of what waits for it, in ms. */
const STANDSTILL_MS = 30_000;
/** How long a peer may take to close its side when this side has closed, in ms. */
const FAREWELL_MS = 5000;
/** How long a session answers before it lets others have their turn, in ms. */
const TURN_MS = 5;
/** How many requests are answered before it looks whether that time is over. A look costs as much as a good part of one. */
const REQUESTS_PER_LOOK = 16;

/** Who is in this process, or cannot be told. */
const LOCAL = 'local';

/**
 * One connection: takes requests from a stream, line by line, and has them answered in order. It takes no more
 * than it can answer: while its outbox is full, what the peer sends stays in the peer's hands.
 */
export class Session {
  readonly #stream: Duplex;
  readonly #core: Core;
  readonly #logger: Logger;
  readonly #reader: RequestReader;
  readonly #outbox: Outbox;
  readonly #waiting: Set<Session>;
  readonly #caller: Caller;
  /** Takes no more bytes, and closes when everything is answered. */
  #isEnding = false;
  /** There may be lines to answer, but others are having their turn. */
  #isGivingWay = false;
  /** Registry time since when a line has been unfinished, the peer has not read, this side has been closed, nobody knows who asks. */
  #partialSince: number | undefined;
  #unreadSince: number | undefined;
  #finishedSince: number | undefined;
  #unknownSince: number | undefined;
  /** Whether anything came since the last look, and the registry time of the first at which nothing had. */
  #hasSpoken = true;
  #silentSince = 0;

  /** @param waiting is where the session puts itself to be resumed when the log has gone on. */
  constructor(stream: Duplex, core: Core, logger: Logger, waiting: Set<Session>) {
    this.#stream = stream;
    this.#core = core;
    this.#logger = logger;
    this.#waiting = waiting;
    this.#reader = new RequestReader(core.limits);
    this.#outbox = new Outbox(
      stream,
      () => core.log.durable,
      () => this.resume(),
    );
    const peer = peerOf(stream);
    this.#caller = {
      address: (stream instanceof Socket ? stream.remoteAddress : undefined) ?? LOCAL,
      holder: new Holder(peer, core.clock.wall()),
      feed: new Feed(core.hub, this.#outbox, peer),
      identity: undefined,
      certificateName: certificateNameOf(stream),
      rates: core.bounds.ratesFrom(core.clock.now()),
      account: undefined,
      backup: undefined,
    };
    const { certificateName } = this.#caller;
    if (certificateName !== undefined) core.access?.recognise(certificateName, this.#caller);
    stream.on('data', (chunk: Buffer) => {
      if (this.#isEnding) return;
      this.#hasSpoken = true;
      this.#reader.push(chunk);
      this.resume();
    });
    stream.on('drain', () => {
      this.#unreadSince = undefined;
      this.#outbox.drained();
      this.resume();
    });
    stream.on('end', () => this.end());
    stream.on('close', () => {
      this.#caller.feed.close();
      core.access?.leave(this.#caller);
    });
    stream.on('finish', () => {
      this.#finishedSince = core.clock.now();
    });
    stream.on('error', (error) => logger.debug({ err: error }, 'connection failed'));
  }

  /** What the connection holds. */
  get holder(): Holder {
    return this.#caller.holder;
  }

  /** What its caller may do may have changed. */
  reconsider(): void {
    this.#core.access?.reconsider(this.#caller);
  }

  /** Goes on wherever it stood: after new bytes, a drain, or a change that has become durable. */
  resume(): void {
    if (this.#stream.destroyed) return;
    this.#outbox.send();
    do {
      if (!this.#isGivingWay) this.#answerRequests();
      this.#outbox.send();
      // What has filled the outbox may have left it within the same call, and then nothing else calls back.
    } while (!this.#isGivingWay && this.#reader.unread && !this.#outbox.isFull);
    const { feed } = this.#caller;
    feed.resume();
    if (this.#outbox.isFull || this.#isGivingWay) this.#stream.pause();
    else if (this.#stream.isPaused()) this.#stream.resume();
    if (!this.#outbox.isEmpty || feed.isWaiting) this.#waiting.add(this);
    else if (this.#isEnding && !this.#reader.unread && !feed.isBusy) this.#finish();
    this.#watchLine();
  }

  /** What was undone may be in a backup that it is reading; that has to begin again. */
  dropBackup(): void {
    this.#caller.backup = undefined;
  }

  /** What waits for changes that were undone fails. */
  rollBack(error: Error): void {
    this.#outbox.fail(error);
    this.resume();
  }

  /** Takes no more bytes, answers what was read, tells what was asked for, and closes. */
  end(): void {
    this.#isEnding = true;
    this.resume();
  }

  destroy(): void {
    this.#waiting.delete(this);
    this.#caller.feed.close();
    this.#stream.destroy();
  }

  /** Closes a connection that has stood still for too long. To be called now and then. */
  checkStandstill(now: number): void {
    this.#unreadSince = this.#stream.writableLength > 0 ? (this.#unreadSince ?? now) : undefined;
    if (now - (this.#unreadSince ?? now) >= STANDSTILL_MS) {
      this.#logger.info({ code: 'slow_peer' }, 'closed: the peer has not read for too long');
      this.destroy();
    } else if (this.#isEnding) {
      if (now - (this.#finishedSince ?? now) >= FAREWELL_MS) this.destroy();
    } else if (now - (this.#partialSince ?? now) >= STANDSTILL_MS) {
      this.#logger.info({ code: 'slow_peer' }, 'closed: a line was not finished');
      const error = new RegistryError('slow_peer', `a line was not finished within ${STANDSTILL_MS / 1000} seconds`);
      this.#part(error);
    } else if (this.#isUnknownTooLong(now)) {
      this.#part(new RegistryError('unauthenticated', 'nobody has authenticated for too long'));
    } else {
      this.#checkIdle(now);
    }
  }

  /**
   * Whether somebody has to say who they are, and has not for the time of a handshake: they would keep others out. Nor
   * may who is nobody any more stay: their client comes back, perhaps with a token that is good.
   */
  #isUnknownTooLong(now: number): boolean {
    const { access, bounds } = this.#core;
    const isUnknown = access !== undefined && this.#caller.identity === undefined;
    this.#unknownSince = isUnknown ? (this.#unknownSince ?? now) : undefined;
    return now - (this.#unknownSince ?? now) >= bounds.values.handshakeTimeout * 1000;
  }

  /** Who holds or watches something is heard of otherwise: by what runs out, or by what is not read. */
  #checkIdle(now: number): void {
    const { idleTimeout } = this.#core.bounds.values;
    const { holder, feed } = this.#caller;
    if (this.#hasSpoken || holder.held.length > 0 || feed.watches > 0) {
      this.#hasSpoken = false;
      this.#silentSince = now;
    } else if (now - this.#silentSince >= idleTimeout * 1000) {
      this.#part(idleError(idleTimeout));
    }
  }

  /** Says why, and closes. */
  #part(error: RegistryError): void {
    this.#outbox.add(undefined, 0, errorReply(undefined, error));
    this.end();
  }

  #finish(): void {
    this.#caller.feed.close();
    this.#stream.end();
  }

  /** Answers one request at least, however many others have had their turn: it may be a heartbeat. */
  #answerRequests(): void {
    const { clock, turn } = this.#core;
    const now = clock.busy();
    const end = Math.min(turn.endFrom(now), now + TURN_MS);
    const perLook = now < end ? REQUESTS_PER_LOOK : 1;
    for (let answered = 1; !this.#outbox.isFull; answered += 1) {
      if (!this.#answerNext()) return;
      if (answered % perLook !== 0 || clock.busy() < end) continue;
      this.#isGivingWay = true;
      setImmediate(() => {
        this.#isGivingWay = false;
        this.resume();
      });
      return;
    }
  }

  /** @returns whether there was a request, or a line that should have been one. */
  #answerNext(): boolean {
    let id: RequestId | undefined;
    try {
      if (!this.#answerKnown()) {
        const reader = this.#reader;
        const { partial, lines, offset } = reader;
        const request = reader.next();
        if (request === undefined) return false;
        id = request.id;
        const reply = dispatch(request, this.#core, this.#caller);
        if (!partial && !(reply instanceof Promise)) this.#keep(lines, offset, reply);
        this.#outbox.add(id, reader.length, reply);
      }
    } catch (error) {
      if (!(error instanceof RegistryError)) this.#logger.error({ err: error }, 'a request failed');
      const isLine = error instanceof RequestError;
      if (isLine) id = error.id;
      this.#outbox.add(id, 0, errorReply(id, isLine ? this.#refusalOf(error) : error));
    }
    this.#partialSince = undefined;
    return true;
  }

  /**
   * Answers the next line where it is known word for word, and its reply holds and may leave at once.
   *
   * @returns whether it did.
   * @throws {RegistryError} `over_limit`; the line is read.
   */
  #answerKnown(): boolean {
    const reader = this.#reader;
    if (!reader.unread || reader.partial || !this.#outbox.isFree) return false;
    const { known } = this.#core.registry;
    const place = known.find(reader.lines, reader.offset);
    if (place === UNKNOWN || !isAnswered(place, this.#core, this.#caller)) return false;
    reader.skip(reader.offset + known.lineLengthOf(place));
    dispatchKnown(place, this.#core, this.#caller);
    this.#outbox.addKnown(known, place);
    return true;
  }

  /** Keeps what was answered to the line that was just read, from `start` on, if it will be answered so again. */
  #keep(lines: Buffer, start: number, { line, shows, again }: Reply): void {
    const { registry, log } = this.#core;
    // What can still be undone is not kept.
    if (again === undefined || typeof line !== 'string' || shows > log.durable) return;
    registry.keepAnswer(lines.subarray(start, this.#reader.offset), line, again);
  }

  /** What to answer to a line that is no request. It counts as one, else a flood of these would not be bounded. */
  #refusalOf(wrong: RequestError): unknown {
    const { access, bounds, clock } = this.#core;
    try {
      bounds.admitRequest(this.#caller.rates, this.#caller.account, clock.latest);
    } catch (error) {
      return error;
    }
    return access?.veil(wrong, this.#caller) ?? wrong;
  }

  #watchLine(): void {
    // While the daemon itself takes no more, the rest of the line may be waiting in the peer's hands.
    const isOwed = this.#reader.partial && !this.#outbox.isFull;
    this.#partialSince = isOwed ? (this.#partialSince ?? this.#core.clock.now()) : undefined;
  }
}

/** The peer's address, for people; `local` where it has none. */
function peerOf(stream: Duplex): string {
  if (!(stream instanceof Socket) || stream.remoteAddress === undefined) return LOCAL;
  return formatEndpoint({ host: stream.remoteAddress, port: stream.remotePort ?? 0 });
}
