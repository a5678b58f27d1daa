import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { toPairs, toRawHeaders } from './headers.js';

type Handler = Dispatcher.DispatchHandler;
type Controller = Dispatcher.DispatchController;

/**
 * A handler with the methods that undici has had since version 7. The fetch of Node 20 to 24, and of undici 7 itself,
 * comes with those that there were before.
 */
export function toHandler(handler: Handler): Handler {
  return handler.onRequestStart ? handler : new LegacyHandler(handler);
}

/** undici has the same for its interceptors. It loses headers that come several times, such as `set-cookie`. */
class LegacyHandler implements Handler {
  readonly #handler: Handler;

  constructor(handler: Handler) {
    this.#handler = handler;
  }

  onRequestStart(controller: Controller): void {
    this.#handler.onConnect?.((reason) => controller.abort(reason ?? new Error('the request was aborted')));
  }

  onResponseStarted(): void {
    this.#handler.onResponseStarted?.();
  }

  onRequestUpgrade(controller: Controller, status: number, headers: IncomingHttpHeaders, socket: Duplex): void {
    this.#handler.onUpgrade?.(status, rawHeadersOf(controller, headers), socket);
  }

  onResponseStart(controller: Controller, status: number, headers: IncomingHttpHeaders, message = ''): void {
    const raw = rawHeadersOf(controller, headers);
    const goesOn = this.#handler.onHeaders?.(status, raw, () => controller.resume(), message);
    // What is only informational has no body that could be paused.
    if (goesOn === false && status >= 200) controller.pause();
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#handler.onData?.(chunk) === false) controller.pause();
  }

  onResponseEnd(_controller: Controller, trailers: IncomingHttpHeaders): void {
    this.#handler.onComplete?.(toPairs(trailers));
  }

  onResponseError(_controller: Controller, error: Error): void {
    this.#handler.onError?.(error);
  }
}

function rawHeadersOf({ rawHeaders }: Controller, headers: IncomingHttpHeaders): Buffer[] {
  return isBuffers(rawHeaders) ? rawHeaders : toRawHeaders(headers);
}

function isBuffers(given: unknown): given is Buffer[] {
  return Array.isArray(given) && given.every((item) => Buffer.isBuffer(item));
}
