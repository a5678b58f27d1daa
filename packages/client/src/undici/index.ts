/** `@reg/client/undici`: requests to `http://payments/` go to the instances of the service `payments`. */

import { type Clock, RegistryError, systemClock } from '@reg/protocol';
import { type Dispatcher, getGlobalDispatcher, Pool } from 'undici';
import { checkDelay } from '../options.js';
import type { Backoff } from '../schedule.js';
import { type DispatcherSettings, ServiceDispatcher } from './dispatcher.js';
import type { Resolver, View } from './resolver.js';

export type { Resolver, Target, View } from './resolver.js';

export interface DispatcherOptions<D = unknown> {
  /** Of `client.discover`: how the instances are balanced, and which of them are taken. */
  readonly discover?: D;
  /**
   * Which service a host name stands for, `undefined` for none. Unless given every name without a dot is one, but
   * for `localhost`. Each is watched from its first request until the dispatcher is closed.
   */
  readonly services?: (hostname: string) => string | undefined;
  /** What `rendezvous` goes by: requests with the same key go to the same instance. */
  readonly key?: (request: Dispatcher.DispatchOptions) => string | undefined;
  /** Attempts after the first, each on another instance; 2. */
  readonly retries?: number;
  /**
   * ms from the sending of a request to its response, 10,000; 0 for no bound. Too short, and what takes long is done
   * several times and never answered; too long, and callers wait for an instance that hangs.
   */
  readonly headersTimeout?: number;
  /** ms for a connection, 2000. */
  readonly connectTimeout?: number;
  /** Failures in a row after which an instance is left alone; 3. */
  readonly ejectAfter?: number;
  /** For how many ms at first and at most; 1000 and 30,000. */
  readonly ejectTime?: Partial<Backoff>;
  /** Bytes of a streamed body that are kept to be sent again, 65,536 for each request. */
  readonly maxReplay?: number;
  /** Takes the requests for other hosts; undici's global dispatcher of now unless given. It is not closed with this. */
  readonly fallback?: Dispatcher;
  /** Of the pool that each instance has, such as `connections`, or `connect` for what TLS needs. */
  readonly pool?: Omit<Pool.Options, 'headersTimeout' | 'connectTimeout'>;
  /** What tells the time; for tests. */
  readonly clock?: Clock;
}

/**
 * What the `fetch` of the runtime takes for a dispatcher, by the types of Node that the program has. Those of Node 20
 * and 22 describe the undici of before version 7, which takes this one as well.
 */
type RuntimeDispatcher = RequestInit extends { dispatcher?: infer D } ? NonNullable<D> : unknown;

/** Good for undici itself and for the runtime's `fetch`. */
export type ServicesDispatcher = Dispatcher & RuntimeDispatcher;

/** A client, as far as the dispatcher needs one. */
export interface Discoverer<D> {
  discover(service: string, options?: D): View;
}

/**
 * Makes a dispatcher for `fetch(url, { dispatcher })` and whatever else of undici takes one. It needs the package
 * `undici`, version 7.
 *
 * @throws {RegistryError} `bad_config`; for what is wrong with `pool`, what undici throws.
 */
export function createDispatcher<D>(client: Discoverer<D>, options: DispatcherOptions<D> = {}): ServicesDispatcher {
  const { discover } = options;
  const resolver: Resolver = {
    discover: (service) => (discover === undefined ? client.discover(service) : client.discover(service, discover)),
  };
  const dispatcher: Dispatcher = new ServiceDispatcher(resolver, resolveOptions(options));
  return dispatcher as ServicesDispatcher;
}

const DEFAULT_EJECT_TIME: Backoff = { min: 1000, max: 30_000 };

function resolveOptions<D>(options: DispatcherOptions<D>): DispatcherSettings {
  const { headersTimeout = 10_000 } = options;
  const time = { ...DEFAULT_EJECT_TIME, ...options.ejectTime };
  const pool = { ...options.pool, connectTimeout: checkDelay(options.connectTimeout ?? 2000, 'connectTimeout') };
  // Made for its checks only: what is wrong with the options is to be said now, not with the first request.
  new Pool('http://localhost', pool);
  return {
    services: options.services ?? serviceOfName,
    key: options.key ?? (() => undefined),
    retries: checkCount(options.retries ?? 2, 'retries', 0),
    headersTimeout: headersTimeout === 0 ? 0 : checkDelay(headersTimeout, 'headersTimeout'),
    maxReplay: checkCount(options.maxReplay ?? 65_536, 'maxReplay', 0),
    ejection: {
      after: checkCount(options.ejectAfter ?? 3, 'ejectAfter', 1),
      time: { min: checkDelay(time.min, 'ejectTime.min'), max: checkDelay(time.max, 'ejectTime.max') },
    },
    pool,
    fallback: options.fallback ?? getGlobalDispatcher(),
    clock: options.clock ?? systemClock,
  };
}

/** No public host has a name without a dot, nor has an address; one of IPv6 is in brackets. */
function serviceOfName(hostname: string): string | undefined {
  return hostname === 'localhost' || hostname.startsWith('[') || hostname.includes('.') ? undefined : hostname;
}

function checkCount(count: number, field: string, least: number): number {
  if (Number.isSafeInteger(count) && count >= least) return count;
  throw new RegistryError('bad_config', `"${field}" must be a whole number of at least ${least}`);
}
