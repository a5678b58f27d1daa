import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { hostname } from 'node:os';
import {
  ALL,
  type AuditMessage,
  type AuditReply,
  type CommandType,
  checkName,
  type DestroyReply,
  type Endpoint,
  type ExplainReply,
  type HelloReply,
  type Json,
  type Labels,
  type OwnStatus,
  type QueryMessage,
  type QueryReply,
  type ReplyOf,
  type RequestOf,
  type StatusReply,
  type Timeout,
  type Timer,
} from '@reg/protocol';
import { checkIdentity, makeContent } from './content.js';
import { Contracts, type InvalidEvent, type Services } from './contracts.js';
import { checkDiscoverOptions, type DiscoverOptions, Discovery } from './discovery/discovery.js';
import { DRAIN_TIMEOUT, type DrainOptions } from './drain.js';
import { ClosedError, captureTrace } from './errors.js';
import { Heartbeats } from './heartbeats.js';
import { Link } from './link.js';
import {
  type ClientOptions,
  checkDelay,
  type Endpoints,
  resolveEndpoints,
  resolveOptions,
  type Settings,
} from './options.js';
import { Registration } from './registration.js';
import { MAX_DELAY } from './schedule.js';
import type { TypedClient } from './typed-client.js';
import { checkSignal } from './wait.js';
import { resolveTarget, Watch, type WatchOptions, type WatchTarget } from './watch.js';
import { Watches } from './watches.js';
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
  /**
   * Seconds that it outlives its connection, 2: a process that dies is out of rotation at once, and gone then. `null`
   * binds it to no connection: it lives by its ttl alone.
   */
  readonly linger?: number | null;
  /** Its id within the service; one of its own unless given. `null` is the service's one unnamed instance. */
  readonly instance?: string | null;
  /** Takes the instance over from whoever has it; its owner is told `superseded`. Otherwise it waits until it is free. */
  readonly takeover?: boolean;
  /** What it says of itself at first; `passing`. */
  readonly status?: OwnStatus;
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
  connect: [{ readonly endpoint: Endpoint }];
  /** A connection that had opened is gone, and not because of `close()`. */
  disconnect: [{ readonly error: Error }];
  /** Something was read that is not what the service is said to have; it is left out. */
  invalid: [InvalidEvent];
  /** The event loop of this process did not run for so many ms: more than a third of the shortest ttl. */
  lag: [{ readonly blockedFor: number }];
  /** An attempt to connect failed; the next is made in `delay` ms. */
  retry: [{ readonly error: Error; readonly delay: number; readonly endpoint: Endpoint }];
}

/**
 * Makes a client of a registry. It connects when it is first needed. Told what `services` have, it checks that, and its
 * methods have the types of their values.
 *
 * @param endpoints such as `reg://127.0.0.1:6734`, or `regs://TOKEN@host`, or several in the order of preference
 * @throws {RegistryError} `bad_endpoint` or `bad_config`
 */
export function connect<const S extends Services>(
  endpoints: Endpoints,
  options: ClientOptions & { readonly services: S },
): TypedClient<S>;
export function connect(endpoints: Endpoints, options?: ClientOptions): Client;
export function connect(endpoints: Endpoints, options: ClientOptions = {}): object {
  const destination = resolveEndpoints(endpoints);
  return new Client(destination.endpoints, resolveOptions(options, destination));
}

export class Client extends EventEmitter<ClientEvents> {
  readonly #settings: Settings;
  readonly #link: Link;
  readonly #heartbeats: Heartbeats;
  readonly #watches: Watches;
  readonly #endpoints: readonly Endpoint[];
  /** `undefined` where nothing was said of any service: then nothing is checked. */
  readonly #contracts: Contracts | undefined;
  readonly #registrations = new Set<Registration>();
  #closing: Promise<void> | undefined;
  /** Set where the process is to stay; see `keepProcessAlive`. */
  #keepAlive: Timer | undefined;

  constructor(endpoints: readonly Endpoint[], settings: Settings) {
    super();
    this.#settings = settings;
    this.#endpoints = endpoints;
    this.#link = new Link(endpoints, settings, {
      opened: (endpoint) => this.emit('connect', { endpoint }),
      closed: (error) => this.emit('disconnect', { error }),
      retrying: (error, delay, endpoint) => this.emit('retry', { error, delay, endpoint }),
    });
    this.#heartbeats = new Heartbeats(this.#link, ({ length }) => this.emit('lag', { blockedFor: Math.round(length) }));
    if (Object.keys(settings.services).length > 0) {
      this.#contracts = new Contracts(settings.services, (invalid) => this.emit('invalid', invalid));
    }
    this.#watches = new Watches(this.#link, this.#contracts);
    if (settings.keepProcessAlive) this.#keepProcessAlive();
  }

  /**
   * Registers an instance and keeps it registered until it is closed or released. Resolves when the registry
   * has it. Rejects at once where the registry refuses it, and after `requestTimeout` without success (`owned`, where
   * somebody else has the instance); then nothing is kept. With `background` it resolves at once, and goes on trying.
   *
   * @throws {RegistryError} what the daemon answers, `invalid_name`, `invalid_timeout`, `invalid_linger`,
   * `invalid_values`, `connect_failed`, `timed_out`, `aborted`, `closed`.
   */
  async register(key: string, values: Json, options: RegisterOptions = {}): Promise<Registration> {
    const trace = captureTrace();
    this.#checkOpen();
    checkSignal(options.signal);
    const check = this.#contracts?.inputCheck(key);
    const checking = check?.(values, options.meta ?? {});
    if (checking) {
      await checking;
      this.#checkOpen();
      checkSignal(options.signal);
    }
    const instance = options.instance === undefined ? makeInstanceId() : options.instance;
    const { ttl, linger, takeover = false } = options;
    const identity = checkIdentity({ key, instance, ttl, linger }, randomBytes(16).toString('base64url'));
    const content = makeContent(values, options);
    const onEnd = (ended: Registration) => this.#registrations.delete(ended);
    const registration = new Registration(identity, content, takeover, this.#heartbeats, onEnd, check);
    this.#registrations.add(registration);
    if (options.background) Registration.start(registration);
    else await Registration.establish(registration, options.signal, trace);
    return registration;
  }

  /** The instances of a service. Where `limit` cut the reply, its `next` is the `after` of the next query. */
  query(key: string, options: QueryOptions = {}): Promise<QueryReply> {
    const { signal: _, timeout: __, ...message } = options;
    const reply = this.request('query', { ...message, key }, options);
    const contracts = this.#contracts;
    return contracts ? reply.then((received) => contracts.reply(received)) : reply;
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

  /** What the daemon holds, does and lacks. */
  status(options: RequestOptions = {}): Promise<StatusReply> {
    return this.request('status', {}, options);
  }

  /** What the daemon has recorded lately: the latest, or what came after the entry of a number. */
  audit(message: AuditMessage = {}, options: RequestOptions = {}): Promise<AuditReply> {
    return this.request('audit', message, options);
  }

  /** Who registered an instance, from where, how it was renewed, and who watches it; the unnamed one unless named. */
  explain(key: string, instance: string | null = null, options: RequestOptions = {}): Promise<ExplainReply> {
    return this.request('explain', instance === null ? { key } : { key, instance }, options);
  }

  /**
   * Drains all that it has registered; see `Registration.drain`. Never rejects, whatever becomes of them.
   *
   * @throws {RegistryError} `bad_config`
   */
  async drain(options: DrainOptions = {}): Promise<void> {
    checkDelay(options.timeout ?? DRAIN_TIMEOUT, 'timeout');
    await Promise.allSettled([...this.#registrations].map((registration) => registration.drain(options)));
  }

  /**
   * What there is, and every change of it, as events: of a service, of `all`, or of those whose names begin with a
   * prefix. It begins when the first event is asked for, and goes on over reconnects and restarts of the registry.
   *
   * @throws {RegistryError} `invalid_name`, `reserved_name`, `bad_request`, `aborted`, `closed`; while it is read also
   * what the daemon answers that will not have it.
   */
  watch(target: WatchTarget, options: WatchOptions = {}): Watch {
    this.#checkOpen();
    return new Watch(this.#watches, resolveTarget(target), options);
  }

  /**
   * The instances of a service, kept up to date from now on, and which of them the next request should go to.
   *
   * @throws {RegistryError} `invalid_name`, `reserved_name`, `bad_config`, `closed`.
   */
  discover(key: string, options: DiscoverOptions = {}): Discovery {
    this.#checkOpen();
    checkDiscoverOptions(options);
    return new Discovery(checkName(key, 'key'), options, this.#watches, this.#endpoints);
  }

  /** Any command as the wire has it; what the others are made of. It registers without heartbeats of its own. */
  async request<C extends CommandType>(
    type: C,
    message: RequestOf<C>,
    options: RequestOptions = {},
  ): Promise<ReplyOf<C>> {
    const trace = captureTrace();
    this.#checkOpen();
    const { signal, timeout = this.#settings.requestTimeout } = options;
    checkSignal(signal);
    const line = encodeLine(type, message);
    const waiting = { timeout: checkDelay(timeout, 'timeout'), keepsAlive: true, signal, trace };
    const call = this.#link.call(
      type,
      line,
      { ...waiting, repeatable: REPEATABLE[type], bounded: true },
      { answered: () => this.#did(type, message) },
    );
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
    ends.push(this.#watches.end());
    if (this.#link.pending > 0) ends.push(this.#flush());
    this.#link.hurry();
    await Promise.allSettled(ends);
    this.#link.end();
    this.#keepAlive?.cancel();
  }

  /** What this connection destroys no heartbeat names: also not where nobody waits for the reply any more. */
  #did(type: CommandType, message: object): void {
    if (type !== 'destruction' || !('key' in message) || typeof message.key !== 'string') return;
    const instance = 'instance' in message && typeof message.instance === 'string' ? message.instance : null;
    this.#heartbeats.destroyed(message.key, instance);
  }

  /** Replies come in order: when the last thing asked is answered, so is everything before it. */
  async #flush(): Promise<void> {
    const { requestTimeout: timeout } = this.#settings;
    await this.#link.call('ping', encodeLine('ping', {}), { timeout, keepsAlive: true, repeatable: true }).result;
  }

  #checkOpen(): void {
    if (this.#closing) throw new ClosedError('the client is closed');
    this.#heartbeats.look();
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
