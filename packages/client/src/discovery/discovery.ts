/** The instances of one service as they are now, kept up to date by a watch, and which of them comes next. */

import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { type Endpoint, RegistryError, type Timer } from '@reg/protocol';
import { type Contracts, wireRecord } from '../contracts.js';
import { ClosedError, captureTrace, ReplyError } from '../errors.js';
import type { Link } from '../link.js';
import { checkDelay } from '../options.js';
import { checkSignal, Wait, type WaitOptions } from '../wait.js';
import { type WatchEvent, Watcher, type WatchPosition } from '../watcher.js';
import type { Watches } from '../watches.js';
import { type Balance, type Balancer, candidates, isBalance, makeBalancer } from './balance.js';
import { CacheFile, defaultFolder, fileName, type Saved } from './cache.js';
import { Instance } from './instance.js';
import { type Difference, isEmpty, NO_DIFFERENCE, View, type ViewSelector } from './view.js';

export interface DiscoverOptions extends ViewSelector {
  /** How `pick` chooses; `round-robin`. */
  readonly balance?: Balance;
  /** The caller's own zone: instances whose `meta.zone` it is come first. */
  readonly zone?: string;
  /**
   * The folder of the last-known-good file, which holds what the registry says, values included; `reg-client` in
   * `$XDG_CACHE_HOME` or `~/.cache` unless given. `false`: there is no file.
   */
  readonly cache?: string | false;
}

export interface ReadyOptions {
  readonly signal?: AbortSignal;
  /** ms, instead of the client's `requestTimeout`. */
  readonly timeout?: number;
}

/**
 * Where the answers come from. `none`: there is none yet. `file`: from the last-known-good file, the registry was not
 * reached. `live`: from the registry, as it is now. `stale`: as the registry last said; there is no connection.
 */
export type Source = 'none' | 'file' | 'live' | 'stale';

export interface DiscoveryEvents {
  change: [Difference];
  source: [{ readonly source: Source }];
  /** The last-known-good file cannot be read or written. It is tried again, and said again when it had worked. */
  uncached: [{ readonly error: Error }];
}

/** So long a process that starts waits for the registry before it uses what was last known, in ms. */
const PATIENCE = 1000;

/** @throws {RegistryError} `bad_config` */
export function checkDiscoverOptions({ balance, cache }: DiscoverOptions): void {
  if (balance !== undefined && !isBalance(balance)) {
    throw new RegistryError('bad_config', `"balance" cannot be ${JSON.stringify(balance)}`);
  }
  if (cache !== undefined && cache !== false && (typeof cache !== 'string' || cache === '')) {
    throw new RegistryError('bad_config', '"cache" must be a folder, or false');
  }
}

export class Discovery extends EventEmitter<DiscoveryEvents> {
  readonly key: string;
  readonly #options: DiscoverOptions;
  readonly #link: Link;
  readonly #contracts: Contracts | undefined;
  readonly #view: View;
  readonly #watcher: Watcher;
  readonly #waits = new Set<Wait<void>>();
  /** For the usable instances as they are; `undefined` where they have changed. */
  #balancer: Balancer | undefined;
  #source: Source = 'none';
  /** When a stale view was last known to be true, by the monotonic clock, and that of the file, by the wall clock. */
  #trueAt = 0;
  #savedAt = 0;
  /** How far the view had come when the watcher last knew. */
  #position: WatchPosition | undefined;
  #warming = false;
  /** Why the watch failed, where that tells more than that there is no connection. */
  #failure: RegistryError | undefined;
  readonly #file: CacheFile | undefined;
  /** Until the file was read, and used if it is needed by then. */
  #reading: Promise<void> = Promise.resolve();
  #saved: Saved | undefined;
  #needsFile = false;
  #patience: Timer | undefined;
  #closing: Promise<void> | undefined;

  constructor(key: string, options: DiscoverOptions, watches: Watches, endpoints: readonly Endpoint[]) {
    super();
    this.key = key;
    this.#options = structuredClone(options);
    this.#link = watches.link;
    this.#contracts = watches.contracts;
    this.#view = new View(this.#options);
    const folder = options.cache === undefined ? defaultFolder() : options.cache;
    if (folder) this.#file = this.#openFile(join(folder, fileName(endpoints, key, this.#options)));
    this.#watcher = new Watcher(
      watches,
      { key },
      { ack: true },
      {
        event: (event) => this.#take(event),
        live: () => this.#enter('live'),
        stale: () => this.#lapse(),
        failed: (error, retrying) => this.#failed(error, retrying),
        closed: () => this.#close(),
      },
    );
  }

  /** Those that requests should go to: the passing ones, or where there is none, the suspect and draining ones. */
  get instances(): readonly Instance[] {
    return this.#view.usable;
  }

  /** Every known one, whatever its status. */
  get all(): readonly Instance[] {
    return this.#view.all;
  }

  get source(): Source {
    return this.#source;
  }

  /** ms since this was last known to be true: 0 while it is live, `Infinity` where nothing is known. */
  get age(): number {
    const { clock } = this.#link.settings;
    if (this.#source === 'live') return 0;
    if (this.#source === 'stale') return clock.monotonic() - this.#trueAt;
    return this.#source === 'file' ? Math.max(0, clock.wall() - this.#savedAt) : Number.POSITIVE_INFINITY;
  }

  /** Every change up to this one is in the view; `undefined` where nothing is known. */
  get revision(): number | undefined {
    return (this.#watcher.position ?? this.#position)?.revision;
  }

  /** Whether the registry has just restarted: what it does not list is kept for a while. */
  get warming(): boolean {
    return this.#warming;
  }

  /**
   * The instance for the next request; `undefined` where there is none. Costs well below a microsecond.
   *
   * @param key with the balance `rendezvous`: what goes to the same instance has the same.
   */
  pick(key?: string): Instance | undefined {
    this.#balancer ??= this.#makeBalancer();
    return this.#balancer.pick(key);
  }

  /** A request to the instance begins; call the function that it returns when it is over. See `power-of-two`. */
  track(instance: Instance): () => void {
    return Instance.track(instance);
  }

  /**
   * Resolves when there is an answer: the registry's, or where that is not reached within a second, what was last
   * known. There may be no instances in it.
   *
   * @throws {RegistryError} `connect_failed`, `timed_out`, `aborted`, `closed`, or what the daemon answers that will
   * not have the watch.
   */
  async ready(options: ReadyOptions = {}): Promise<this> {
    const trace = captureTrace();
    const { signal, timeout = this.#link.settings.requestTimeout } = options;
    checkSignal(signal);
    checkDelay(timeout, 'timeout');
    if (this.#closing) throw new ClosedError('the discovery is closed');
    if (this.#source === 'none') await this.#wait({ signal, timeout, keepsAlive: true, trace });
    return this;
  }

  /** From now on nothing changes any more. The last-known-good file is written once more. */
  close(): void {
    this.#close();
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #take(event: WatchEvent): void {
    const difference = this.#view.apply(event);
    this.#position = this.#watcher.position ?? this.#position;
    if (event.type !== 'synced') {
      this.#changed(difference);
    } else {
      this.#warming = event.warming === true;
      this.#enter('live', difference);
    }
    this.#watcher.seen(event);
  }

  #lapse(): void {
    this.#trueAt = this.#link.heardAt ?? this.#link.settings.clock.monotonic();
    if (this.#source === 'live') this.#enter('stale');
  }

  #failed(error: RegistryError, retrying: boolean): void {
    if (error instanceof ReplyError || !retrying) this.#failure = error;
    this.#lackRegistry();
    if (retrying && error.retryable) return;
    // What was last known may still be an answer.
    this.#reading.then(() => this.#failWaits(() => (error instanceof ReplyError ? error.copy() : error)));
  }

  /** Another source, and what it says that was not known. Who hears of the change sees where it comes from. */
  #enter(source: Source, difference: Difference = NO_DIFFERENCE): void {
    const entered = source !== this.#source;
    this.#source = source;
    if (source === 'live') {
      this.#patience?.cancel();
      // Also where nothing has changed: the file says how old it is, and is not written while the registry warms up.
      this.#file?.changed();
    }
    this.#changed(difference);
    if (!entered) return;
    this.emit('source', { source });
    for (const wait of this.#waits) wait.resolve();
    this.#waits.clear();
  }

  #changed(difference: Difference): void {
    if (isEmpty(difference)) return;
    this.#balancer = undefined;
    this.#file?.changed();
    this.emit('change', difference);
  }

  #makeBalancer(): Balancer {
    const { balance = 'round-robin', zone } = this.#options;
    return makeBalancer(balance, candidates(this.#view.usable, zone), this.#link.settings.random);
  }

  #openFile(path: string): CacheFile {
    const { clock } = this.#link.settings;
    const file = new CacheFile(
      path,
      clock,
      () => this.#toSave(),
      (error) => this.emit('uncached', { error }),
    );
    this.#patience = clock.after(PATIENCE, () => this.#lackRegistry());
    this.#reading = file.read().then(async (saved) => {
      this.#saved = saved && { ...saved, services: (await this.#contracts?.records(saved.services)) ?? saved.services };
      this.#useSaved();
    });
    return file;
  }

  /** The registry cannot be reached, or not in time. */
  #lackRegistry(): void {
    this.#needsFile = true;
    this.#useSaved();
  }

  #useSaved(): void {
    const saved = this.#saved;
    if (!saved || !this.#needsFile || this.#source !== 'none' || this.#closing) return;
    this.#savedAt = saved.at;
    this.#position = { epoch: saved.epoch, revision: saved.revision };
    this.#enter('file', this.#view.preload(saved.services));
  }

  /** Only what the registry vouches for: a view that is not live was saved when it was. */
  #toSave(): Saved | undefined {
    const { position } = this.#watcher;
    if (this.#source !== 'live' || this.#warming || !position) return undefined;
    const services = this.#view.all.map(({ record }) => wireRecord(record));
    return { at: this.#link.settings.clock.wall(), ...position, services };
  }

  #wait(options: WaitOptions): Promise<void> {
    const wait = new Wait<void>(options);
    this.#waits.add(wait);
    const fail = (error: RegistryError) => {
      this.#waits.delete(wait);
      wait.reject(error);
    };
    wait.start(this.#link.settings.clock, () => fail(this.#overdueError(options.timeout)), fail);
    this.#link.wake();
    return wait.result;
  }

  #overdueError(timeout: number): RegistryError {
    return this.#failure instanceof ReplyError ? this.#failure.copy() : this.#link.overdueError(timeout);
  }

  #failWaits(makeError: () => RegistryError): void {
    for (const wait of this.#waits) wait.reject(makeError());
    this.#waits.clear();
  }

  /** Resolves when what was known is saved, or cannot be. */
  #close(): Promise<void> {
    if (this.#closing) return this.#closing;
    // While it is live: what is not is not saved.
    this.#closing = this.#file?.close() ?? Promise.resolve();
    this.#patience?.cancel();
    this.#watcher.close();
    if (this.#source === 'live') {
      this.#source = 'stale';
      this.#trueAt = this.#link.heardAt ?? this.#link.settings.clock.monotonic();
    }
    this.#failWaits(() => new ClosedError('the discovery was closed'));
    return this.#closing;
  }
}
