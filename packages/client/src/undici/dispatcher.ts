/** Requests to services, as a dispatcher of undici: which service a request is for, and what is under way. */

import { Dispatcher, errors } from 'undici';
import { Exchange, type ExchangeSettings } from './exchange.js';
import { withHost } from './headers.js';
import { toHandler } from './legacy-handler.js';
import type { Resolver } from './resolver.js';
import { Service, type ServiceSettings } from './service.js';

export interface DispatcherSettings extends ExchangeSettings, ServiceSettings {
  /** Which service a host name stands for; `undefined` for a host that is none. */
  readonly services: (hostname: string) => string | undefined;
  /** What the balancer may go by. */
  readonly key: (request: Dispatcher.DispatchOptions) => string | undefined;
  /** Takes what is for no service. */
  readonly fallback: Dispatcher;
}

export class ServiceDispatcher extends Dispatcher {
  readonly #resolver: Resolver;
  readonly #settings: DispatcherSettings;
  readonly #services = new Map<string, Service>();
  readonly #exchanges = new Set<Exchange>();
  #closing: Promise<void> | undefined;
  #destroyed: Promise<void> | undefined;
  /** Called when nothing is under way any more. */
  #onIdle = () => {};

  constructor(resolver: Resolver, settings: DispatcherSettings) {
    super();
    this.#resolver = resolver;
    this.#settings = settings;
    // What undici composes of dispatchers calls them on a proxy, which has no private fields.
    this.close = this.close.bind(this);
    this.destroy = this.destroy.bind(this);
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  get destroyed(): boolean {
    return this.#destroyed !== undefined;
  }

  /** Always true: nobody has to wait for a `drain`. */
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (this.destroyed) throw new errors.ClientDestroyedError();
    if (this.closed) throw new errors.ClientClosedError();
    const url = parseOrigin(options.origin);
    const name = url && this.#settings.services(url.hostname);
    if (!url || name === undefined) return this.#settings.fallback.dispatch(options, handler);
    const request = { ...options, headers: withHost(options.headers, url.host) };
    const target = { service: this.#service(name), protocol: url.protocol, key: this.#settings.key(options) };
    const onOver = (over: Exchange) => this.#over(over);
    const exchange = new Exchange(target, request, toHandler(handler), this.#settings, onOver);
    this.#exchanges.add(exchange);
    exchange.start();
    return true;
  }

  /** Takes no more requests, and resolves when those that are under way are over and all sockets are closed. */
  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: () => void): Promise<void> | undefined {
    this.#closing ??= this.#close();
    return answer(this.#closing, callback);
  }

  /** Fails what is under way. */
  override destroy(): Promise<void>;
  override destroy(error: Error | null): Promise<void>;
  override destroy(callback: () => void): void;
  override destroy(error: Error | null, callback: () => void): void;
  override destroy(first?: Error | null | (() => void), second?: () => void): Promise<void> | undefined {
    const [error, callback] = typeof first === 'function' ? [undefined, first] : [first, second];
    this.#destroyed ??= this.#destroy(error ?? new errors.ClientDestroyedError());
    return answer(this.#destroyed, callback);
  }

  #service(name: string): Service {
    let service = this.#services.get(name);
    if (!service) {
      service = new Service(name, this.#resolver.discover(name), this.#settings);
      this.#services.set(name, service);
    }
    return service;
  }

  #over(exchange: Exchange): void {
    this.#exchanges.delete(exchange);
    if (this.#exchanges.size === 0) this.#onIdle();
  }

  async #close(): Promise<void> {
    if (this.#exchanges.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    // Who did not want to wait any longer may have destroyed it meanwhile; then there is nothing left to close.
    await (this.#destroyed ?? Promise.all([...this.#services.values()].map((service) => service.close())));
  }

  async #destroy(error: Error): Promise<void> {
    for (const exchange of this.#exchanges) exchange.abort(error);
    await Promise.all([...this.#services.values()].map((service) => service.destroy(error)));
  }
}

function parseOrigin(origin: string | URL | undefined): URL | undefined {
  if (origin instanceof URL) return origin;
  return origin !== undefined && URL.canParse(origin) ? new URL(origin) : undefined;
}

function answer(done: Promise<void>, callback: (() => void) | undefined): Promise<void> | undefined {
  if (!callback) return done;
  done.then(() => callback());
  return undefined;
}
