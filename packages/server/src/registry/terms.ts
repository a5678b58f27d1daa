import type { Status } from '@reg/protocol';

/** What very many registrations have in common: all that have the same share one object, and hold one reference. */
export interface Terms {
  /** What it says of itself, or `suspect` where its connection broke. */
  readonly status: Status;
  /** Time to live in ms; `Infinity` for never. */
  readonly ttl: number;
  /** How long it outlives its connection, in ms; `Infinity` where it is bound to none. */
  readonly linger: number;
}

/** A prime, so that round numbers of seconds do not meet. */
const PLACES = 1021;

/** Finds terms that are in use already. Where two meet in a place the later has it: that costs memory, and no more. */
export class TermsTable {
  readonly #places = new Array<Terms | undefined>(PLACES).fill(undefined);

  of({ status, ttl, linger }: Terms): Terms {
    const place = placeOf(ttl, linger, status.length);
    const known = this.#places[place];
    if (known?.status === status && known.ttl === ttl && known.linger === linger) return known;
    const terms = { status, ttl, linger };
    this.#places[place] = terms;
    return terms;
  }
}

/** `| 0` makes a small integer of any number, and 0 of `Infinity`. */
function placeOf(ttl: number, linger: number, salt: number): number {
  return (((ttl | 0) ^ ((linger | 0) << 1) ^ salt) >>> 0) % PLACES;
}
