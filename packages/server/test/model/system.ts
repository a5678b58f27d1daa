/** The daemon that is held against the model, and what is connected to it. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { InstanceRecord } from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { createServer, type RegistryServer } from '@reg/server';
import { expect } from 'vitest';
import type { Log } from '../../src/log/log.js';
import { Connection, type Reply } from './connection.js';
import { Model } from './model.js';
import type { Storage } from './storage.js';
import type { Registration, Scope, Told } from './terms.js';
import { type Beginning, type Position, View } from './view.js';

/** Longer than any ttl, and no sum of ttls, lingers and this falls on a moment that is looked at; see commands.ts. */
export const GRACE_MS = 10_150;
/** Below what the daemon takes for a peer that does not read. */
const LONGEST_PAUSE_MS = 25_000;
/** How finely time passes: the loop of a healthy daemon runs that often at least. */
const STEP_MS = 20;
/** Nothing has arrived for so many turns: nothing is on its way. */
const QUIET_TURNS = 6;

/** A place for a connection. */
export interface Slot {
  readonly connection: Connection;
  /** By number. */
  readonly views: Map<number, View>;
  /** Of watches that acknowledge: up to where they have. */
  readonly acked: Map<number, number>;
  /** What replies have to be that were not waited for. */
  readonly expected: object[];
  pausedAt: number | undefined;
}

/** A request, and what to do with the reply. */
export interface Asking {
  readonly request: object;
  readonly take: (reply: Reply) => void;
}

export interface Watching {
  readonly scope: Scope;
  readonly ack?: boolean;
  readonly epoch?: string;
  readonly from?: Position | undefined;
}

export interface SystemOptions {
  readonly storage: Storage;
  /** How many changes are held. */
  readonly history: number;
  /** How many bytes the daemon may write that were not read. */
  readonly buffer: number;
}

export class System {
  readonly model: Model;
  readonly #clock = new ManualClock();
  readonly #options: SystemOptions;
  readonly #slots = new Map<number, Slot>();
  /** Watches that have ended, and from which others may resume. */
  readonly positions: Position[] = [];
  /** Everything that was ever registered. */
  readonly registrations: Registration[] = [];
  #server: RegistryServer | undefined;
  #log: Log | undefined;
  #epoch = '';
  #connections = 0;
  #observer: Slot | undefined;
  /** What the observer was told: what the model has not come to, and what its own view has not. */
  readonly #observed: Told[] = [];
  readonly #unseen: (() => void)[] = [];

  private constructor(options: SystemOptions) {
    this.#options = options;
    this.model = new Model(this.#clock.wall(), GRACE_MS);
  }

  static async start(options: SystemOptions): Promise<System> {
    const system = new System(options);
    await system.#start();
    return system;
  }

  /** The open connections, the observer's included. */
  get slots(): Slot[] {
    return [...this.#slots.values(), this.#watcher];
  }

  /** The connection of that number; it is made where there is none. */
  slot(number: number): Slot {
    const slot = this.#slots.get(number) ?? this.#connect();
    this.#slots.set(number, slot);
    return slot;
  }

  isOpen(number: number): boolean {
    return this.#slots.has(number);
  }

  /** Makes a request, and waits for its reply. Who did not read reads again. */
  async ask(slot: Slot, request: object): Promise<Reply> {
    const [reply] = await this.askAll(slot, [request]);
    if (reply === undefined) throw new Error(`no reply to ${JSON.stringify(request)}`);
    return reply;
  }

  /** Makes requests all at once. */
  async askAll(slot: Slot, requests: readonly object[]): Promise<Reply[]> {
    if (slot.pausedAt !== undefined) await this.read(slot);
    for (const request of requests) slot.connection.send(request);
    await this.settle();
    const replies = slot.connection.takeReplies();
    expect(replies.length, 'one reply to each request').toBe(requests.length);
    return replies;
  }

  setFull(isFull: boolean): void {
    if (this.#options.storage.setFull === undefined) return;
    this.#options.storage.setFull(isFull);
    // That there is room again the model has to be told with the time in which that is found.
    if (isFull) this.model.isFull = true;
  }

  pause(slot: Slot): void {
    slot.pausedAt ??= this.model.now;
    slot.connection.pause();
  }

  async read(slot: Slot): Promise<void> {
    slot.pausedAt = undefined;
    slot.connection.read();
    await this.settle();
    expect(slot.connection.takeReplies()).toEqual(slot.expected.splice(0));
  }

  /** The changes that were observed. The model takes them out as it comes to them. */
  observe(): Told[] {
    const view = this.#watcher.views.values().next().value;
    for (const event of this.#watcher.connection.takeEvents()) {
      if (event.type === 'change') this.#observed.push(event);
      this.#unseen.push(() => view?.take(event));
    }
    return this.#observed;
  }

  /** Holds what the watches were told against the model, which has done what the daemon did. */
  check(): void {
    expect(this.observe(), 'changes that the model knows nothing of').toEqual([]);
    for (const take of this.#unseen.splice(0)) take();
    for (const { connection, views, pausedAt } of this.slots) {
      if (pausedAt !== undefined) continue;
      for (const event of connection.takeEvents()) {
        if (event.type === 'progress') for (const view of views.values()) view.take(event);
        else viewOf(views, event.watch).take(event);
      }
      for (const view of views.values()) view.check();
    }
  }

  /** A watch to be begun, and what to do when it has. */
  watch(slot: Slot, beginning: Beginning, { scope, ack = false, from, epoch = this.#epoch }: Watching): Asking {
    const resume = from === undefined ? {} : { epoch, after: from.revision };
    return {
      request: { type: 'watch', ...scope, ...(ack ? { ack } : {}), ...resume },
      take: (reply) => {
        const watch = Number(reply['watch']);
        expect(reply).toEqual({ ok: true, watch, epoch: this.#epoch, progress: 5 });
        expect(slot.views.has(watch), 'a number that is in use').toBe(false);
        const about = { scope, epoch: this.#epoch, history: this.#options.history };
        slot.views.set(watch, new View(this.model, about, beginning, from));
        if (ack) slot.acked.set(watch, 0);
      },
    };
  }

  /**
   * What a watch has to begin with that resumes from there.
   *
   * @param more how many changes may come meanwhile.
   */
  beginningFrom({ revision }: Position, more = 0): Beginning {
    const missed = this.model.revision + more - revision;
    return missed <= this.#options.history ? 'changes' : 'changes, or anew';
  }

  /** Remembers where a watch has come to. */
  keepPosition(view: View): void {
    if (view.canResume) this.positions.push(view.position);
  }

  /** Breaks a connection, or ends it in order. */
  async disconnect(number: number, inOrder: boolean): Promise<void> {
    const slot = this.#slots.get(number);
    if (slot === undefined) return;
    if (inOrder && slot.pausedAt === undefined) slot.connection.end();
    else slot.connection.hangUp();
    await this.settle();
    for (const view of slot.views.values()) this.keepPosition(view);
    this.#slots.delete(number);
  }

  async advance(ms: number): Promise<void> {
    for (const slot of this.slots) {
      if (this.model.now + ms - (slot.pausedAt ?? this.model.now + ms) > LONGEST_PAUSE_MS) await this.read(slot);
    }
    const before = this.slots.map(({ connection }) => connection.received);
    for (let left = ms; left > 0; left -= STEP_MS) {
      this.#clock.advance(Math.min(left, STEP_MS));
      await nextTurn();
      await nextTurn();
    }
    await this.settle();
    this.slots.forEach(({ connection, views, pausedAt }, index) => {
      if (ms < 10_000 || views.size === 0 || pausedAt !== undefined) return;
      expect(connection.received, 'silence for longer than was promised').toBeGreaterThan(before[index] ?? 0);
    });
  }

  async restart(crash: boolean): Promise<void> {
    const server = this.#server;
    if (crash) this.#options.storage.crash();
    const closed = crash ? undefined : server?.close();
    if (!crash) await this.settle();
    for (const { connection, views } of this.slots) {
      connection.hangUp();
      for (const view of views.values()) this.keepPosition(view);
    }
    this.#slots.clear();
    await (closed ?? server?.close());
    await this.#start();
    if (!crash) return;
    const { services } = await this.ask(this.#watcher, { type: 'query', key: 'all', status: 'any', detail: true });
    this.model.adopt(services as InstanceRecord[]);
  }

  async close(): Promise<void> {
    const closed = this.#server?.close();
    for (const { connection } of this.slots) connection.hangUp();
    await closed;
    this.#options.storage.remove();
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    const received = (): number => this.slots.reduce((sum, { connection }) => sum + connection.received, 0);
    for (let quiet = 0, seen = received(); quiet < QUIET_TURNS; quiet += 1) {
      await nextTurn();
      await this.#log?.flush().catch(() => {});
      if (received() !== seen) quiet = 0;
      seen = received();
    }
  }

  get #watcher(): Slot {
    if (this.#observer === undefined) throw new Error('there is no observer');
    return this.#observer;
  }

  async #start(): Promise<void> {
    const { storage, history } = this.#options;
    this.#log = storage.open();
    this.#server = createServer({ clock: this.#clock, log: this.#log, grace: GRACE_MS / 1000, history });
    await this.#server.start();
    const from = this.#observer?.views.values().next().value?.position;
    this.#observer = this.#connect();
    const { epoch, revision, warming = false } = await this.ask(this.#observer, { type: 'hello' });
    if (from !== undefined) {
      this.model.restart();
      expect(epoch).toBe(this.#epoch);
    }
    expect([revision, warming]).toEqual([this.model.revision, this.model.isWarming]);
    this.#epoch = String(epoch);
    const scope = { key: 'all' };
    const { request, take } = this.watch(this.#observer, from === undefined ? 'state' : 'changes', { scope, from });
    take(await this.ask(this.#observer, request));
  }

  #connect(): Slot {
    if (this.#server === undefined) throw new Error('there is no daemon');
    this.#connections += 1;
    const connection = new Connection(this.#server, this.#connections, this.#options.buffer);
    return { connection, views: new Map(), acked: new Map(), expected: [], pausedAt: undefined };
  }
}

function viewOf(views: ReadonlyMap<number, View>, number: number): View {
  const view = views.get(number);
  if (view === undefined) throw new Error(`an event of watch ${number}, which there is not`);
  return view;
}
