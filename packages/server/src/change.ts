import type { EndReason, Status } from '@reg/protocol';

/**
 * The registry is a view of an ordered log of changes, and this is a change. Everything that `apply` needs is
 * in it, times too: to apply it, no clock is read. `revision` is 0 until the log has given the change its
 * place in the order.
 */
export type Change = RegisterChange | EndChange;

/** An instance was registered, or registered again with other content. Holds the whole of it. */
export interface RegisterChange {
  readonly kind: 'register';
  revision: number;
  readonly key: string;
  /** The instance's id; `UNNAMED` for the unnamed one. */
  readonly instance: string;
  /** Revision of the instance's first registration; 0 on the way to the log where this is the first. */
  generation: number;
  /** When this change was proposed, in ms since the Unix epoch. */
  readonly at: number;
  /** When the generation was first registered, in ms since the Unix epoch. */
  readonly registered: number;
  /** Time to live in ms; `Infinity` for never. */
  readonly ttl: number;
  /** See `RegisterRequest.body`. */
  readonly body: string;
  /** What it says of itself, or `suspect` where its connection broke. */
  readonly status: Status;
  /** How long it outlives its connection, in ms; `Infinity` where it is bound to none. */
  readonly linger: number;
  /** The owner's secret; `UNOWNED` for none. Never shown. */
  readonly owner: string;
  /** When it ends unless renewed, in registry time. Not kept by the log: after a restart it is worked out anew. */
  expiresAt: number;
}

/** An instance ended. It ends the generation that it names, and no later one. */
export interface EndChange {
  readonly kind: 'expire' | 'destroy';
  revision: number;
  readonly key: string;
  readonly instance: string;
  readonly generation: number;
  /** When it was proposed, in ms since the Unix epoch. */
  readonly at: number;
  /** The deadline that the instance had, in registry time, for where the change is undone. Not kept by the log. */
  readonly expiresAt: number;
}

/** Why what a change has ended is gone. */
export function reasonOf({ kind }: EndChange): EndReason {
  return kind === 'expire' ? 'expired' : 'destroyed';
}
