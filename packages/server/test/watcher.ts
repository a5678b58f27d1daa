import type { DuplexOptions } from 'node:stream';
import type { Event, InstanceRecord, WatchMessage } from '@reg/protocol';
import { expect, type MockInstance, vi } from 'vitest';
import type { Daemon, Peer, Received } from './harness.js';
import { settle } from './settle.js';

/** A connection that watches: it keeps replies and events apart, and counts what the daemon writes to it. */
export class Watcher {
  readonly peer: Peer;
  readonly #events: Event[] = [];
  readonly #replies: Received[] = [];
  readonly #write: MockInstance<Peer['far']['write']>;

  constructor(daemon: Daemon, options?: DuplexOptions) {
    this.peer = daemon.connect(options);
    this.#write = vi.spyOn(this.peer.far, 'write');
  }

  /** How many times the daemon has written to it. */
  get writes(): number {
    return this.#write.mock.calls.length;
  }

  /** The most that was written at once, in characters. */
  get largestWrite(): number {
    return Math.max(0, ...this.#write.mock.calls.map(([text]) => String(text).length));
  }

  /** Which history of revisions the daemon keeps. */
  async epoch(): Promise<string> {
    return String((await this.ask({ type: 'hello' }))['epoch']);
  }

  /** Asks, and lets the daemon come to rest. @returns the reply. */
  async ask(request: object): Promise<Received> {
    this.peer.send(request);
    await this.#take();
    const reply = this.#replies.shift();
    if (reply === undefined) throw new Error('there was no reply');
    return reply;
  }

  /** Begins a watch. @returns what it was told before the daemon came to rest. */
  async watch(what: WatchMessage): Promise<Event[]> {
    expect(await this.ask({ type: 'watch', ...what })).toMatchObject({ ok: true });
    return this.events();
  }

  /** The events that have come, and were not taken before, when everything has come to rest. */
  async events(): Promise<Event[]> {
    await this.#take();
    return this.#events.splice(0);
  }

  /** The replies that have come without having been asked for by `ask`. */
  async replies(): Promise<Received[]> {
    await this.#take();
    return this.#replies.splice(0);
  }

  async #take(): Promise<void> {
    await settle();
    while (this.peer.waiting > 0) {
      const line = await this.peer.line();
      const received: Event | Received = JSON.parse(line);
      if ('ok' in received) this.#replies.push(received);
      else this.#events.push(received);
    }
  }
}

/** What somebody knows who was told these events, and was not told anything else. */
export class View {
  readonly services = new Map<string, InstanceRecord>();
  /** `undefined` while a state is being told. */
  revision: number | undefined;
  epoch = '';

  constructor(from?: View) {
    if (from === undefined) return;
    for (const [name, record] of from.services) this.services.set(name, record);
    this.revision = from.revision;
    this.epoch = from.epoch;
  }

  /** Holds the event to the rules: states are whole, and changes come in order, each once. */
  take(event: Event): void {
    switch (event.type) {
      case 'reset':
        this.services.clear();
        this.revision = undefined;
        break;
      case 'state':
        expect(this.revision).toBeUndefined();
        for (const record of event.services) {
          expect(this.services.has(nameOf(record))).toBe(false);
          this.services.set(nameOf(record), record);
        }
        break;
      case 'synced':
        expect(event.revision).toBeGreaterThanOrEqual(this.revision ?? 0);
        this.revision = event.revision;
        this.epoch = event.epoch;
        break;
      case 'change':
        expect(event.revision).toBeGreaterThan(this.revision ?? Number.POSITIVE_INFINITY);
        this.revision = event.revision;
        if (event.change === 'registered' || event.change === 'updated') {
          expect(this.services.get(nameOf(event.service))?.generation === event.service.generation).toBe(
            event.change === 'updated',
          );
          this.services.set(nameOf(event.service), event.service);
        } else {
          expect(this.services.get(nameOf(event.service))).toMatchObject({ generation: event.service.generation });
          this.services.delete(nameOf(event.service));
        }
        break;
      case 'progress':
        if (this.revision !== undefined) this.revision = Math.max(this.revision, event.revision);
        break;
    }
  }
}

export function nameOf({ key, instance = '' }: { readonly key: string; readonly instance?: string }): string {
  return `${key}/${instance}`;
}
