import type { Account, Bounds } from './bounds.js';
import type { RegistryClock } from './clock.js';
import type { Holder } from './registry/holder.js';
import type { Feed } from './watch/feed.js';

/** A connection, as far as it is counted with others of its caller. */
interface Member {
  readonly holder: Holder;
  readonly feed: Feed;
  /** Only `Accounts` changes it. */
  account: Account | undefined;
}

/**
 * The accounts of those who are connected: what all connections of a caller have together, so that it can be bounded
 * together. Where nothing is bounded so there are none.
 *
 * An account is kept for a second when its last connection has gone, in which its rates are whole again: else who
 * connects anew for each request would have new ones each time. So there are never more than entries in the file of
 * tokens, and soon none of those who are not connected.
 */
export class Accounts {
  readonly #bounds: Bounds;
  readonly #clock: RegistryClock;
  /** By the id of the caller's entry. */
  readonly #accounts = new Map<string, Account>();
  /** Those that had no connection at the last tick, and have had none since. */
  readonly #deserted = new Set<string>();

  constructor(bounds: Bounds, clock: RegistryClock) {
    this.#bounds = bounds;
    this.#clock = clock;
  }

  /** How many there are. */
  get size(): number {
    return this.#accounts.size;
  }

  /**
   * From now on a connection counts for this caller, with all that it holds and watches, and for no other.
   *
   * @param id `undefined` where it is nobody's, or over.
   * @throws {RegistryError} `over_limit` where it holds or watches more than this caller may; it stays where it was.
   */
  move(member: Member, id: string | undefined): void {
    const { account: before, holder, feed } = member;
    const account = id === undefined ? undefined : this.#open(id);
    if (account === before) return;
    if (account !== undefined) {
      this.#bounds.admitToAccount(account, holder.held.length, feed.watches);
      account.connections += 1;
    }
    if (before !== undefined) before.connections -= 1;
    member.account = account;
    holder.countIn(account);
    feed.countIn(account);
  }

  /** Forgets who has gone. To be called once a second. */
  tick(): void {
    for (const [id, { connections }] of this.#accounts) {
      if (connections > 0) continue;
      if (this.#deserted.delete(id)) this.#accounts.delete(id);
      else this.#deserted.add(id);
    }
  }

  #open(id: string): Account {
    this.#deserted.delete(id);
    const known = this.#accounts.get(id);
    if (known !== undefined) return known;
    const rates = this.#bounds.callerRatesFrom(this.#clock.now());
    const account: Account = { rates, connections: 0, held: 0, watches: 0 };
    this.#accounts.set(id, account);
    return account;
  }
}
