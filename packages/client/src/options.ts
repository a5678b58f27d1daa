import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, type Endpoint, parseEndpoint, RegistryError, systemClock } from '@reg/protocol';
import type { Services } from './contracts.js';
import { type Backoff, DEFAULT_BACKOFF, MAX_DELAY } from './schedule.js';

export interface ClientOptions {
  /**
   * How long a request waits for its reply, in ms; 5000. It includes the wait for a connection. Too short, and
   * a daemon that pauses loses its connections; too long, and a dead connection is noticed late.
   */
  readonly requestTimeout?: number;
  /** How long one attempt to connect may take, in ms; 3000. */
  readonly connectTimeout?: number;
  /**
   * How many requests may wait or be in flight, 10,000; more are rejected with `queue_full`. What the client
   * sends for its registrations does not count.
   */
  readonly maxQueue?: number;
  /** Whether the process stays until `close()`. Otherwise only a pending request of the caller's keeps it. */
  readonly keepProcessAlive?: boolean;
  /**
   * Bounds of the wait between attempts to connect, in ms; 100 and 5000. `false` is for programs that run
   * once: what finds no daemon, or loses it, fails at once, and only the next request dials again.
   */
  readonly reconnect?: Partial<Backoff> | false;
  /** What services have as values and metadata, from `defineServices`. Everything that is sent and read is checked. */
  readonly services?: Services;
  /** What tells the time; for tests. */
  readonly clock?: Clock;
  /** Opens a stream to the daemon; TCP unless given. A stream whose `connecting` is true has to emit `connect`. */
  readonly dial?: (endpoint: Endpoint) => Duplex;
  /** What jitter comes from, 0 up to but not 1; for tests. */
  readonly random?: () => number;
}

/** The options with nothing left out. */
export interface Settings extends Required<ClientOptions> {
  readonly reconnect: Backoff | false;
}

/** Where a daemon is, or several in the order of preference; a text may name several, with commas between them. */
export type Endpoints = string | Endpoint | readonly (string | Endpoint)[];

/** @throws {RegistryError} `bad_endpoint` */
export function resolveEndpoints(given: Endpoints): readonly Endpoint[] {
  const endpoints = listEndpoints(given).map((endpoint) =>
    typeof endpoint === 'string' ? parseEndpoint(endpoint.trim()) : checkEndpoint(endpoint),
  );
  if (endpoints.length === 0) throw new RegistryError('bad_endpoint', 'there has to be at least one endpoint');
  return endpoints;
}

function listEndpoints(given: Endpoints): (string | Endpoint)[] {
  if (typeof given === 'string') return given.split(',');
  return 'host' in given ? [given] : given.flatMap(listEndpoints);
}

function checkEndpoint(endpoint: Endpoint): Endpoint {
  const { host, port } = endpoint;
  if (typeof host === 'string' && host !== '' && Number.isInteger(port) && port > 0 && port <= 65_535) return endpoint;
  throw new RegistryError('bad_endpoint', '"host" must be a name or an address, "port" a number from 1 to 65535');
}

/** @throws {RegistryError} `bad_config` */
export function resolveOptions(options: ClientOptions): Settings {
  const { reconnect = {} } = options;
  const settings: Settings = {
    requestTimeout: checkDelay(options.requestTimeout ?? 5000, 'requestTimeout'),
    connectTimeout: checkDelay(options.connectTimeout ?? 3000, 'connectTimeout'),
    maxQueue: options.maxQueue ?? 10_000,
    keepProcessAlive: options.keepProcessAlive ?? false,
    reconnect: reconnect && checkBackoff({ ...DEFAULT_BACKOFF, ...reconnect }),
    services: options.services ?? {},
    clock: options.clock ?? systemClock,
    dial: options.dial ?? dialTcp,
    random: options.random ?? Math.random,
  };
  if (!Number.isSafeInteger(settings.maxQueue) || settings.maxQueue < 1) {
    throw new RegistryError('bad_config', '"maxQueue" must be a whole number of at least 1');
  }
  return settings;
}

/** @throws {RegistryError} `bad_config`, naming `field`. */
export function checkDelay(ms: number, field: string): number {
  if (typeof ms === 'number' && ms > 0 && ms <= MAX_DELAY) return ms;
  throw new RegistryError('bad_config', `"${field}" must be milliseconds above 0 and at most ${MAX_DELAY}`);
}

function checkBackoff(backoff: Backoff): Backoff {
  checkDelay(backoff.min, 'reconnect.min');
  checkDelay(backoff.max, 'reconnect.max');
  if (backoff.min > backoff.max) {
    throw new RegistryError('bad_config', '"reconnect.min" must not be above "reconnect.max"');
  }
  return backoff;
}

/** The kernel's keep-alive finds peers that vanished while nobody asked them anything. */
const KEEP_ALIVE_MS = 15_000;

function dialTcp({ host, port }: Endpoint): Duplex {
  return connectSocket({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
}
