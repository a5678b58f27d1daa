/** Real HTTP servers on loopback, and a view of them that a test changes as a registry would. */

import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createDispatcher, type DispatcherOptions, type Target, type View } from '@reg/client/undici';
import { ManualClock } from '@reg/protocol/testing';
import { onTestFinished } from 'vitest';

/** One server: it answers with its name unless told otherwise. */
export class HttpService {
  readonly name: string;
  readonly requests: IncomingMessage[] = [];
  readonly bodies: string[] = [];
  readonly sockets = new Set<Socket>();
  listener: RequestListener;
  /** Whether it reads what it is sent before it answers. */
  reads = true;
  readonly #server: Server;
  readonly #arrivals = new EventEmitter();

  private constructor(name: string, listener?: RequestListener) {
    this.name = name;
    this.listener = listener ?? ((_, response) => void response.end(name));
    this.#server = createServer((request, response) => {
      // Whoever breaks off a request gets no answer.
      this.#answer(request, response).catch(() => response.destroy());
    });
    // Who closes idle connections is the client, and when is what the tests are about.
    this.#server.keepAliveTimeout = 0;
    this.#server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('error', () => {});
    });
    onTestFinished(() => this.kill());
  }

  /** @param port 0 for any. */
  static async start(name: string, listener?: RequestListener, port = 0): Promise<HttpService> {
    const service = new HttpService(name, listener);
    service.#server.listen(port, '127.0.0.1');
    await once(service.#server, 'listening');
    return service;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  target(generation = 1): Target {
    return { instance: this.name, generation, address: { host: '127.0.0.1', port: this.port } };
  }

  onUpgrade(listener: (request: IncomingMessage, socket: Duplex) => void): void {
    this.#server.on('upgrade', listener);
  }

  /** Resolves with the next request, when its body is there. */
  async arrival(): Promise<void> {
    await once(this.#arrivals, 'request');
  }

  /** Resolves when nobody is connected any more. */
  async deserted(): Promise<void> {
    await Promise.all([...this.sockets].map(closed));
  }

  /** Ends at once, as a process that is killed. */
  async kill(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    for (const socket of this.sockets) socket.resetAndDestroy();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests.push(request);
    if (this.reads) this.bodies.push(String(Buffer.concat(await request.toArray())));
    this.listener(request, response);
    this.#arrivals.emit('request');
  }
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** What `client.discover` gives, as far as the dispatcher is concerned: in turns, over what a test says. */
class FakeView extends EventEmitter<{ change: [] }> implements View {
  instances: readonly Target[];
  /** Names of the instances that a request is in flight to. */
  readonly inFlight: string[] = [];
  closed = false;
  /** Resolves when there is a first answer. */
  ready: () => Promise<unknown> = () => Promise.resolve();
  #turn = 0;

  constructor(instances: readonly Target[]) {
    super();
    this.instances = instances;
  }

  set(...instances: Target[]): void {
    this.instances = instances;
    this.emit('change');
  }

  pick(key?: string): Target | undefined {
    if (key !== undefined) return this.instances[Number(key.replaceAll(/\D/g, '')) % this.instances.length];
    this.#turn += 1;
    return this.instances[(this.#turn - 1) % this.instances.length];
  }

  track({ instance = '' }: Target): () => void {
    this.inFlight.push(instance);
    return () => void this.inFlight.splice(this.inFlight.indexOf(instance), 1);
  }

  close(): void {
    this.closed = true;
  }
}

/** A dispatcher whose service `payments` has these servers. */
export function dispatcherOf(services: readonly HttpService[], options: DispatcherOptions = {}) {
  const view = new FakeView(services.map((service) => service.target()));
  const clock = new ManualClock();
  const discovered: string[] = [];
  const client = {
    discover(service: string): View {
      discovered.push(service);
      return view;
    },
  };
  const dispatcher = createDispatcher(client, { clock, ...options });
  onTestFinished(() => dispatcher.destroy());
  return { dispatcher, view, clock, discovered };
}
