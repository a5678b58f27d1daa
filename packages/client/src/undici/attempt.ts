import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '@reg/protocol';
import { type Dispatcher, errors } from 'undici';
import type { Upstream } from './upstream.js';

type Controller = Dispatcher.DispatchController;

/** Who is told how an attempt fares; of a response one of the last three, and nothing after it. */
export interface AttemptOwner {
  /** The first byte has come. */
  begun(attempt: Attempt): void;
  /** Headers; those of an informational response (status 1xx) are followed by others. */
  responded(attempt: Attempt, status: number, headers: IncomingHttpHeaders, message: string | undefined): void;
  received(attempt: Attempt, chunk: Buffer): void;
  ended(attempt: Attempt, trailers: IncomingHttpHeaders): void;
  upgraded(attempt: Attempt, status: number, headers: IncomingHttpHeaders, socket: Duplex): void;
  failed(attempt: Attempt, error: Error): void;
}

/** Bytes of a response that nobody wants: more than these cost more than a new connection. */
const MAX_DISCARDED = 64 * 1024;
/** And so long they may take, in ms: one that never ends would keep its connection, and whoever closes, for ever. */
const MAX_DISCARD_TIME = 1000;

/** One request to one instance. */
export class Attempt implements Dispatcher.DispatchHandler {
  readonly upstream: Upstream;
  /** Whether any of it may have reached the instance. */
  sent = false;
  /** Whether the instance was found to fail. */
  blamed = false;
  readonly #owner: AttemptOwner;
  readonly #clock: Clock;
  /** ms; 0 for none. */
  readonly #headersTimeout: number;
  /** Ends what the balancer counts as in flight. */
  readonly #untrack: () => void;
  #controller: Controller | undefined;
  #timer: Timer | undefined;
  #abortReason: Error | undefined;
  #discarded = 0;

  constructor(upstream: Upstream, owner: AttemptOwner, clock: Clock, headersTimeout: number, untrack: () => void) {
    this.upstream = upstream;
    this.#owner = owner;
    this.#clock = clock;
    this.#headersTimeout = headersTimeout;
    this.#untrack = untrack;
  }

  /** What undici says of the request while it is on a connection. */
  get controller(): Controller | undefined {
    return this.#controller;
  }

  abort(reason: Error): void {
    this.#abortReason = reason;
    this.#controller?.abort(reason);
  }

  /** Another has taken its place: what is left of its response is not wanted. */
  giveUp(): void {
    this.#timer = this.#clock.after(MAX_DISCARD_TIME, () => this.abort(new errors.RequestAbortedError()));
  }

  /** Takes what comes of a response that is not wanted, so that its connection can be used again. */
  discard(chunk: Buffer): void {
    this.#discarded += chunk.length;
    if (this.#discarded > MAX_DISCARDED) this.abort(new errors.RequestAbortedError());
  }

  /** The request goes on: another piece of its body is sent. */
  progressed(): void {
    if (this.#timer) this.#awaitHeaders();
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#abortReason) {
      controller.abort(this.#abortReason);
      return;
    }
    this.sent = true;
    this.#awaitHeaders();
  }

  onResponseStarted(): void {
    this.#owner.begun(this);
  }

  onResponseStart(_: Controller, status: number, headers: IncomingHttpHeaders, message?: string): void {
    if (status < 200) this.progressed();
    else this.#stopWaiting();
    this.#owner.responded(this, status, headers, message);
  }

  onResponseData(_: Controller, chunk: Buffer): void {
    this.#owner.received(this, chunk);
  }

  onResponseEnd(_: Controller, trailers: IncomingHttpHeaders): void {
    this.#stopWaiting();
    this.#untrack();
    this.#owner.ended(this, trailers);
  }

  onRequestUpgrade(_: Controller, status: number, headers: IncomingHttpHeaders, socket: Duplex): void {
    this.#stopWaiting();
    socket.once('close', this.#untrack);
    this.#owner.upgraded(this, status, headers, socket);
  }

  onResponseError(_: Controller, error: Error): void {
    this.#stopWaiting();
    this.#untrack();
    this.#owner.failed(this, error);
  }

  /** Not left to undici, whose timers are up to a second late and none of a test's. */
  #awaitHeaders(): void {
    this.#timer?.cancel();
    if (this.#headersTimeout === 0) return;
    this.#timer = this.#clock.after(this.#headersTimeout, () => this.abort(new errors.HeadersTimeoutError()));
  }

  #stopWaiting(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
