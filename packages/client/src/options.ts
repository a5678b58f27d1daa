import { X509Certificate } from 'node:crypto';
import { connect as connectSocket, isIP, isIPv6, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, checkServerIdentity, connect as connectTls, type PeerCertificate } from 'node:tls';
import { type Clock, type Endpoint, parseAddress, RegistryError, systemClock } from '@reg/protocol';
import type { Services } from './contracts.js';
import { type Backoff, DEFAULT_BACKOFF, MAX_DELAY } from './schedule.js';

/**
 * What TLS goes by, as `tls.connect` of Node takes it. Without `ca` the daemon's certificate has to be of an authority
 * that Node knows; there is no way to take any. `cert` and `key` are for daemons that want certificates of clients.
 */
export type TlsOptions = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'passphrase' | 'servername'>;

/** A token, or what gives the one that is good now: it is asked at each connection. `undefined` where there is none. */
export type Token = string | (() => string | undefined);

export interface ClientOptions {
  /**
   * Who the client is to a registry that wants to know, in place of what the endpoints say. Where it is refused,
   * everything that waits fails for that reason, and what the client keeps is tried again with the next connection.
   */
  readonly token?: Token;
  /** For `regs://` endpoints. */
  readonly tls?: TlsOptions;
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
  readonly token: () => string | undefined;
  readonly reconnect: Backoff | false;
}

/** Where a daemon is, or several in the order of preference; a text may name several, with commas between them. */
export type Endpoints = string | Endpoint | readonly (string | Endpoint)[];

/** Where endpoints lead to, and the token that one of them carried, for all: they are of one registry. */
export interface Destination {
  readonly endpoints: readonly Endpoint[];
  readonly token: string | undefined;
}

/** @throws {RegistryError} `bad_endpoint` */
export function resolveEndpoints(given: Endpoints): Destination {
  const addresses = listEndpoints(given).map((endpoint) =>
    typeof endpoint === 'string'
      ? parseAddress(endpoint.trim())
      : { endpoint: checkEndpoint(endpoint), token: undefined },
  );
  if (addresses.length === 0) throw new RegistryError('bad_endpoint', 'there has to be at least one endpoint');
  const [token, another] = new Set(addresses.flatMap((address) => address.token ?? []));
  if (another !== undefined) throw new RegistryError('bad_endpoint', 'the endpoints carry different tokens');
  return { endpoints: addresses.map(({ endpoint }) => endpoint), token };
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
export function resolveOptions(options: ClientOptions, { endpoints, token }: Destination): Settings {
  const { reconnect = {}, tls = {} } = options;
  if (options.tls && endpoints.some(({ secure }) => !secure)) {
    throw new RegistryError('bad_config', '"tls" is for endpoints that begin with regs://');
  }
  const settings: Settings = {
    requestTimeout: checkDelay(options.requestTimeout ?? 5000, 'requestTimeout'),
    connectTimeout: checkDelay(options.connectTimeout ?? 3000, 'connectTimeout'),
    maxQueue: options.maxQueue ?? 10_000,
    keepProcessAlive: options.keepProcessAlive ?? false,
    reconnect: reconnect && checkBackoff({ ...DEFAULT_BACKOFF, ...reconnect }),
    services: options.services ?? {},
    clock: options.clock ?? systemClock,
    token: checkToken(options.token ?? token),
    tls,
    dial: options.dial ?? ((endpoint) => dialSocket(endpoint, tls)),
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

function dialSocket({ host, port, secure }: Endpoint, tls: TlsOptions): Socket {
  const named = isIP(host) === 0 && { servername: host };
  const socket = secure
    ? connectTls({ host, port, ...named, minVersion: 'TLSv1.2', checkServerIdentity: checkIdentity, ...tls })
    : connectSocket({ host, port });
  return socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
}

/** As Node checks it, but for IPv6 addresses, which Node 22.23 finds in no certificate. */
function checkIdentity(host: string, certificate: PeerCertificate): Error | undefined {
  const isFor = isIPv6(host) && new X509Certificate(certificate.raw).checkIP(host) !== undefined;
  return isFor ? undefined : checkServerIdentity(host, certificate);
}

/** What is no text is found here where it can be, and otherwise when it is asked for; neither is shown. */
function checkToken(token: Token | undefined): () => string | undefined {
  const check = (given: unknown): string | undefined => {
    if (given === undefined || (typeof given === 'string' && given !== '')) return given;
    throw new RegistryError('bad_config', '"token" must be a text, or a function that gives one');
  };
  if (typeof token === 'function') return () => check(token());
  const text = check(token);
  return () => text;
}
