/**
 * What the daemon says of its own accord: lines without a boolean `ok`. All but `progress` belong to a watch. A
 * watch begins with its state and `synced`, or where it resumes with what it missed and `synced`; then come
 * changes, in the order of their revisions, each once. A `reset` begins it anew.
 */

import type { InstanceRecord } from './messages.js';

interface WatchEvent<T extends string> {
  readonly type: T;
  /** Which watch of this connection. */
  readonly watch: number;
}

/** What was seen of this watch before is void: state and `synced` follow. */
export interface ResetEvent extends WatchEvent<'reset'> {
  /**
   * `epoch`: the registry has begun another history. `compacted`: the changes since then are no longer held, because
   * the watch was away, or not read, for too long. `access`: the caller may see other services than before.
   */
  readonly reason: 'epoch' | 'compacted' | 'access';
}

/** The caller may not see any more what is watched: the watch is over. */
export interface EndedEvent extends WatchEvent<'ended'> {
  /** What a request for this watch would be answered now. */
  readonly error: { readonly code: string; readonly message: string };
}

/** A part of the present state. */
export interface StateEvent extends WatchEvent<'state'> {
  readonly services: readonly InstanceRecord[];
}

/** Everything up to this revision was told. */
export interface SyncedEvent extends WatchEvent<'synced'> {
  readonly epoch: string;
  readonly revision: number;
  /**
   * The daemon has just restarted, and what is absent may be on its way back. When that is over another `synced`
   * comes, without this.
   */
  readonly warming?: true;
}

/** `updated` stands for every change of an instance that stays the same one, that of its status too. */
export type ChangeKind = 'registered' | 'updated' | 'expired' | 'destroyed';

/** What is left to say of an instance that is gone. */
export interface GoneRecord {
  readonly key: string;
  readonly instance?: string;
  readonly generation: number;
}

export type ChangeEvent = WatchEvent<'change'> & {
  readonly revision: number;
  /** When it was proposed, in ms since the Unix epoch. */
  readonly at: number;
} & (
    | {
        /** `registered` may find another generation of the same name: that one was taken over. */
        readonly change: 'registered' | 'updated';
        readonly service: InstanceRecord;
      }
    | { readonly change: 'expired' | 'destroyed'; readonly service: GoneRecord }
  );

/** Nothing else was to be said for a while. Every watch of this connection that is synced is so up to `revision`. */
export interface ProgressEvent {
  readonly type: 'progress';
  readonly revision: number;
}

export type Event = ResetEvent | EndedEvent | StateEvent | SyncedEvent | ChangeEvent | ProgressEvent;
