import type { ChangeEvent, RegistryError, ResetEvent, StateEvent, SyncedEvent, Timer, WatchReply } from '@reg/protocol';
import { Acks } from './acks.js';
import { ClosedError, ReplyError } from './errors.js';
import type { Call } from './requests.js';
import { backoffDelay, DEFAULT_BACKOFF } from './schedule.js';
import type { Watches } from './watches.js';
import { encodeLine } from './wire.js';

type Unnumbered<E> = E extends unknown ? Omit<E, 'watch'> : never;

/**
 * What a watch tells. A state that a broken connection has cut off begins anew after a `reset` with the reason
 * `interrupted`; that reason the client gives, the others the registry.
 */
export type WatchEvent =
  | { readonly type: 'reset'; readonly reason: ResetEvent['reason'] | 'interrupted' }
  | Unnumbered<StateEvent>
  | Unnumbered<SyncedEvent>
  | Unnumbered<ChangeEvent>;

/** How far a watch has come: every change up to the revision was told. */
export interface WatchPosition {
  readonly epoch: string;
  readonly revision: number;
}

/** What is watched, as the request says it. */
export type WatchScope = { readonly key: string } | { readonly prefix: string };

export interface WatcherOptions {
  /** Whether it acknowledges what it has `seen`. */
  readonly ack: boolean;
  /** Where an earlier watch of the same had come to. */
  readonly from?: WatchPosition | undefined;
}

export interface WatcherHandler {
  event(event: WatchEvent): void;
  /** All that is true was told, and what changes will be. */
  live(): void;
  /** No more: the connection is gone or silent, or what was told is void. */
  stale(): void;
  /**
   * There was no connection, or the daemon refused the watch.
   *
   * @param retrying whether it will be tried again without anybody's doing.
   */
  failed(error: RegistryError, retrying: boolean): void;
  /** The client was closed, and with it the watch; resolves when nothing is left to be done. */
  closed(): Promise<void>;
}

type Stage =
  /** There is no connection. */
  | { readonly name: 'idle' | 'paused' | 'closed' }
  | { readonly name: 'asked'; readonly call: Call<'watch'> }
  | { readonly name: 'refused'; readonly timer: Timer }
  /** Its events come under this number. */
  | { readonly name: 'told'; readonly number: number };

const IDLE: Stage = { name: 'idle' };
const PAUSED: Stage = { name: 'paused' };
const CLOSED: Stage = { name: 'closed' };

/**
 * One watch that is kept over any number of connections and daemons: each is a watch of its own on the wire, which
 * goes on from where the one before had come to.
 */
export class Watcher {
  readonly #watches: Watches;
  readonly #scope: WatchScope;
  readonly #handler: WatcherHandler;
  readonly #ack: boolean;
  readonly #acks = new Acks((revision) => this.#acknowledge(revision));
  #stage: Stage = IDLE;
  #position: WatchPosition | undefined;
  /** A state was told in part. */
  #cut = false;
  /** Everything was told on the present connection, and that the handler knows. */
  #synced = false;
  #live = false;
  #failures = 0;

  /** It begins at once, but tells nothing before the next turn of the event loop. */
  constructor(watches: Watches, scope: WatchScope, options: WatcherOptions, handler: WatcherHandler) {
    this.#watches = watches;
    this.#scope = scope;
    this.#handler = watches.contracts?.guard(handler, () => this.#stage === CLOSED) ?? handler;
    this.#ack = options.ack;
    this.#position = options.from;
    watches.add(this);
  }

  /** `undefined` until it was told everything, and again from a reset on. */
  get position(): WatchPosition | undefined {
    return this.#position;
  }

  /** The reader has heeded an event, and all before it. */
  seen(event: WatchEvent): void {
    // Who drains waits for those too who never called it, because it is not what they were said to find.
    if (this.#ack) this.#acks.seen(this.#watches.contracts?.original(event) ?? event);
  }

  /** Lets the registry tell nothing until `resume`, for a reader who is slow. */
  pause(): void {
    this.#leave(PAUSED);
  }

  resume(): void {
    if (this.#stage.name !== 'paused') return;
    this.#stage = IDLE;
    if (this.#watches.link.open) this.connected();
  }

  close(): void {
    this.#leave(CLOSED);
    this.#watches.remove(this);
  }

  // What follows, `Watches` calls.

  connected(): void {
    if (this.#stage.name !== 'idle') return;
    const { link } = this.#watches;
    const from = this.#position && { epoch: this.#position.epoch, after: this.#position.revision };
    const line = encodeLine('watch', { ...this.#scope, ...from, ...(this.#ack && { ack: true }) });
    // A reply that nobody waits for would leave a watch that nobody reads.
    const options = { timeout: link.settings.requestTimeout, lasting: true };
    const call = link.call('watch', line, options, { answered: (reply) => this.#answered(reply, call) });
    this.#stage = { name: 'asked', call };
    call.result.catch((error: unknown) => this.#refused(error, call));
  }

  disconnected(): void {
    const stage = this.#stage;
    if (stage.name !== 'paused') this.#stage = IDLE;
    this.#drop(stage);
    this.#lapse();
  }

  failed(error: RegistryError, retrying: boolean): void {
    this.#handler.failed(error, retrying);
  }

  end(): Promise<void> {
    this.close();
    return this.#handler.closed();
  }

  /** Another event of this watch. */
  told(event: WatchEvent): void {
    if (event.type === 'reset') {
      this.#position = undefined;
      this.#cut = false;
      this.#lapse();
    } else if (event.type === 'state') {
      this.#cut = true;
    } else if (event.type === 'synced') {
      this.#position = { epoch: event.epoch, revision: event.revision };
      this.#cut = false;
      this.#synced = true;
    } else if (this.#position) {
      this.#position = { epoch: this.#position.epoch, revision: event.revision };
    }
    this.#handler.event(event);
    this.heard();
  }

  /** The registry tells no more: the caller has lost the right to see what is watched. It may be given back. */
  dismissed(error: ReplyError): void {
    this.#lapse();
    this.#tryLater(error);
  }

  /** Nothing else was to be told up to a revision. */
  progressed(revision: number): void {
    if (this.#synced && this.#position) this.#position = { epoch: this.#position.epoch, revision };
  }

  /** The connection is silent, or is so no more. */
  heard(): void {
    const live = this.#synced && !this.#watches.silent;
    if (live === this.#live) return;
    this.#live = live;
    if (live) this.#handler.live();
    else this.#handler.stale();
  }

  #answered(reply: WatchReply, call: Call<'watch'>): void {
    if (this.#stage.name !== 'asked' || this.#stage.call !== call) {
      this.#watches.unwatch(reply.watch);
      return;
    }
    this.#failures = 0;
    this.#stage = { name: 'told', number: reply.watch };
    this.#watches.assign(reply, this);
    if (this.#cut) this.told({ type: 'reset', reason: 'interrupted' });
    this.#acks.again();
  }

  #refused(error: unknown, call: Call<'watch'>): void {
    if (this.#stage.name !== 'asked' || this.#stage.call !== call || !(error instanceof ReplyError)) return;
    this.#tryLater(error);
  }

  #tryLater(error: ReplyError): void {
    const { clock, random, reconnect } = this.#watches.link.settings;
    const delay = backoffDelay(this.#failures, reconnect || DEFAULT_BACKOFF, random);
    this.#failures += 1;
    const timer = clock.after(delay, () => {
      this.#stage = IDLE;
      this.connected();
    });
    this.#stage = { name: 'refused', timer };
    this.#handler.failed(error, true);
  }

  #acknowledge(revision: number): boolean {
    if (this.#stage.name !== 'told') return false;
    this.#watches.send('ack', { watch: this.#stage.number, revision });
    return true;
  }

  #leave(next: Stage): void {
    const stage = this.#stage;
    if (stage.name === 'closed') return;
    this.#stage = next;
    this.#drop(stage);
    if (stage.name === 'told') this.#watches.unwatch(stage.number);
    if (next === CLOSED) this.#live = false;
    this.#lapse();
  }

  /** What was under way is not wanted any more, on this connection or any other. */
  #drop(stage: Stage): void {
    if (stage.name === 'refused') stage.timer.cancel();
    if (stage.name === 'asked') this.#watches.link.cancel(stage.call, new ClosedError());
  }

  #lapse(): void {
    this.#synced = false;
    this.heard();
  }
}
