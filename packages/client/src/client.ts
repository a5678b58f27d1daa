import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { hostname } from 'node:os';
import {
  ALL,
  type CommandType,
  type DestroyReply,
  type Endpoint,
  type HelloReply,
  type Json,
  type Labels,
  type QueryMessage,
  type QueryReply,
  type ReplyOf,
  type RequestOf,
  type Timeout,
  type Timer,
} from '@reg/protocol';
import { checkIdentity, makeContent } from './content.js';
import { ClosedError, captureTrace } from './errors.js';
import { Link } from './link.js';
import { type ClientOptions, checkDelay, resolveEndpoint, resolveOptions, type Settings } from './options.js';
import { Registration } from './registration.js';
import { MAX_DELAY } from './schedule.js';
import { checkSignal } from './wait.js';
import { encodeLine, REPEATABLE } from './wire.js';

export interface RequestOptions {
  /** Gives the request up; it then rejects with `aborted`. */
  readonly signal?: AbortSignal;
  /** ms, instead of the client's `requestTimeout`. */
  readonly timeout?: number;
}

export interface RegisterOptions extends Labels {
  /** Seconds that it outlives its last heartbeat, or `"never"`; 30. */
  readonly ttl?: Timeout;
  /** Its id within the service; one of its own unless given. `null` is the service's one unnamed instance. */
  readonly instance?: string | null;
  readonly signal?: AbortSignal;
  /** Does not wait for the registry: for services that have to start while it is down. */
  readonly background?: boolean;
}

export type QueryOptions = Omit<QueryMessage, 'key'> & RequestOptions;

export interface DestroyOptions extends RequestOptions {
  /** An instance, or `"*"` for all of the service; absent for the unnamed one. */
  readonly instance?: string;
}

export interface ClientEvents {
  connect: [];
  /** A connection that had opened is gone, and not because of `close()`. */
  disconnect: [{ readonly error: Error }];
  /** An attempt to connect failed; the next is made in `delay` ms. */
  retry: [{ readonly error: Error; readonly delay: number }];
}

/**
 * Makes a client of one daemon. It connects when it is first needed.
 *
 * @param endpoint such as `reg://127.0.0.1:6734`
 * @throws {RegistryError} `bad_endpoint` or `bad_config`
 */
export function connect(endpoint: string | Endpoint, options: ClientOptions = {}): Client {
  return new Client(resolveEndpoint(endpoint), resolveOptions(options));
}

export class Client extends EventEmitter<ClientEvents> {
  readonly #settings: Settings;
  readonly #link: Link;
  readonly #registrations = new Set<Registration>();
  #closing: Promise<void> | undefined;
  /** Set where the process is to stay; see `keepProcessAlive`. */
  #keepAlive: Timer | undefined;

  constructor(endpoint: Endpoint, settings: Settings) {
    super();
    this.#settings = settings;
    this.#link = new Link(endpoint, settings, {
      opened: () => this.emit('connect'),
      closed: (error) => this.emit('disconnect', { error }),
      retrying: (error, delay) => this.emit('retry', { error, delay }),
    });
    if (settings.keepProcessAlive) this.#keepProcessAlive();
  }

  /**
   * Registers an instance and keeps it registered until it is closed or released. Resolves when the registry
   * has it. Rejects at once where the registry refuses it, and after `requestTimeout` without success; then
   * nothing is kept. With `background` it resolves at once, and goes on trying.
   *
   * @throws {RegistryError} what the daemon answers, `invalid_name`, `invalid_timeout`, `connect_failed`,
   * `timed_out`, `aborted`, `closed`.
   */
  async register(key: string, values: Json, options: RegisterOptions = {}): Promise<Registration> {
    const trace = captureTrace();
    this.#checkOpen();
    checkSignal(options.signal);
    const instance = options.instance === undefined ? makeInstanceId() : options.instance;
    const identity = checkIdentity(key, instance, options.ttl);
    const content = makeContent(identity, values, options);
    const registration = new Registration(identity, content, this.#link, (ended) => this.#registrations.delete(ended));
    this.#registrations.add(registration);
    if (options.background) Registration.start(registration);
    else await Registration.establish(registration, options.signal, trace);
    return registration;
  }

  /** The instances of a service. Where `limit` cut the reply, its `next` is the `after` of the next query. */
  query(key: string, options: QueryOptions = {}): Promise<QueryReply> {
    const { signal: _, timeout: __, ...message } = options;
    return this.request('query', { ...message, key }, options);
  }

  /** The instances of every service. */
  queryAll(options: Omit<QueryOptions, 'instance'> = {}): Promise<QueryReply> {
    return this.query(ALL, options);
  }

  /** Ends the unnamed instance of a service, a named one, or all. That nothing was there is no error. */
  destroy(key: string, options: DestroyOptions = {}): Promise<DestroyReply> {
    const { instance } = options;
    return this.request('destruction', instance === undefined ? { key } : { key, instance }, options);
  }

  async ping(options: RequestOptions = {}): Promise<void> {
    await this.request('ping', {}, options);
  }

  /** What the daemon says about itself. */
  hello(options: RequestOptions = {}): Promise<HelloReply> {
    return this.request('hello', {}, options);
  }

  /** Any command as the wire has it; what the others are made of. It registers without heartbeats. */
  async request<C extends CommandType>(
    type: C,
    message: RequestOf<C>,
    options: RequestOptions = {},
  ): Promise<ReplyOf<C>> {
    const trace = captureTrace();
    this.#checkOpen();
    const { signal, timeout = this.#settings.requestTimeout } = options;
    checkSignal(signal);
    const call = this.#link.call(type, encodeLine(type, message), {
      timeout: checkDelay(timeout, 'timeout'),
      keepsAlive: true,
      repeatable: REPEATABLE[type],
      bounded: true,
      signal,
      trace,
    });
    return call.result;
  }

  /**
   * Destroys what it has registered, waits for the replies that are still owed, then ends the connection. It
   * does what it can within `requestTimeout`, and never rejects.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const ends = [...this.#registrations].map((registration) => registration.close());
    if (this.#link.pending > 0) ends.push(this.#drain());
    await Promise.allSettled(ends);
    this.#link.end();
    this.#keepAlive?.cancel();
  }

  /** Replies come in order: when the last thing asked is answered, so is everything before it. */
  async #drain(): Promise<void> {
    const { requestTimeout: timeout } = this.#settings;
    await this.#link.call('ping', encodeLine('ping', {}), { timeout, keepsAlive: true, repeatable: true }).result;
  }

  #checkOpen(): void {
    if (this.#closing) throw new ClosedError('the client is closed');
  }

  #keepProcessAlive(): void {
    this.#keepAlive = this.#settings.clock.after(MAX_DELAY, () => this.#keepProcessAlive());
    this.#keepAlive.ref();
  }
}

/** Replicas of a service must not overwrite each other: an id that no other process, past or present, has. */
function makeInstanceId(): string {
  const host = hostname()
    .replace(/[^\w.-]/g, '_')
    .slice(0, 64);
  return `${host}-${process.pid}-${randomBytes(4).toString('hex')}`;
}
