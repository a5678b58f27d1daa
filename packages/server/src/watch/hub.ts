import { RegistryError } from '@reg/protocol';
import type { Change } from '../change.js';
import { type RegistryClock, Turn } from '../clock.js';
import type { Registry } from '../registry/registry.js';
import { ChangeTexts } from './events.js';
import type { Feed } from './feed.js';
import { Scopes } from './scopes.js';
import type { Watch } from './watch.js';

/** What the hub has to know of the log. */
export interface Order {
  readonly epoch: string;
  readonly durable: number;
}

/** How long changes are told, and connections written, before others have their turn, in ms. */
const TURN_MS = 5;
/** So many changes are no mass, and may be made whatever history holds. */
const FEW = 100;
/** So many lines are added, or changes passed over that nobody sees, before it is looked whether that time is over. */
const LINES_PER_LOOK = 32;
/** So many places of the queue are left behind before it is made anew. */
const MAX_WRITTEN = 10_000;
/** So many addresses of watchers are named at most. */
const MAX_PEERS = 20;

/**
 * Tells changes to who watches. It is handed every change that was applied, in order, and when it is durable hands it
 * on to the watches of that service, and to no other. What a turn has to tell a connection is written at once.
 */
export class Hub {
  readonly registry: Registry;
  readonly clock: RegistryClock;
  readonly texts = new ChangeTexts();
  readonly #order: Order;
  readonly #maxWatches: number;
  readonly #scopes = new Scopes();
  /** How many watches each connection has, of those that have any. */
  readonly #feeds = new Map<Feed, number>();
  #watches = 0;
  /** Applied, and not handed on. */
  #untold: Change[] = [];
  #told = 0;
  /** Connections that were told something and are to be written, from `#written` on. */
  #queue: Feed[] = [];
  #written = 0;
  #isScheduled = false;
  /** What the connections have of a turn of the loop. */
  readonly #turn: Turn;
  #warmUntil = 0;

  constructor(registry: Registry, order: Order, clock: RegistryClock, maxWatches: number) {
    this.registry = registry;
    this.clock = clock;
    this.#order = order;
    this.#maxWatches = maxWatches;
    this.#turn = new Turn(clock, TURN_MS);
  }

  /** Every change up to this revision was handed on. */
  get told(): number {
    return this.#told;
  }

  get epoch(): string {
    return this.#order.epoch;
  }

  get durable(): number {
    return this.#order.durable;
  }

  /** Whether what is absent may still be on its way back. */
  get isWarming(): boolean {
    return this.clock.now() < this.#warmUntil;
  }

  /** Whether a connection may be told more in this turn of the loop. */
  get hasTime(): boolean {
    return this.#turn.hasTime;
  }

  /** How many watches there are. */
  get watches(): number {
    return this.#watches;
  }

  /** How many connections leave what they watch unread. */
  get behind(): number {
    let behind = 0;
    for (const feed of this.#feeds.keys()) if (feed.isBehind) behind += 1;
    return behind;
  }

  /**
   * How many more changes may be made now by who makes very many of them and can wait: what is still to be told is then
   * at most half of what history holds. So nobody who reads is left behind by them for good. Those who do not read are
   * waited for only for a moment; see `Feed.awaitedFrom`. `Infinity` where nobody watches. Costs a look at each connection that watches.
   */
  get room(): number {
    if (this.#watches === 0) return Number.POSITIVE_INFINITY;
    const { history, revision } = this.registry;
    const now = this.clock.latest;
    let most = this.#untold.length;
    for (const feed of this.#feeds.keys()) {
      const from = feed.awaitedFrom(now);
      if (from !== undefined) most = Math.max(most, revision - from);
    }
    return Math.max(0, Math.max(FEW, Math.floor(history.capacity / 2)) - most);
  }

  /** How many watches see a service, and the addresses of some of their connections. */
  watchersOf(service: string): { readonly count: number; readonly peers: readonly string[] } {
    const peers = new Set<string>();
    let count = 0;
    for (const watches of this.#scopes.of(service)) {
      for (const { feed } of watches) {
        if (!feed.sees(service)) continue;
        count += 1;
        if (peers.size < MAX_PEERS) peers.add(feed.peer);
      }
    }
    return { count, peers: [...peers] };
  }

  /** How many watches that acknowledge see a service, and how many of them have seen it up to the revision. */
  acknowledgementsOf(service: string, revision: number): { readonly watches: number; readonly acknowledged: number } {
    let watches = 0;
    let acknowledged = 0;
    for (const found of this.#scopes.of(service)) {
      for (const watch of found) {
        if (!watch.acknowledges || !watch.feed.sees(service)) continue;
        watches += 1;
        if (watch.acknowledged >= revision) acknowledged += 1;
      }
    }
    return { watches, acknowledged };
  }

  /**
   * The log is open: from now on there are watches.
   *
   * @param warmUntil registry time.
   */
  start(warmUntil: number): void {
    this.#warmUntil = warmUntil;
    this.#untold = this.#untold.filter(({ revision }) => revision > this.durable);
    this.#told = this.durable;
  }

  /** @throws {RegistryError} `too_many_watches` */
  add(watch: Watch): void {
    if (this.#watches >= this.#maxWatches) {
      throw new RegistryError('too_many_watches', `the daemon takes no more than ${this.#maxWatches} watches`);
    }
    this.#scopes.add(watch);
    this.#watches += 1;
    this.#feeds.set(watch.feed, (this.#feeds.get(watch.feed) ?? 0) + 1);
  }

  remove(watch: Watch): void {
    this.#scopes.remove(watch);
    this.#watches -= 1;
    const left = (this.#feeds.get(watch.feed) ?? 0) - 1;
    if (left > 0) this.#feeds.set(watch.feed, left);
    else this.#feeds.delete(watch.feed);
  }

  /** Takes a change that was applied. Where the log makes it durable at once it is told at the end of the turn. */
  take(change: Change): void {
    // Most registrations come where nobody watches: nothing is made of them then, nor kept for the end of the turn.
    if (this.#watches === 0 && this.#untold.length === 0 && change.revision <= this.durable) {
      this.#told = change.revision;
      return;
    }
    this.#untold.push(change);
    if (change.revision <= this.durable) this.#schedule();
  }

  /** Tells what has become durable. */
  flush(): void {
    if (!this.#isScheduled) this.#goOn();
  }

  /** What is not durable is undone. */
  rollBack(): void {
    this.#untold = this.#untold.filter(({ revision }) => revision <= this.durable);
    for (const feed of this.#feeds.keys()) feed.rollBack();
  }

  /** To be called once a second. */
  tick(): void {
    const isWarm = this.#warmUntil > 0 && !this.isWarming;
    if (isWarm) this.#warmUntil = 0;
    for (const feed of this.#feeds.keys()) {
      feed.tick();
      if (isWarm) this.queue(feed);
    }
    if (this.#queue.length > 0) this.#schedule();
  }

  /** Has a connection written in this turn, or the next. */
  queue(feed: Feed): void {
    if (feed.isQueued) return;
    feed.isQueued = true;
    this.#queue.push(feed);
  }

  /** Has a connection go on in the next turn, after those that wait already. */
  putOff(feed: Feed): void {
    this.queue(feed);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#goOn();
    });
  }

  #goOn(): void {
    const isTold = this.#tellDurable();
    const isWritten = this.#writeQueued();
    if (!isTold || !isWritten) this.#schedule();
  }

  /** @returns whether everything that is durable was told. */
  #tellDurable(): boolean {
    const { durable } = this;
    const end = this.clock.busy() + TURN_MS;
    let count = 0;
    let lines = 0;
    for (const change of this.#untold) {
      if (change.revision > durable) break;
      count += 1;
      this.#told = change.revision;
      lines += 1 + this.#tell(change);
      if (lines < LINES_PER_LOOK) continue;
      if (this.clock.busy() >= end) break;
      lines = 0;
    }
    this.#untold.splice(0, count);
    const isTold = this.#untold[0] === undefined || this.#untold[0].revision > durable;
    if (isTold) this.#told = durable;
    return isTold;
  }

  /** @returns how many watches see it. */
  #tell(change: Change): number {
    let seen = 0;
    // Many connections have but one watch, so that many watches have the same number: they share a line.
    let number = 0;
    let line = '';
    for (const watches of this.#scopes.of(change.key)) {
      seen += watches.size;
      for (const watch of watches) {
        const { feed } = watch;
        if (!feed.sees(change.key) || !feed.takes(watch, change.revision)) continue;
        if (watch.number !== number) {
          number = watch.number;
          line = watch.opening + this.texts.of(change);
        }
        feed.tell(watch, change.revision, line);
        this.queue(feed);
      }
    }
    return seen;
  }

  /** @returns whether all were written. */
  #writeQueued(): boolean {
    // Who was put off has a share, too, where others have had theirs in this turn already.
    this.#turn.renew();
    let feed = this.#queue[this.#written];
    while (feed !== undefined) {
      this.#written += 1;
      feed.isQueued = false;
      feed.write();
      if (!this.hasTime) break;
      feed = this.#queue[this.#written];
    }
    // What comes meanwhile may keep it from ever being empty, so what is done is dropped all the same.
    const isWritten = this.#written === this.#queue.length;
    if (isWritten || this.#written >= MAX_WRITTEN) {
      this.#queue = this.#queue.slice(this.#written);
      this.#written = 0;
    }
    return isWritten;
  }
}
