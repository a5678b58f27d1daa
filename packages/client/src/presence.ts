/**
 * What a watch has told, put together: who is there, and what each event means for whom. Made of events and of
 * nothing else: no clock, no connection.
 *
 *     #known   every instance, by name
 *     #next    while a state is told piece by piece: what `#known` becomes when it is whole
 *
 * What the registry does not list, because it has just restarted and they may come back, is `kept` among the known.
 */

import { isDeepStrictEqual } from 'node:util';
import type { GoneRecord, InstanceRecord } from '@reg/protocol';

/** An instance, as it is known. It does not change: what is told later is another object. */
export interface KnownInstance<R = InstanceRecord> {
  /** As it was last told. */
  readonly record: R;
  /** The registry has restarted and does not list it: it may be on its way back, or gone, whatever its record says. */
  readonly kept: boolean;
}

/**
 * What has become of an instance: `before` is `undefined` where it was not known, `now` where it is known no more.
 * Instances are told apart by their names: a cause may find another generation of the same name.
 *
 * - `found`: a state has it, and had it not, had it otherwise, or had it only kept.
 * - `kept`: a state of a registry that is warming lacks it.
 * - `gone`: a state lacks it, or it was kept and has not come back while the registry was warming.
 * - the others: the change of that name.
 */
export type Transition<R = InstanceRecord> =
  | {
      readonly cause: 'found' | 'kept' | 'registered' | 'updated';
      readonly before: KnownInstance<R> | undefined;
      readonly now: KnownInstance<R>;
    }
  | {
      readonly cause: 'gone' | End;
      readonly before: KnownInstance<R>;
      readonly now: undefined;
    };

type End = 'expired' | 'destroyed';

/** As much of a `WatchEvent`, or of a `TypedWatchEvent`, as is heeded. */
type Event<R> =
  | { readonly type: 'reset' }
  | { readonly type: 'state'; readonly services: readonly R[] }
  | { readonly type: 'synced'; readonly warming?: true }
  | Change<R>;

type Change<R> = { readonly type: 'change' } & (
  | { readonly change: 'registered' | 'updated'; readonly service: R }
  | { readonly change: End; readonly service: GoneRecord }
);

type Known<R> = Map<string, KnownInstance<R>>;

const NOTHING: readonly never[] = [];

/**
 * Who is there by the events of a watch, be it of one service, of a prefix or of all.
 *
 *     const presence = new Presence();
 *     for await (const event of client.watch('all')) {
 *       for (const { cause, before, now } of presence.apply(event)) console.log(cause, (now ?? before).record.key);
 *     }
 *
 * `R` is the records: `TypedRecord` of something where the client was told what its services have.
 */
export class Presence<R extends GoneRecord = InstanceRecord> {
  #known: Known<R> = new Map();
  /** One that was told nothing yet waits for its first state. */
  #next: Known<R> | undefined = new Map();

  /** Every known instance, the kept ones too, in no order that says anything. */
  get known(): Iterable<KnownInstance<R>> {
    return this.#known.values();
  }

  /** Takes what was known before the registry could be asked. The first state replaces it. */
  preload(records: readonly R[]): readonly Transition<R>[] {
    return records.map((record) => this.#set(record, 'found'));
  }

  /**
   * Takes the next event. While a state is told there are no transitions: what it says comes with its `synced`.
   * A change costs the same however many instances there are; a `synced` costs a look at each.
   */
  apply(event: Event<R>): readonly Transition<R>[] {
    if (event.type === 'change') return this.#change(event);
    if (event.type === 'synced') return this.#complete(event.warming === true);
    if (event.type === 'reset') this.#next = new Map();
    else this.#collect(event.services);
    return NOTHING;
  }

  #collect(records: readonly R[]): void {
    this.#next ??= new Map();
    for (const record of records) {
      const name = nameOf(record);
      this.#next.set(name, told(record, this.#known.get(name)));
    }
  }

  #change({ change, service }: Change<R>): readonly Transition<R>[] {
    if (change === 'registered' || change === 'updated') {
      if (!this.#next) return [this.#set(service, change)];
      this.#collect([service]);
      return NOTHING;
    }
    const name = nameOf(service);
    if (!this.#next) return this.#remove(name, change);
    this.#next.delete(name);
    return NOTHING;
  }

  #complete(warming: boolean): readonly Transition<R>[] {
    if (this.#next) return this.#replace(this.#next, warming);
    return warming ? NOTHING : this.#dropKept();
  }

  /** A state is whole. What it lacks may be on its way back, as long as the registry is warming. */
  #replace(next: Known<R>, warming: boolean): readonly Transition<R>[] {
    const known = this.#known;
    const transitions: Transition<R>[] = [];
    for (const [name, now] of next) {
      const before = known.get(name);
      if (now !== before) transitions.push({ cause: 'found', before, now });
    }
    for (const [name, before] of known) {
      if (next.has(name)) continue;
      if (!warming) {
        transitions.push({ cause: 'gone', before, now: undefined });
        continue;
      }
      const now = before.kept ? before : { record: before.record, kept: true };
      next.set(name, now);
      if (now !== before) transitions.push({ cause: 'kept', before, now });
    }
    this.#known = next;
    this.#next = undefined;
    return transitions;
  }

  /** What has not come back until now is gone. */
  #dropKept(): readonly Transition<R>[] {
    const transitions: Transition<R>[] = [];
    for (const [name, { kept }] of this.#known) {
      if (kept) transitions.push(...this.#remove(name, 'gone'));
    }
    return transitions;
  }

  #set(record: R, cause: 'found' | 'registered' | 'updated'): Transition<R> {
    const name = nameOf(record);
    const before = this.#known.get(name);
    const now = { record, kept: false };
    this.#known.set(name, now);
    return { cause, before, now };
  }

  #remove(name: string, cause: 'gone' | End): readonly Transition<R>[] {
    const before = this.#known.get(name);
    if (!before) return NOTHING;
    this.#known.delete(name);
    return [{ cause, before, now: undefined }];
  }
}

/** What a state says of an instance: the same object, and the same record, where it says what is known already. */
function told<R>(record: R, before: KnownInstance<R> | undefined): KnownInstance<R> {
  // Not by the revision: another history of revisions may use the same again.
  if (!before || !isDeepStrictEqual(before.record, record)) return { record, kept: false };
  return before.kept ? { record: before.record, kept: false } : before;
}

/** Neither of the two names can hold what parts them, and no instance has an empty name. */
function nameOf({ key, instance = '' }: GoneRecord): string {
  return `${key}/${instance}`;
}
