import type { Holder } from './registry/holder.js';
import type { Feed } from './watch/feed.js';

/** Who asks, as commands see it. */
export interface Caller {
  /** What the connection holds. */
  readonly holder: Holder;
  /** What it watches. */
  readonly feed: Feed;
}
