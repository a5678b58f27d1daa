/** What is registered, made of the events of a watch, and what each of them means to people. */

import { type InstanceRecord, type KnownInstance, Presence, type Transition, type WatchEvent } from '@reg/client';
import { type GoneRecord, type Status, statusOf } from '@reg/protocol';

/** What has become of an instance. `present` and `gone` are what is found after a time of not knowing. */
export interface Happening {
  readonly what: 'present' | 'registered' | 'taken over' | 'updated' | 'expired' | 'destroyed' | 'gone' | Status;
  /** As it is now, or was last. Of one that was never seen there is only the name. */
  readonly record: InstanceRecord | GoneRecord;
  /** When it was changed, in ms since the Unix epoch; absent where that is not known. */
  readonly at?: number;
}

/** Where the answer stands: nothing was told yet, the registry has just restarted, or all is told. */
export type Standing = 'unknown' | 'warming' | 'synced';

export class View {
  readonly #presence = new Presence();
  #standing: Standing = 'unknown';
  #revision = 0;

  get standing(): Standing {
    return this.#standing;
  }

  /** Of the last event that had one. */
  get revision(): number {
    return this.#revision;
  }

  get records(): InstanceRecord[] {
    return Array.from(this.#presence.known, shown);
  }

  take(event: WatchEvent): readonly Happening[] {
    if (event.type === 'synced') this.#standing = event.warming ? 'warming' : 'synced';
    if (event.type === 'synced' || event.type === 'change') this.#revision = event.revision;
    const happenings = this.#presence.apply(event).flatMap(happeningsOf);
    if (event.type !== 'change') return happenings;
    const { change, service, at } = event;
    // A change is always told, also the end of what was never seen.
    if (happenings.length === 0) return [{ what: change, record: service, at }];
    return happenings.map((happening) => ({ ...happening, at }));
  }
}

/** What is only kept is shown as suspect, whatever it was. */
function shown({ record, kept }: KnownInstance): InstanceRecord {
  return kept ? { ...record, status: 'suspect' } : record;
}

/** One, or none where people see no difference. */
function happeningsOf({ cause, before, now }: Transition): readonly Happening[] {
  if (!now) return [{ what: cause, record: before.record }];
  const what = cause === 'registered' ? entered(before) : altered(cause, before, now);
  return what ? [{ what, record: shown(now) }] : [];
}

function entered(before: KnownInstance | undefined): Happening['what'] {
  return before && !before.kept ? 'taken over' : 'registered';
}

/** `undefined` where it is as before. */
function altered(
  cause: Transition['cause'],
  before: KnownInstance | undefined,
  now: KnownInstance,
): Happening['what'] | undefined {
  if (!before) return cause === 'found' ? 'present' : 'updated';
  if (cause === 'found' && before.record.generation !== now.record.generation) return 'registered';
  const status = statusOf(shown(now));
  if (statusOf(shown(before)) !== status) return status;
  return before.record === now.record ? undefined : 'updated';
}
