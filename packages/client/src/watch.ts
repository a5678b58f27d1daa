import { setMaxListeners } from 'node:events';
import { ALL, checkName, RegistryError } from '@reg/protocol';
import { AbortError, captureTrace, ReplyError, retrace, type Trace } from './errors.js';
import { MAX_DELAY } from './schedule.js';
import { checkSignal, Wait } from './wait.js';
import { type WatchEvent, Watcher, type WatchPosition, type WatchScope } from './watcher.js';
import type { Watches } from './watches.js';

/** What to watch: a service, `all`, or every service whose name begins with a text. */
export type WatchTarget = string | { readonly prefix: string };

export interface WatchOptions {
  /** Ends the watch: what waits for its next event rejects with `aborted`. */
  readonly signal?: AbortSignal;
  /**
   * Whether those who drain are to wait for this watch. It acknowledges an event when the next one is asked for: what
   * has to be done about it is to be done by then.
   */
  readonly ack?: boolean;
  /** Where an earlier watch of the same had come to: the epoch of its last `synced`, the revision of its last event. */
  readonly from?: WatchPosition;
}

/**
 * How many changes may wait for the reader. Then the registry is asked to tell no more, and when the reader has
 * caught up, to go on from there. A state is not counted: it comes once, and is what the reader is here for.
 */
const MAX_CHANGES = 1000;

/** @throws {RegistryError} `invalid_name`, `reserved_name` or `bad_request` */
export function resolveTarget(target: WatchTarget): WatchScope {
  if (typeof target !== 'object') return { key: target === ALL ? target : checkName(target, 'key') };
  const { prefix } = target;
  if (typeof prefix === 'string' && prefix !== '') return { prefix };
  throw new RegistryError('bad_request', '"prefix" must be a text of at least one character');
}

type Next = IteratorResult<WatchEvent, undefined>;

const DONE: Next = { done: true, value: undefined };

/**
 * The events of a watch, to be read with `for await`. It begins with the first that is asked for, goes on over
 * reconnects and restarts of the registry, and ends with the loop, its signal, or the client. While an event is waited
 * for, the process stays.
 */
export class Watch implements AsyncIterableIterator<WatchEvent, undefined> {
  readonly #watches: Watches;
  readonly #scope: WatchScope;
  readonly #options: WatchOptions;
  #watcher: Watcher | undefined;
  /** Events that nobody has asked for yet, and how many of them are changes. */
  #events: WatchEvent[] = [];
  #changes = 0;
  #paused = false;
  /** Those who wait for an event. There are none while there are events. */
  readonly #waits: Wait<Next>[] = [];
  /** What the reader deals with until it asks for the next. */
  #given: WatchEvent | undefined;
  #wasLive = false;
  #ended = false;
  /** Why it has ended, until the reader is told. */
  #error: RegistryError | undefined;
  readonly #abort = () => {
    this.#events = [];
    this.#end(new AbortError(this.#options.signal?.reason));
  };

  /** @throws {AbortError} where the signal has fired already. */
  constructor(watches: Watches, scope: WatchScope, options: WatchOptions) {
    checkSignal(options.signal);
    this.#watches = watches;
    this.#scope = scope;
    this.#options = options;
  }

  /** @throws {RegistryError} `aborted`, `closed`, or what the daemon answers that will not have it. */
  async next(): Promise<Next> {
    const trace = captureTrace();
    if (this.#given) this.#watcher?.seen(this.#given);
    this.#given = undefined;
    if (!this.#watcher && !this.#ended) this.#begin();
    const event = this.#events.shift();
    if (event) {
      this.#taken(event);
      return this.#give(event);
    }
    if (!this.#ended) return this.#wait(trace);
    const error = this.#error;
    this.#error = undefined;
    if (error) throw retrace(error, trace);
    return DONE;
  }

  async return(): Promise<Next> {
    this.#events = [];
    this.#end();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #begin(): void {
    const { ack = false, from, signal } = this.#options;
    checkSignal(signal);
    this.#watcher = new Watcher(
      this.#watches,
      this.#scope,
      { ack, from },
      {
        event: (event) => this.#take(event),
        live: () => {
          this.#wasLive = true;
        },
        stale: () => {},
        failed: (error, retrying) => this.#failed(error, retrying),
        closed: async () => this.#end(),
      },
    );
    if (!signal) return;
    // One signal for many watches is ordinary use.
    setMaxListeners(0, signal);
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  #take(event: WatchEvent): void {
    if (event.type === 'reset') {
      // What was told before is void, and so is what nobody has seen of it.
      this.#events = [];
      this.#changes = 0;
    }
    const wait = this.#waits.shift();
    if (wait) {
      wait.resolve(this.#give(event));
      return;
    }
    this.#events.push(event);
    if (event.type === 'change') this.#changes += 1;
    if (this.#changes < MAX_CHANGES) return;
    this.#paused = true;
    this.#watcher?.pause();
  }

  #taken(event: WatchEvent): void {
    if (event.type === 'change') this.#changes -= 1;
    if (!this.#paused || this.#events.length > 0) return;
    this.#paused = false;
    this.#watcher?.resume();
  }

  #give(event: WatchEvent): Next {
    this.#given = event;
    return { done: false, value: event };
  }

  #wait(trace: Trace): Promise<Next> {
    const { clock } = this.#watches.link.settings;
    const wait = new Wait<Next>({ timeout: MAX_DELAY, keepsAlive: true, trace });
    const hold = () => wait.start(clock, hold, () => {});
    hold();
    this.#waits.push(wait);
    return wait.result;
  }

  /** A watch that never began says why. One that did goes on where that may help. */
  #failed(error: RegistryError, retrying: boolean): void {
    const refused = error instanceof ReplyError && !(error.retryable && this.#wasLive);
    if (refused || !retrying) this.#end(error);
  }

  #end(error?: RegistryError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watcher?.close();
    this.#options.signal?.removeEventListener('abort', this.#abort);
    const [first, ...others] = this.#waits.splice(0);
    if (first && error) first.reject(error);
    else first?.resolve(DONE);
    for (const wait of others) wait.resolve(DONE);
    if (!first) this.#error = error;
  }
}
