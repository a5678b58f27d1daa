import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ManualClock } from '@reg/protocol/testing';
import { defaultConfig } from '../config.js';
import type { Log } from '../log/log.js';
import { MemoryLog } from '../log/memory.js';
import type { Registry } from '../registry/registry.js';
import { createServer, type RegistryServer, type ServerOptions } from '../server.js';
import { Keep, KeptLog } from './kept-log.js';
import { type Network, Wire } from './wire.js';

/**
 * The daemon's options. Nothing is written to a disk: `storage` says whether the registrations outlive a restart,
 * as on a disk (unless given), or not: with `memory` every start begins with none, and another epoch.
 */
export interface TestRegistryOptions extends Omit<ServerOptions, 'log' | 'clock'> {
  /** A clock that is there already. */
  readonly clock?: ManualClock;
}

/** How finely time passes, in ms. Between two steps everything that is ready to run, runs. */
const STEP_MS = 10;
/** When nothing has moved for so many turns of the event loop, nothing is on its way. */
const QUIET_TURNS = 4;

/**
 * Starts a registry inside this process for a test: without a port, without a disk, and with a clock that stands
 * still until the test moves it.
 *
 *     await using registry = await startRegistry();
 *     const client = connect(registry.url, { dial: registry.dial, clock: registry.clock });
 *     await client.register('payments', '10.0.0.5:8080');
 *     registry.partition();
 *     await registry.advance(30_000);
 */
export async function startRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const registry = new TestRegistry(options);
  await registry.start();
  return registry;
}

export class TestRegistry implements AsyncDisposable {
  /** Where clients believe that it is. */
  readonly url = 'reg://registry.test:6734';
  readonly clock: ManualClock;
  /** Opens a connection to it: the client's option of that name. */
  readonly dial: () => Duplex;
  readonly #options: Omit<ServerOptions, 'log' | 'clock'>;
  readonly #keep = new Keep();
  readonly #network: Network;
  readonly #wires = new Set<Wire>();
  #running: { readonly server: RegistryServer; readonly log: Log } | undefined;
  #losesHeartbeats = false;

  constructor({ clock = new ManualClock(), ...options }: TestRegistryOptions) {
    this.clock = clock;
    this.#options = options;
    this.#network = { clock, isCut: false, delay: 0, moves: 0, accept: (stream) => this.#accept(stream) };
    this.dial = () => this.#dial();
  }

  /** How many connections there are, broken ones that one side does not know of included. */
  get connections(): number {
    return this.#wires.size;
  }

  /** Lets everything happen that needs no time: what was sent arrives, and is answered. */
  async settle(): Promise<void> {
    for (let quiet = 0, seen = this.#network.moves; quiet < QUIET_TURNS; quiet += 1) {
      await nextTurn();
      if (this.#network.moves !== seen) quiet = 0;
      seen = this.#network.moves;
    }
  }

  /** Lets `ms` pass on the clock, here and in every client that has it, and all that happens in that time. */
  async advance(ms: number): Promise<void> {
    await this.settle();
    for (let left = ms; left > 0; left -= STEP_MS) {
      this.clock.advance(Math.min(STEP_MS, left));
      await this.settle();
    }
  }

  /**
   * Cuts the network. Connections stay open and nothing arrives: it is kept on its way, in both directions, until
   * `heal`. New connections hang.
   */
  partition(): void {
    this.#network.isCut = true;
  }

  /** Ends a partition: what was on its way arrives. */
  heal(): void {
    this.#network.isCut = false;
    for (const wire of this.#wires) wire.move();
  }

  /** From now on everything is `ms` on its way, in each direction; 0 is none, as in the beginning. */
  delay(ms: number): void {
    this.#network.delay = ms;
  }

  /**
   * Loses renewals, or with `false` no more. The wire has no way to lose one request of a connection, so they are
   * lost where they would count: a heartbeat is answered as ever, and so is a register that changes nothing, but no
   * deadline moves. So a registration expires while its client lives and is connected, and the client is told by
   * the heartbeat after that.
   */
  dropHeartbeats(on = true): void {
    this.#losesHeartbeats = on;
  }

  /** Breaks every connection, at both ends at once. New ones can be made. */
  killConnections(): void {
    for (const wire of this.#wires) wire.break();
  }

  /** Starts the daemon after `stop`. */
  async start(): Promise<void> {
    if (this.#running !== undefined) return;
    const { storage, grace = defaultConfig().grace } = this.#options;
    const log = storage === 'memory' ? new MemoryLog() : new KeptLog(this.#keep, grace * 1000);
    const server = createServer({ ...this.#options, clock: this.clock, log });
    loseRenewals(server.registry, () => this.#losesHeartbeats);
    await server.start();
    this.#running = { server, log };
  }

  /**
   * Stops the daemon; until `start` nobody can connect. In order it answers what it has read, says goodbye and ends
   * nobody's registration. With `crash` it does nothing any more, as after SIGKILL.
   */
  async stop({ crash = false } = {}): Promise<void> {
    if (this.#running === undefined) return;
    const { server, log } = this.#running;
    this.#running = undefined;
    if (crash && log instanceof KeptLog) log.abandon();
    // In order: first it closes, and its connections are ended by that. In a crash they end it.
    const closed = crash ? undefined : server.close();
    if (!crash) await this.settle();
    for (const wire of this.#wires) wire.breakFar();
    await (closed ?? server.close());
    await this.settle();
  }

  /** Stops the daemon and starts it again, with what it had; see `stop` and the option `storage`. */
  async restart(how: { readonly crash?: boolean } = {}): Promise<void> {
    await this.stop(how);
    await this.start();
    await this.settle();
  }

  /** Ends it, and every connection. */
  async close(): Promise<void> {
    this.#network.isCut = false;
    await this.stop();
    for (const wire of this.#wires) wire.end();
    await this.settle();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #dial(): Duplex {
    const wire: Wire = new Wire(this.#network, () => this.#wires.delete(wire));
    this.#wires.add(wire);
    return wire.near;
  }

  #accept(stream: Duplex): boolean {
    this.#running?.server.handle(stream);
    return this.#running !== undefined;
  }
}

/** A renewal moves a deadline and does nothing else, so a lost one is one that moves none. */
function loseRenewals(registry: Registry, isLost: () => boolean): void {
  const renew = registry.renew.bind(registry);
  registry.renew = (instance, expiresAt) => {
    if (!isLost()) renew(instance, expiresAt);
  };
}
