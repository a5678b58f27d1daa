/**
 * What leads to the daemon: a connection, or the wait for the next. It is the only file that dials.
 *
 *     idle ──▶ dialling ──▶ open        a connection that ends leads to `waiting` where one is wanted,
 *       ▲         │          │          and otherwise to `idle`: nobody dials for nobody
 *       └─────────┴─ waiting ┘
 *
 * Where there are several endpoints, each that fails, or whose connection ends, hands over to the one after it.
 */

import type { CommandType, Endpoint, Event, RegistryError, Timer } from '@reg/protocol';
import { Connection, type ConnectionHandler } from './connection.js';
import {
  type AbortError,
  ClosedError,
  ConnectionError,
  detached,
  QueueFullError,
  ReplyError,
  TimeoutError,
} from './errors.js';
import type { Settings } from './options.js';
import { Call, type CallOptions, type ReplyListener, Requests } from './requests.js';
import { dialDelay, forbearance } from './schedule.js';

/** Who is told what happens, for the log. Told last, when everything is consistent. */
export interface LinkOwner {
  opened(endpoint: Endpoint): void;
  /** A connection that had opened is gone. */
  closed(error: Error): void;
  /** An attempt to connect to `endpoint` failed; the next is made in `delay` ms. */
  retrying(error: Error, delay: number, endpoint: Endpoint): void;
}

/** Who needs a connection even while no request waits for one. */
export interface LinkUser {
  connected(): void;
  /** The connection that `connected` told of is gone; what was sent and not answered fails after this. */
  disconnected(): void;
  /** An attempt to connect failed, and another will be made. */
  unreachable?(): void;
  /** There is no connection, and none will be tried until somebody asks for one. */
  gaveUp(makeError: () => RegistryError): void;
  /** What the daemon says of its own accord, in order with the replies of this connection. */
  event?(event: Event): void;
}

type State =
  /** `broken`: those who need to know are being told. What they ask for then is seen to when all know. */
  | { readonly name: 'idle' | 'broken' | 'ended' }
  | { readonly name: 'waiting'; readonly timer: Timer }
  | { readonly name: 'dialling' | 'open'; readonly connection: Connection };

const IDLE: State = { name: 'idle' };
const BROKEN: State = { name: 'broken' };
const ENDED: State = { name: 'ended' };

/** By how much Node's timers may be early, in ms, by the clock that they are compared with. */
const TIMER_SLACK = 1;

export class Link {
  readonly settings: Settings;
  /** In the order in which they are preferred. */
  readonly #endpoints: readonly Endpoint[];
  readonly #owner: LinkOwner;
  readonly #requests = new Requests();
  readonly #users = new Set<LinkUser>();
  #state: State = IDLE;
  /** Which of the endpoints the present connection leads to, or the next will. */
  #at = 0;
  #session = 0;
  /** Connections and attempts that ended since a daemon last answered anything, at whatever endpoint. */
  #failures = 0;
  #lastError: Error | undefined;
  /** Of the last connection that was open and is gone. */
  #heardAt: number | undefined;
  #flushing = false;
  /** Its owner is about to end it. */
  #isLast = false;

  /** @param endpoints at least one. */
  constructor(endpoints: readonly Endpoint[], settings: Settings, owner: LinkOwner) {
    this.#endpoints = endpoints;
    this.settings = settings;
    this.#owner = owner;
  }

  get open(): boolean {
    return this.#state.name === 'open';
  }

  /** Which connection there is, or was last: counts up from 1 with every one that opens. */
  get session(): number {
    return this.#session;
  }

  /**
   * When the connection opened or anything last came over it, by the monotonic clock; where there is none, of the last
   * one that there was. `undefined` where there never was one.
   */
  get heardAt(): number | undefined {
    return this.#state.name === 'open' ? this.#state.connection.heardAt : this.#heardAt;
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

  /**
   * Makes a request of a line. It never throws: what goes wrong, the call's result says, when all that has arrived
   * with the reply was read.
   */
  call<C extends CommandType>(type: C, line: string, options: CallOptions, listener?: ReplyListener<C>): Call<C> {
    const call = new Call(type, line, options, listener);
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
    if (this.open) return this.#noReply(ms);
    return ConnectionError.failed(this.#endpoints, this.#lastError);
  }

  /** While no daemon has answered since, why the last connection ended may well be why this one is silent. */
  #noReply(ms: number): TimeoutError {
    return new TimeoutError(`no reply within ${ms} ms`, this.#failures > 0 ? this.#lastError : undefined);
  }

  /** What is asked from now on is the last: a daemon that is not there now is not waited for. */
  hurry(): void {
    this.#isLast = true;
    this.#failures = 0;
    if (this.#state.name !== 'waiting') return;
    this.#abandon(IDLE);
    this.#dial();
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
    this.#requests.add(call);
    this.#time(call);
    if (this.open) this.#flushSoon();
    else this.wake();
  }

  #time(call: Call): void {
    call.start(
      this.settings.clock,
      () => this.#overdue(call),
      (error) => this.cancel(call, error),
    );
  }

  #overdue(call: Call): void {
    const { timeout, lasting } = call.options;
    // A caller in a hurry says nothing about the connection.
    const { patience = Math.max(timeout, this.settings.requestTimeout) } = call.options;
    const connection = this.#state.name === 'open' ? this.#state.connection : undefined;
    const silence = connection ? this.#silence(connection) + TIMER_SLACK : 0;
    const dead = connection !== undefined && silence >= patience * forbearance(this.#failures, this.#endpoints.length);
    // To ask once more would not bring the answer sooner, and nothing else looks whether the connection is dead.
    const borne = call.options.patience !== undefined && silence >= patience;
    if ((lasting || borne) && !dead) {
      this.#time(call);
      return;
    }
    this.#requests.drop(call);
    call.reject(call.sentAt === undefined ? this.overdueError(timeout) : this.#noReply(timeout));
    this.#dropUnwanted();
    if (dead) connection.close(new TimeoutError(`the daemon has been silent for ${Math.floor(silence)} ms`));
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
      this.#state.connection.write(this.#requests.takeBatch(this.settings.clock.monotonic(), this.#session));
    }
  }

  get #endpoint(): Endpoint {
    const endpoint = this.#endpoints[this.#at % this.#endpoints.length];
    if (!endpoint) throw new RangeError('a link needs an endpoint');
    return endpoint;
  }

  #dial(): void {
    const handler: ConnectionHandler = {
      opened: () => this.#opened(),
      replied: (reply) => {
        const error = this.#requests.answer(reply);
        if (error) connection.close(error);
        // A daemon that is full answers, too: who comes back at once makes it no emptier.
        else if (reply.ok || reply.error.code !== 'over_limit') this.#failures = 0;
      },
      told: (event) => this.#tell((user) => user.event?.(event)),
      drained: () => this.#flush(),
      closed: (error) => {
        // Otherwise it was abandoned.
        if ('connection' in this.#state) this.#closed(error);
      },
    };
    const { dial, clock, connectTimeout, token } = this.settings;
    let connection: Connection;
    try {
      // Asked at each connection: who renews tokens has another one by now.
      const secret = token();
      connection = new Connection(dial(this.#endpoint), handler, clock, connectTimeout, secret);
    } catch (error) {
      this.#closed(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#state = { name: 'dialling', connection };
  }

  #opened(): void {
    if (this.#state.name !== 'dialling') return;
    this.#state = { name: 'open', connection: this.#state.connection };
    this.#session += 1;
    this.#flushSoon();
    this.#tell((user) => user.connected());
    this.#owner.opened(this.#endpoint);
  }

  #closed(error: Error): void {
    const wasOpen = this.#state.name === 'open';
    const endpoint = this.#endpoint;
    this.#heardAt = this.heardAt;
    this.#state = BROKEN;
    this.#at += 1;
    this.#lastError = error;
    if (wasOpen) this.#tell((user) => user.disconnected());
    const refusal = isRefusal(error) ? error : undefined;
    if (refusal) this.#requests.failAll(() => refusal.copy());
    else if (error instanceof ReplyError) this.#requests.failOldest(error);
    this.#requests.disconnected(() => ConnectionError.lost(endpoint, error));
    this.#state = IDLE;
    const delay = this.#waitToDial(wasOpen, refusal !== undefined);
    if (delay === undefined && !this.#reconnect) {
      this.#giveUp(() => {
        if (refusal) return refusal.copy();
        return wasOpen ? ConnectionError.lost(endpoint, error) : ConnectionError.failed(this.#endpoints, error);
      });
    }
    if (!wasOpen && delay !== undefined) this.#tell((user) => user.unreachable?.());
    if (wasOpen) this.#owner.closed(error);
    else if (delay !== undefined) this.#owner.retrying(error, delay, endpoint);
  }

  /**
   * Sees to the next connection, if there is to be one; in how many ms. After a refusal it waits though nobody wants one
   * now: who asks again at once is not to be refused as fast as the network goes.
   */
  #waitToDial(wasOpen: boolean, isRefused: boolean): number | undefined {
    const { clock, random } = this.settings;
    const reconnect = this.#reconnect;
    const { length } = this.#endpoints;
    if (!this.#wanted() && !(isRefused && reconnect)) return undefined;
    // A connection that breaks while the last is asked is made anew, once: who hangs up at once would again.
    const isRenewed = this.#isLast && wasOpen && this.#failures === 0;
    // Without `reconnect` one look at each endpoint is all.
    if (!reconnect && !isRenewed && (wasOpen || this.#failures + 1 >= length)) return undefined;
    const delay = reconnect ? dialDelay(this.#failures, length, reconnect, random) : 0;
    this.#failures += 1;
    const timer = clock.after(delay, () => {
      this.#state = IDLE;
      if (this.#wanted()) this.#dial();
    });
    this.#state = { name: 'waiting', timer };
    return delay;
  }

  get #reconnect(): Settings['reconnect'] {
    return this.#isLast ? false : this.settings.reconnect;
  }

  #giveUp(makeError: () => RegistryError): void {
    this.#failures = 0;
    this.#requests.failWaiting(makeError);
    this.#tell((user) => user.gaveUp(makeError));
  }

  #tell(what: (user: LinkUser) => void): void {
    for (const user of this.#users) detached(() => what(user));
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

/** Whether the daemon has said that it does not take the token: nothing else that it answers ends a connection. */
function isRefusal(error: Error): error is ReplyError {
  return error instanceof ReplyError && error.daemonCode !== undefined;
}
