import type { ResetEvent, Scope } from '@reg/protocol';
import { openChange } from './events.js';
import type { Feed } from './feed.js';

/**
 * Where a watch stands. It is `opening` until its state was told (and again from a reset on), `resuming` while it
 * is told what it missed since an earlier one, `following` when it was told its state, and what has changed since
 * then is still to come; and `live` when it was told everything.
 */
export type Phase = 'opening' | 'resuming' | 'following' | 'live' | 'ended';

/** One watch of one connection. What is told of it, and when, its feed decides. */
export class Watch {
  readonly number: number;
  readonly feed: Feed;
  readonly scope: Scope;
  /** Whether it acknowledges what it has seen. */
  readonly acknowledges: boolean;
  /** How the line of each of its changes begins. */
  readonly opening: string;
  phase: Phase = 'opening';
  /** The reply that says its number has left. */
  isAnswered = false;
  /** The line that is told right after that, where it was ended before it. */
  farewell: string | undefined;
  /** No change up to this revision is told, or told again. */
  position = 0;
  /** It has seen every change up to this revision, as it says itself. */
  acknowledged = 0;
  /** Why it begins anew; `undefined` where nothing was told before. */
  reset: ResetEvent['reason'] | undefined;

  constructor(number: number, feed: Feed, scope: Scope, acknowledges: boolean) {
    this.number = number;
    this.feed = feed;
    this.scope = scope;
    this.acknowledges = acknowledges;
    this.opening = openChange(number);
  }
}
