/**
 * What leads to one daemon: a connection, or the wait for the next. It is the only file that dials.
 *
 *     idle ──▶ dialling ──▶ open        a connection that ends leads to `waiting` where one is wanted,
 *       ▲         │          │          and otherwise to `idle`: nobody dials for nobody
 *       └─────────┴─ waiting ┘
 */

import type { CommandType, Endpoint, Timer } from '@reg/protocol';
import { Connection, type ConnectionHandler } from './connection.js';
import { type AbortError, ClosedError, ConnectionError, QueueFullError, ReplyError, TimeoutError } from './errors.js';
import type { Settings } from './options.js';
import { Call, type CallOptions, Requests } from './requests.js';
import { backoffDelay } from './schedule.js';

/** Who is told what happens, for the log. Told last, when everything is consistent. */
export interface LinkOwner {
  opened(): void;
  /** A connection that had opened is gone. */
  closed(error: Error): void;
  /** An attempt to connect failed; the next is made in `delay` ms. */
  retrying(error: Error, delay: number): void;
}

/** Who needs a connection even while no request waits for one. */
export interface LinkUser {
  connected(): void;
  /** There is no connection, and none will be tried until somebody asks for one. */
  gaveUp(makeError: () => ConnectionError): void;
}

type State =
  | { readonly name: 'idle' | 'ended' }
  | { readonly name: 'waiting'; readonly timer: Timer }
  | { readonly name: 'dialling' | 'open'; readonly connection: Connection };

const IDLE: State = { name: 'idle' };
const ENDED: State = { name: 'ended' };

/** By how much Node's timers may be early, in ms, by the clock that they are compared with. */
const TIMER_SLACK = 1;

export class Link {
  readonly settings: Settings;
  readonly #endpoint: Endpoint;
  readonly #owner: LinkOwner;
  readonly #requests = new Requests();
  readonly #users = new Set<LinkUser>();
  #state: State = IDLE;
  /** Connections and attempts that ended since a daemon last answered anything. */
  #failures = 0;
  #lastError: Error | undefined;
  #flushing = false;

  constructor(endpoint: Endpoint, settings: Settings, owner: LinkOwner) {
    this.#endpoint = endpoint;
    this.settings = settings;
    this.#owner = owner;
  }

  get open(): boolean {
    return this.#state.name === 'open';
  }

  /** Requests that wait or are in flight. */
  get pending(): number {
    return this.#requests.size;
  }

  join(user: LinkUser): void {
    this.#users.add(user);
  }

  leave(user: LinkUser): void {
    this.#users.delete(user);
    this.#dropUnwanted();
  }

  /** Sees to it that a connection comes. */
  wake(): void {
    if (this.#state.name === 'idle') this.#dial();
  }

  /** Makes a request of a line. It never throws: what goes wrong, the call's result says. */
  call<C extends CommandType>(type: C, line: string, options: CallOptions): Call<C> {
    const call = new Call(type, line, options);
    if (this.#state.name === 'ended') call.reject(new ClosedError('the client is closed'));
    else if (this.#isFullFor(call)) call.reject(new QueueFullError(this.settings.maxQueue));
    else this.#add(call);
    return call;
  }

  /** Takes a request back: unsent it is forgotten, sent its reply is swallowed. */
  cancel(call: Call, error: AbortError | ClosedError): void {
    this.#requests.drop(call);
    call.reject(error);
    this.#dropUnwanted();
  }

  /** What somebody is told who waited `ms` for a daemon in vain. */
  overdueError(ms: number): TimeoutError | ConnectionError {
    if (this.open) return new TimeoutError(`no reply within ${ms} ms`);
    return ConnectionError.failed(this.#endpoint, this.#lastError);
  }

  /** Ends it for good: what is still pending fails with `closed`, and the owner is told nothing more. */
  end(): void {
    this.#abandon(ENDED);
    this.#requests.failAll(() => new ClosedError('the client was closed before the reply'));
  }

  #isFullFor(call: Call): boolean {
    return call.options.bounded === true && this.#requests.bounded >= this.settings.maxQueue;
  }

  #add(call: Call): void {
    const { clock } = this.settings;
    this.#requests.add(call);
    call.start(
      clock,
      () => this.#overdue(call),
      (error) => this.cancel(call, error),
    );
    if (this.open) this.#flushSoon();
    else this.wake();
  }

  #overdue(call: Call): void {
    const { timeout } = call.options;
    // A caller in a hurry says nothing about the connection.
    const { patience = Math.max(timeout, this.settings.requestTimeout) } = call.options;
    const error =
      call.sentAt === undefined ? this.overdueError(timeout) : new TimeoutError(`no reply within ${timeout} ms`);
    this.#requests.drop(call);
    call.reject(error);
    this.#dropUnwanted();
    if (this.#state.name !== 'open') return;
    const silence = this.#silence(this.#state.connection);
    if (silence + TIMER_SLACK >= patience) {
      this.#state.connection.close(new TimeoutError(`the daemon has been silent for ${Math.round(silence)} ms`));
    }
  }

  /**
   * For how long the daemon has owed a reply and sent nothing. A peer that vanished without a word (a machine
   * switched off, a firewall that forgot the connection) is known by nothing else.
   */
  #silence(connection: Connection): number {
    const owedSince = this.#requests.owedSince;
    if (owedSince === undefined) return 0;
    return this.settings.clock.monotonic() - Math.max(connection.heardAt, owedSince);
  }

  /** One write for everything that is asked within this turn of the event loop. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#state.name === 'open' && !this.#state.connection.full && this.#requests.waiting > 0) {
      this.#state.connection.write(this.#requests.takeBatch(this.settings.clock.monotonic()));
    }
  }

  #dial(): void {
    const handler: ConnectionHandler = {
      opened: () => this.#opened(),
      replied: (reply) => {
        const error = this.#requests.answer(reply);
        if (error) connection.close(error);
        else this.#failures = 0;
      },
      drained: () => this.#flush(),
      closed: (error) => {
        // Otherwise it was abandoned.
        if ('connection' in this.#state) this.#closed(error);
      },
    };
    const { dial, clock, connectTimeout } = this.settings;
    let connection: Connection;
    try {
      connection = new Connection(dial(this.#endpoint), handler, clock, connectTimeout);
    } catch (error) {
      this.#closed(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#state = { name: 'dialling', connection };
  }

  #opened(): void {
    if (this.#state.name !== 'dialling') return;
    this.#state = { name: 'open', connection: this.#state.connection };
    this.#flushSoon();
    for (const user of this.#users) user.connected();
    this.#owner.opened();
  }

  #closed(error: Error): void {
    const wasOpen = this.#state.name === 'open';
    this.#state = IDLE;
    this.#lastError = error;
    if (error instanceof ReplyError) this.#requests.failOldest(error);
    this.#requests.disconnected(() => ConnectionError.lost(this.#endpoint, error));
    const delay = this.#waitToDial();
    if (!this.settings.reconnect) this.#giveUp(error, wasOpen);
    if (wasOpen) this.#owner.closed(error);
    else if (delay !== undefined) this.#owner.retrying(error, delay);
  }

  /** Sees to the next connection, if there is to be one; in how many ms. */
  #waitToDial(): number | undefined {
    const { reconnect, clock, random } = this.settings;
    if (!reconnect || !this.#wanted()) return undefined;
    const delay = backoffDelay(this.#failures, reconnect, random);
    this.#failures += 1;
    const timer = clock.after(delay, () => {
      this.#state = IDLE;
      if (this.#wanted()) this.#dial();
    });
    this.#state = { name: 'waiting', timer };
    return delay;
  }

  #giveUp(error: Error, wasOpen: boolean): void {
    const makeError = () =>
      wasOpen ? ConnectionError.lost(this.#endpoint, error) : ConnectionError.failed(this.#endpoint, error);
    this.#requests.failWaiting(makeError);
    for (const user of this.#users) user.gaveUp(makeError);
  }

  /** Node keeps a process for as long as a dial takes, whoever wants it: it must not go on for nobody. */
  #dropUnwanted(): void {
    if (this.#state.name === 'dialling' && !this.#wanted()) this.#abandon(IDLE);
  }

  /** Lets go of what there is, without a word to anybody. */
  #abandon(next: State): void {
    const state = this.#state;
    this.#state = next;
    if ('timer' in state) state.timer.cancel();
    if ('connection' in state) state.connection.close(new ClosedError());
  }

  #wanted(): boolean {
    return this.#requests.waiting > 0 || this.#users.size > 0;
  }
}
