import { type Duplex, type DuplexOptions, duplexPair } from 'node:stream';
import { UNOWNED } from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { createServer, type RegistryServer, type ServerOptions } from '@reg/server';
import type { RegisterChange } from '../src/change.js';
import { Instance } from '../src/registry/instance.js';

/** What a plain register of the article says of itself, as a change has it. */
export const PLAIN = { status: 'passing', linger: Number.POSITIVE_INFINITY, owner: UNOWNED } as const;

/** The instance that a change makes, where there was none. It has no seat, and so no deadline. */
export function instanceOf(change: RegisterChange): Instance {
  return new Instance(change, change, undefined);
}

/** A reply as it came, for tests to look into. */
export type Received = Record<string, unknown> & { ok: boolean };

/** A daemon in memory, without a port, whose clock the test holds. It has no grace unless it is given one. */
export interface Daemon extends AsyncDisposable {
  readonly server: RegistryServer;
  readonly clock: ManualClock;
  /** @param options of both ends of the connection. */
  connect(options?: DuplexOptions): Peer;
}

export async function startDaemon(options: ServerOptions = {}, clock = new ManualClock()): Promise<Daemon> {
  const server = createServer({ storage: 'memory', grace: 0, clock, ...options });
  await server.start();
  const peers: Peer[] = [];
  return {
    server,
    clock,
    connect(options) {
      const [ours, theirs] = duplexPair(options);
      server.handle(theirs);
      const peer = new Peer(ours, theirs);
      peers.push(peer);
      return peer;
    },
    async [Symbol.asyncDispose]() {
      for (const peer of peers) peer.hangUp();
      await server.close();
    },
  };
}

/** A clock on which work takes time: between two looks at it `msPerLook` pass. */
export class WorkingClock extends ManualClock {
  msPerLook = 0;
  #worked = 0;

  override monotonic(): number {
    this.#worked += this.msPerLook;
    return super.monotonic() + this.#worked;
  }
}

/** The other end of a connection. */
export class Peer {
  readonly stream: Duplex;
  readonly #lines: string[] = [];
  #text = '';
  #wake: () => void = () => {};
  /** The daemon's end. */
  readonly far: Duplex;
  isEnded = false;

  constructor(stream: Duplex, far: Duplex) {
    this.stream = stream;
    this.far = far;
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      const lines = (this.#text + text).split('\r\n');
      this.#text = lines.pop() ?? '';
      this.#lines.push(...lines);
      this.#wake();
    });
    stream.on('end', () => {
      this.isEnded = true;
      this.#wake();
    });
    stream.on('error', () => {});
  }

  /** Sends one request, or raw bytes. */
  send(request: object | string | Buffer): void {
    const isRaw = typeof request === 'string' || Buffer.isBuffer(request);
    this.stream.write(isRaw ? request : `${JSON.stringify(request)}\r\n`);
  }

  /** The next line that comes. */
  async line(): Promise<string> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (this.isEnded) throw new Error('the connection has ended');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async receive(): Promise<Received> {
    return JSON.parse(await this.line()) as Received;
  }

  async ask(request: object | string): Promise<Received> {
    this.send(request);
    return this.receive();
  }

  /** How many lines have come and not been taken. */
  get waiting(): number {
    return this.#lines.length;
  }

  /** Ends the connection as a process that dies does. A pair of streams does not tell the other end by itself. */
  hangUp(): void {
    this.stream.destroy();
    this.far.destroy();
  }
}
