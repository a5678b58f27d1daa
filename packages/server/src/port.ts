import { createServer, type Server, type Socket } from 'node:net';
import { codeOf, type Endpoint, formatEndpoint, RegistryError } from '@reg/protocol';
import type { RegistryClock } from './clock.js';
import { connectionsThatFit } from './descriptors.js';
import type { Logger } from './logger.js';
import { refuseHandshake, type SocketOptions, type TlsFiles, TlsPort } from './tls.js';

export interface PortOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** `undefined` for a port without TLS. */
  readonly tls: TlsFiles | undefined;
  /** ms. */
  readonly handshakeTimeout: number;
  /** A connection more than this is closed as soon as it is accepted, and `onDrop` is told. */
  readonly maxSockets: number;
  readonly onDrop: () => void;
}

/** A connection on which nothing came for so long is probed by the system: its peer may have vanished. */
const KEEP_ALIVE_MS = 60_000;
const SOCKET: SocketOptions = {
  allowHalfOpen: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: KEEP_ALIVE_MS,
};
/**
 * How many connections may wait to be accepted, as far as the system allows (`net.core.somaxconn`). Node's 511 are used
 * up within ms when thousands of clients come back at once, and who finds no room tries again after a second.
 */
const BACKLOG = 4096;
/** How often it is said that connections are closed for want of descriptors. */
const DROPS_SAID_MS = 10_000;

/** Where connections come in. With TLS those are handed on whose handshake is done, and nothing is said before. */
export class Port {
  readonly #options: PortOptions;
  readonly #logger: Logger;
  readonly #clock: RegistryClock;
  readonly #server: Server;
  readonly #tls: TlsPort | undefined;

  /** @throws {RegistryError} `bad_config` where the files for TLS cannot be used. */
  constructor(options: PortOptions, clock: RegistryClock, logger: Logger, onConnection: (socket: Socket) => void) {
    const { tls, handshakeTimeout } = options;
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
    this.#tls = tls && new TlsPort(tls, handshakeTimeout, SOCKET, logger, onConnection);
    this.#server =
      this.#tls?.server ??
      createServer(SOCKET, (socket) => {
        refuseHandshake(socket);
        onConnection(socket);
      });
  }

  /**
   * Accepts connections.
   *
   * @returns where, with the port that was free where 0 was asked for.
   * @throws {RegistryError} `listen_failed`
   */
  async open(): Promise<Endpoint> {
    const { host, port } = this.#options;
    const server = this.#server;
    this.#cap();
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port, backlog: BACKLOG }, resolve);
      });
    } catch (error) {
      throw asListenFailed({ host, port }, error);
    }
    server.on('error', (error) => this.#logger.error({ err: error }, 'cannot accept a connection'));
    const address = server.address();
    return {
      host,
      port: typeof address === 'object' && address !== null ? address.port : port,
      ...(this.#tls && { secure: true }),
    };
  }

  /**
   * Reads certificates again, for connections that come from now on.
   *
   * @returns whether there are any.
   * @throws {RegistryError} `bad_config` where they cannot be used: then the old ones stay.
   */
  reload(): boolean {
    this.#tls?.reload();
    return this.#tls !== undefined;
  }

  /** How many connections have begun a handshake, or are silent, and are not through it. */
  get handshakes(): number {
    return this.#tls?.handshakes ?? 0;
  }

  /** Accepts no more. Resolves when every connection is closed. */
  close(): Promise<void> {
    if (!this.#server.listening) return Promise.resolve();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** Breaks handshakes that are under way, which would keep it from closing. */
  destroy(): void {
    this.#tls?.destroy();
  }

  /**
   * Has connections closed as soon as they are accepted: those that are more than there may be, silent ones among them,
   * and those for which there are no descriptors. The latter the system would close without a word.
   */
  #cap(): void {
    const { maxSockets, onDrop } = this.#options;
    const fit = connectionsThatFit() ?? Number.POSITIVE_INFINITY;
    this.#server.maxConnections = Math.min(fit, maxSockets);
    let saidAt = Number.NEGATIVE_INFINITY;
    this.#server.on('drop', () => {
      if (maxSockets <= fit) {
        onDrop();
        return;
      }
      const now = this.#clock.now();
      if (now - saidAt < DROPS_SAID_MS) return;
      saidAt = now;
      this.#logger.error(
        { connections: fit },
        'no descriptors are left for more connections: new ones are closed. Raise LimitNOFILE or ulimit -Hn',
      );
    });
  }
}

function asListenFailed(endpoint: Endpoint, error: unknown): RegistryError {
  const where = formatEndpoint(endpoint);
  const reason =
    codeOf(error) === 'EADDRINUSE'
      ? `something listens on ${where} already: stop it, or choose another --port`
      : `cannot listen on ${where}: ${String(error)}`;
  return new RegistryError('listen_failed', reason, { cause: error });
}
