/**
 * One request of the caller's, over as many attempts as it takes. To the caller it is the controller of its request;
 * to the attempts it is who decides whether the caller sees what became of them. The retries of undici are of no use
 * here: they come late, to the same origin, and go on with a response that broke off, which another instance may well
 * have made otherwise.
 */

import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '@reg/protocol';
import { type Dispatcher, errors } from 'undici';
import { Attempt, type AttemptOwner } from './attempt.js';
import { makeSendable, type Sendable } from './body.js';
import { isBroken, isCallersFault, isGatewayFailure, retryAfter } from './faults.js';
import type { Service } from './service.js';
import type { Upstream } from './upstream.js';

/** As bytes, texts or fields. */
type RawHeaders = NonNullable<Dispatcher.DispatchController['rawHeaders']> | null;

/** Methods that do the same when they are done twice (RFC 9110, section 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Where a request goes. */
export interface ExchangeTarget {
  readonly service: Service;
  /** `http:` or `https:` */
  readonly protocol: string;
  /** What the balancer may go by. */
  readonly key: string | undefined;
}

export interface ExchangeSettings {
  readonly clock: Clock;
  /** Attempts after the first. */
  readonly retries: number;
  /** ms */
  readonly headersTimeout: number;
  /** Bytes of a streamed body that are kept to be sent again. */
  readonly maxReplay: number;
}

export class Exchange implements Dispatcher.DispatchController, AttemptOwner {
  readonly #target: ExchangeTarget;
  readonly #service: Service;
  readonly #options: Dispatcher.DispatchOptions;
  readonly #caller: Dispatcher.DispatchHandler;
  readonly #settings: ExchangeSettings;
  readonly #onOver: (exchange: Exchange) => void;
  /** Whether it may be done twice. */
  readonly #idempotent: boolean;
  readonly #body: Sendable;
  readonly #tried: Upstream[] = [];
  #phase: 'trying' | 'answering' | 'over' = 'trying';
  /** The one that counts; those before it are given up. */
  #attempt: Attempt | undefined;
  #retriesLeft: number;
  #reason: Error | null = null;

  /** @param onOver is called once, when the caller has been told all. */
  constructor(
    target: ExchangeTarget,
    options: Dispatcher.DispatchOptions,
    caller: Dispatcher.DispatchHandler,
    settings: ExchangeSettings,
    onOver: (exchange: Exchange) => void,
  ) {
    this.#target = target;
    this.#service = target.service;
    this.#options = options;
    this.#caller = caller;
    this.#settings = settings;
    this.#onOver = onOver;
    this.#idempotent = options.idempotent ?? IDEMPOTENT.has(options.method);
    this.#body = makeSendable(options.body, this.#idempotent ? settings.maxReplay : 0);
    this.#retriesLeft = settings.retries;
  }

  /** The caller is told at once, and once, that its request has begun: from then on it can abort it. */
  start(): void {
    this.#tell(() => this.#caller.onRequestStart?.(this, undefined));
    if (this.#phase === 'over') return;
    const upstream = this.#pick();
    if (upstream) this.#try(upstream);
    else this.#tryWhenReady();
  }

  // What the caller may do.

  get aborted(): boolean {
    return this.#reason !== null;
  }

  get reason(): Error | null {
    return this.#reason;
  }

  get paused(): boolean {
    return this.#attempt?.controller?.paused ?? false;
  }

  get rawHeaders(): RawHeaders {
    return this.#attempt?.controller?.rawHeaders ?? null;
  }

  get rawTrailers(): RawHeaders {
    return this.#attempt?.controller?.rawTrailers ?? null;
  }

  pause(): void {
    this.#attempt?.controller?.pause();
  }

  resume(): void {
    this.#attempt?.controller?.resume();
  }

  abort(reason: Error = new errors.RequestAbortedError()): void {
    if (this.#phase === 'over' || this.#reason) return;
    this.#reason = reason;
    this.#attempt?.abort(reason);
    // What is on a connection has failed by now; what waits for one may wait for long.
    this.#fail(reason);
  }

  // What attempts tell.

  begun(attempt: Attempt): void {
    if (attempt === this.#attempt) this.#tell(() => this.#caller.onResponseStarted?.());
  }

  responded(attempt: Attempt, status: number, headers: IncomingHttpHeaders, message: string | undefined): void {
    if (attempt !== this.#attempt) return;
    if (isGatewayFailure(status)) {
      attempt.blamed = true;
      this.#service.failed(attempt.upstream, retryAfter(status, headers));
      const next = this.#mayRepeat() ? this.#pick() : undefined;
      if (next) {
        attempt.giveUp();
        this.#try(next);
        return;
      }
    }
    if (status >= 200) this.#phase = 'answering';
    this.#tell(() => this.#caller.onResponseStart?.(this, status, headers, message));
  }

  received(attempt: Attempt, chunk: Buffer): void {
    if (attempt === this.#attempt) this.#tell(() => this.#caller.onResponseData?.(this, chunk));
    else attempt.discard(chunk);
  }

  ended(attempt: Attempt, trailers: IncomingHttpHeaders): void {
    if (attempt !== this.#attempt) return;
    if (!attempt.blamed) this.#service.succeeded(attempt.upstream);
    this.#end();
    this.#caller.onResponseEnd?.(this, trailers);
  }

  upgraded(attempt: Attempt, status: number, headers: IncomingHttpHeaders, socket: Duplex): void {
    if (attempt !== this.#attempt) return;
    this.#service.succeeded(attempt.upstream);
    this.#end();
    this.#caller.onRequestUpgrade?.(this, status, headers, socket);
  }

  failed(attempt: Attempt, error: Error): void {
    if (attempt !== this.#attempt || this.#phase === 'over') return;
    const isFault = this.#isFault(attempt, error);
    if (isFault && !attempt.blamed) this.#service.failed(attempt.upstream);
    const next = isFault && this.#mayFollow(attempt) ? this.#successor(attempt, error) : undefined;
    if (next) this.#try(next);
    else this.#fail(error);
  }

  /** What the caller throws ends its request, as with undici itself, and is no fault of the instance. */
  #tell(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #tryWhenReady(): void {
    this.#service.ready().then(
      () => {
        if (this.#phase === 'over') return;
        const upstream = this.#pick();
        if (upstream) this.#try(upstream);
        else this.#fail(this.#service.absence());
      },
      (error) => this.#fail(error),
    );
  }

  #pick(): Upstream | undefined {
    const { protocol, key } = this.#target;
    return this.#service.pick(protocol, this.#tried, key);
  }

  #try(upstream: Upstream): void {
    if (this.#attempt) this.#retriesLeft -= 1;
    this.#tried.push(upstream);
    const { clock } = this.#settings;
    const { headersTimeout } = this.#options;
    const timeout = headersTimeout ?? this.#settings.headersTimeout;
    const attempt = new Attempt(upstream, this, clock, timeout, this.#service.track(upstream));
    this.#attempt = attempt;
    const options = {
      ...this.#options,
      origin: upstream.origin,
      body: this.#body.open(() => attempt.progressed()),
      headersTimeout: 0,
    };
    upstream.pool.dispatch(options, attempt);
  }

  /** Whether the error is the instance's: its caller, and whoever closes the dispatcher, make errors too. */
  #isFault(attempt: Attempt, error: Error): boolean {
    if (this.#reason || this.#body.failed) return false;
    return attempt.sent ? isBroken(error) : !isCallersFault(error);
  }

  /** Whether the request may be made once more after this attempt has failed. */
  #mayFollow(attempt: Attempt): boolean {
    if (this.#phase !== 'trying') return false;
    return attempt.sent ? this.#mayRepeat() : this.#retriesLeft > 0;
  }

  /** Whether it may be made although it may have been done. */
  #mayRepeat(): boolean {
    return this.#idempotent && this.#retriesLeft > 0 && this.#body.repeatable;
  }

  /**
   * Where no other is left, a connection that broke may have been one that the instance closed for its age: it is
   * tried once more. After a refusal or a timeout that would be no use.
   */
  #successor({ upstream, sent }: Attempt, error: Error): Upstream | undefined {
    const other = this.#pick();
    if (other) return other;
    const isReset = sent && !(error instanceof errors.HeadersTimeoutError);
    return isReset && this.#service.has(upstream) ? upstream : undefined;
  }

  #fail(error: Error): void {
    if (this.#phase === 'over') return;
    this.#end();
    this.#caller.onResponseError?.(this, error);
  }

  #end(): void {
    this.#phase = 'over';
    this.#body.close();
    this.#onOver(this);
  }
}
