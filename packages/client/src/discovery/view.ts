/**
 * What is known of one service as those who call it see it: the instances of a `Presence` that are selected. Made of
 * the events of a watch and of nothing else.
 */

import { hasLabels, type InstanceRecord, statusOf } from '@reg/protocol';
import { type KnownInstance, Presence, type Transition } from '../presence.js';
import type { WatchEvent } from '../watcher.js';
import { Instance, nameOf } from './instance.js';

/** What one event has changed. An instance is told from others by its name, however often it is registered anew. */
export interface Difference {
  readonly added: readonly Instance[];
  /** As they were last known. */
  readonly removed: readonly Instance[];
  /** As they are now. */
  readonly changed: readonly Instance[];
}

export const NO_DIFFERENCE: Difference = { added: [], removed: [], changed: [] };

/** Which instances belong to the view. */
export interface ViewSelector {
  /** All of these. */
  readonly tags?: readonly string[];
  /** All of these texts under these names. */
  readonly meta?: Readonly<Record<string, string>>;
}

export class View {
  readonly #tags: readonly string[];
  readonly #meta: readonly (readonly [string, string])[];
  readonly #presence = new Presence();
  /** One for each that is known, by name. */
  readonly #instances = new Map<string, Instance>();
  /** Of these the ones that are suspect only because the registry has restarted: they were passing. */
  readonly #doubted = new WeakSet<Instance>();
  #all: readonly Instance[] | undefined;
  #usable: readonly Instance[] | undefined;

  constructor({ tags = [], meta = {} }: ViewSelector) {
    this.#tags = tags;
    this.#meta = Object.entries(meta);
  }

  /** Every known instance, whatever its status. Another array after each change. */
  get all(): readonly Instance[] {
    this.#all ??= [...this.#instances.values()];
    return this.#all;
  }

  /**
   * Those that requests should go to: what is passing, or was before the registry restarted. Where there is none, a
   * suspect or a draining one is better than nothing: it may well answer. A critical one has said that it cannot.
   */
  get usable(): readonly Instance[] {
    this.#usable ??= this.#select();
    return this.#usable;
  }

  /** Takes what was known before the registry could be asked. The first state replaces it. */
  preload(records: readonly InstanceRecord[]): Difference {
    return this.#follow(this.#presence.preload(records.filter((record) => this.#selects(record))));
  }

  apply(event: WatchEvent): Difference {
    return this.#follow(this.#presence.apply(this.#narrowed(event)));
  }

  #follow(transitions: readonly Transition[]): Difference {
    const added: Instance[] = [];
    const removed: Instance[] = [];
    const changed: Instance[] = [];
    for (const { before, now } of transitions) {
      const name = nameOf((now ?? before).record);
      const old = this.#instances.get(name);
      if (now) {
        const instance = this.#make(now, old);
        this.#instances.set(name, instance);
        if (!old) added.push(instance);
        else if (old !== instance) changed.push(instance);
      } else if (old) {
        this.#instances.delete(name);
        removed.push(old);
      }
    }
    if (transitions.length > 0) {
      this.#all = undefined;
      this.#usable = undefined;
    }
    return { added, removed, changed };
  }

  /** What was passing and is only kept is suspect: nobody knows whether it is still there. */
  #make({ record, kept }: KnownInstance, before: Instance | undefined): Instance {
    if (kept && statusOf(record) === 'passing') {
      const instance = new Instance({ ...record, status: 'suspect' }, before);
      this.#doubted.add(instance);
      return instance;
    }
    return before?.record === record ? before : new Instance(record, before);
  }

  /** The event as a watch of nothing but what is selected would tell it. */
  #narrowed(event: WatchEvent): WatchEvent {
    if (event.type === 'state') return { ...event, services: event.services.filter((record) => this.#selects(record)) };
    if (event.type !== 'change' || (event.change !== 'registered' && event.change !== 'updated')) return event;
    return this.#selects(event.service) ? event : { ...event, change: 'destroyed' };
  }

  #selects(record: InstanceRecord): boolean {
    return hasLabels(record, this.#tags, this.#meta);
  }

  #select(): readonly Instance[] {
    const usable = this.all.filter((instance) => instance.status === 'passing' || this.#doubted.has(instance));
    return usable.length > 0 ? usable : this.all.filter(({ status }) => status !== 'critical');
  }
}

export function isEmpty({ added, removed, changed }: Difference): boolean {
  return added.length === 0 && removed.length === 0 && changed.length === 0;
}
