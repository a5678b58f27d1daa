import type { Identity } from './access/tokens.js';
import type { Account, Rates } from './bounds.js';
import type { Holder } from './registry/holder.js';
import type { Instance } from './registry/instance.js';
import type { Feed } from './watch/feed.js';

/** Who asks, as commands see it. */
export interface Caller {
  /** The peer's address without its port; `local` where it has none. */
  readonly address: string;
  /** What the connection holds. */
  readonly holder: Holder;
  /** What it watches. */
  readonly feed: Feed;
  /** Who it has proved to be; `undefined` for nobody yet, or nobody any more. Only `Access` changes it. */
  identity: Identity | undefined;
  /** What the client's certificate is about, where TLS has verified one. */
  readonly certificateName: string | undefined;
  /** How fast it may ask. */
  readonly rates: Rates;
  /**
   * What it has together with the other connections of its identity; `undefined` where nothing of that is bounded. Only
   * `Accounts` changes it.
   */
  account: Account | undefined;
  /** The backup that it is reading; `undefined` where it reads none. */
  backup: Backup | undefined;
}

/** A backup that a connection reads page by page: the registry at one moment. */
export interface Backup {
  readonly epoch: string;
  /** Every change up to this one is in it. */
  readonly revision: number;
  /** When, in ms since the Unix epoch. */
  readonly taken: number;
  readonly instances: readonly Instance[];
  /** What each of them had left then, in ms. */
  readonly left: Float64Array;
  /** How many of them were told. */
  next: number;
}
