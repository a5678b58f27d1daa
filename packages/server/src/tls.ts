import { randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext, createServer, type SecureContextOptions, type Server, TLSSocket } from 'node:tls';
import { encodeError, RegistryError } from '@reg/protocol';
import type { Logger } from './logger.js';

/** Paths of files in PEM. */
export interface TlsFiles {
  /** The daemon's certificate, and after it those between it and its authority. */
  readonly cert: string;
  readonly key: string;
  /** Who signs the certificates of clients. Given, a client has to have one. */
  readonly ca: string | undefined;
}

/** What each connection of a port is set up with, of TLS or not. */
export interface SocketOptions {
  readonly allowHalfOpen: boolean;
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
  readonly keepAliveInitialDelay: number;
}

/** The first byte of a TLS connection. No line begins with it. */
const HANDSHAKE_RECORD = 0x16;
const TICKET_KEY_BYTES = 48;
/** 24 days: the most that a timer takes. Given 0, Node would take its own 120 s. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * A port on which nothing is said before TLS: it hands on the connections whose handshake is done and, where clients
 * need certificates, whose certificate is good. What does not come to the end of its handshake in time is closed.
 */
export class TlsPort {
  readonly server: Server;
  readonly #files: TlsFiles;
  /** Connections as they were accepted, also those that are not through their handshake. */
  readonly #accepted = new Set<Socket>();
  /** Those that are through it. They are other objects, and nothing leads from one to the other. */
  readonly #secure = new Set<TLSSocket>();

  /**
   * @param handshakeTimeout ms; `Infinity` for none.
   * @throws {RegistryError} `bad_config` where the files cannot be used.
   */
  constructor(
    files: TlsFiles,
    handshakeTimeout: number,
    options: SocketOptions,
    logger: Logger,
    onSecure: (socket: TLSSocket) => void,
  ) {
    this.#files = files;
    const wantsCertificates = files.ca !== undefined;
    this.server = createServer(
      {
        ...options,
        // Who closes its side before the handshake is over has gone; afterwards it may still read.
        allowHalfOpen: false,
        ...readContext(files),
        handshakeTimeout: Math.min(handshakeTimeout, MAX_TIMER_MS),
        requestCert: wantsCertificates,
        rejectUnauthorized: wantsCertificates,
      },
      (socket) => {
        this.#secure.add(socket);
        socket.on('close', () => this.#secure.delete(socket));
        socket.allowHalfOpen = options.allowHalfOpen;
        onSecure(socket);
      },
    );
    this.server.on('connection', (socket: Socket) => {
      this.#accepted.add(socket);
      socket.on('close', () => this.#accepted.delete(socket));
    });
    this.server.on('tlsClientError', (error, socket) => {
      // Anybody can cause these, and as many as they like: they are worth a line, not a stack.
      logger.info({ peer: socket.remoteAddress, reason: error.message }, 'a TLS handshake failed');
      // Where its time is over Node says so, and leaves it open.
      socket.destroy();
    });
  }

  /** How many connections have begun a handshake, or are silent, and are not through it. */
  get handshakes(): number {
    // Of a connection that ends, either may be told first.
    return Math.max(0, this.#accepted.size - this.#secure.size);
  }

  /**
   * Reads the files again, for connections that come from now on. Where they cannot be used, everything stays as it was.
   *
   * @throws {RegistryError} `bad_config`
   */
  reload(): void {
    this.server.setSecureContext(readContext(this.#files));
    // A session that was made under the old files must not be resumed under the new ones: its certificate may be void.
    this.server.setTicketKeys(randomBytes(TICKET_KEY_BYTES));
  }

  /** Breaks what is open. A handshake that is under way would keep the port from closing. */
  destroy(): void {
    for (const socket of this.#accepted) socket.destroy();
  }
}

/** Answers a peer that begins a handshake on a port without TLS, which would wait for the rest of a line otherwise. */
export function refuseHandshake(socket: Socket): void {
  socket.once('data', (chunk: Buffer) => {
    if (chunk[0] !== HANDSHAKE_RECORD) return;
    const error = new RegistryError('bad_request', 'this port speaks no TLS: its address begins with reg://');
    socket.end(encodeError(undefined, error), () => socket.destroy());
  });
}

/**
 * What the verified certificate of the peer is about: the common name of its subject, or the first DNS name where there
 * is none. `undefined` where there is no certificate, where none was asked for, or where it has no such name.
 */
export function certificateNameOf(stream: Duplex): string | undefined {
  if (!(stream instanceof TLSSocket) || !stream.authorized) return undefined;
  const certificate = stream.getPeerCertificate();
  // Without a certificate it is an empty object, whatever its type says; several common names make an array.
  const name: unknown = certificate.subject?.CN;
  if (typeof name === 'string' && name !== '') return name;
  return /^DNS:([\w.*-]+)(?:, |$)/.exec(certificate.subjectaltname ?? '')?.[1];
}

/** Checked, so that what is wrong is found before anything is replaced. */
function readContext({ cert, key, ca }: TlsFiles): SecureContextOptions {
  const context: SecureContextOptions = {
    cert: readPem(cert, 'tlsCert'),
    key: readPem(key, 'tlsKey'),
    ...(ca !== undefined && { ca: readAuthority(ca) }),
    minVersion: 'TLSv1.2',
  };
  try {
    createSecureContext(context);
  } catch (cause) {
    throw new RegistryError('bad_config', `the certificate ${cert} and the key ${key} cannot be used: ${cause}`, {
      cause,
    });
  }
  return context;
}

/** OpenSSL takes a file with no certificate for an authority of nobody, and every client would be turned away. */
function readAuthority(path: string): Buffer {
  const pem = readPem(path, 'tlsCa');
  try {
    new X509Certificate(pem);
  } catch (cause) {
    throw new RegistryError('bad_config', `"tlsCa" is no certificate: ${path}`, { cause });
  }
  return pem;
}

function readPem(path: string, option: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new RegistryError('bad_config', `"${option}" cannot be read: ${String(cause)}`, { cause });
  }
}
