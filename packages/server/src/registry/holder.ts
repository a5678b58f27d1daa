import type { EndReason } from '@reg/protocol';
import type { Instance } from './instance.js';

/** Something that a connection held, and that is gone. */
export interface Ended {
  readonly key: string;
  readonly instance: string;
  readonly generation: number;
  readonly reason: EndReason;
  /** The change that ended it; 0 where it has expired and its end is still to be ordered. */
  readonly revision: number;
  /**
   * Revision of the last change that has to be durable for the reply that tells it to leave, or for it not to be told
   * at all; `undefined` where it is still to be told. It is kept until then, for where that change is undone.
   */
  toldWith: number | undefined;
}

/** How much several connections hold together. */
interface Total {
  held: number;
}

/** So many that ended are remembered between two heartbeats. Who lost more sees it from how many are held. */
const MAX_ENDED = 10_000;
/** So many times of heartbeats are kept. */
const MAX_BEATS = 8;

/**
 * One connection as the registry sees it: what it holds, which is what it was the last to register, and what of that
 * has ended. An instance knows its holder and its place there, so that letting go of one costs the same however many
 * are held. When the connection is closed its instances go on pointing here, for people, but nobody holds them.
 */
export class Holder {
  /** Its address, for people. */
  readonly peer: string;
  /** ms since the Unix epoch. */
  readonly opened: number;
  #closed: number | undefined;
  #heartbeats = 0;
  /** Registry time of the last heartbeats, the latest last. */
  readonly #beats: number[] = [];
  #held: Instance[] = [];
  /** In the order of their revisions, but for those of revision 0. */
  #ended: Ended[] = [];
  #total: Total | undefined;

  constructor(peer: string, opened: number) {
    this.peer = peer;
    this.opened = opened;
  }

  /** When it was closed, in ms since the Unix epoch; `undefined` while it is open. */
  get closed(): number | undefined {
    return this.#closed;
  }

  get heartbeats(): number {
    return this.#heartbeats;
  }

  /** What it holds, in no order. */
  get held(): readonly Instance[] {
    return this.#held;
  }

  /** What it is counted in, together with others of its caller; `undefined` where it is not. */
  get total(): Total | undefined {
    return this.#total;
  }

  /** Has what it holds counted there from now on, and nowhere else. */
  countIn(total: Total | undefined): void {
    if (this.#total !== undefined) this.#total.held -= this.#held.length;
    if (total !== undefined) total.held += this.#held.length;
    this.#total = total;
  }

  /** ms between its last heartbeats, the latest last. */
  intervals(): number[] {
    return this.#beats.slice(1).map((beat, index) => Math.round(beat - (this.#beats[index] ?? beat)));
  }

  beat(now: number): void {
    this.#heartbeats += 1;
    if (this.#beats.length === MAX_BEATS) this.#beats.shift();
    this.#beats.push(now);
  }

  /** Takes hold of an instance, silently for who held it before. Once closed it only becomes the last that did. */
  hold(instance: Instance): void {
    if (instance.holder === this && instance.grip !== -1) return;
    instance.holder?.release(instance);
    instance.holder = this;
    if (this.#closed !== undefined) return;
    instance.grip = this.#held.length;
    this.#held.push(instance);
    if (this.#total !== undefined) this.#total.held += 1;
  }

  release(instance: Instance): void {
    if (instance.grip === -1) return;
    const last = this.#held.pop();
    if (this.#total !== undefined) this.#total.held -= 1;
    if (last !== undefined && last !== instance) {
      this.#held[instance.grip] = last;
      last.grip = instance.grip;
    }
    instance.grip = -1;
  }

  /** Puts `instance`, which is the same generation, in the place of `old`. */
  replace(old: Instance, instance: Instance): void {
    instance.holder = this;
    instance.grip = old.grip;
    if (old.grip !== -1) this.#held[old.grip] = instance;
    old.grip = -1;
    old.holder = undefined;
  }

  /** Lets go of what is gone, and remembers it for the next heartbeat. What it does not hold it has not lost. */
  lose(instance: Instance, reason: EndReason, revision: number): void {
    if (instance.grip === -1) return;
    this.release(instance);
    if (this.#ended.length === MAX_ENDED) return;
    const { key, id, generation } = instance;
    this.#ended.push({ key, instance: id, generation, reason, revision, toldWith: undefined });
  }

  /** What ended by the change `revision` need not be told: this connection itself has asked for it. */
  silence(revision: number): void {
    for (let index = this.#ended.length - 1; index >= 0; index -= 1) {
      const ended = this.#ended[index];
      if (ended === undefined || (ended.revision > 0 && ended.revision < revision)) return;
      if (ended.revision === revision) ended.toldWith = revision;
    }
  }

  /** What is still to be told; the caller marks what it tells. Forgets what was told before and is durable. */
  untold(durable: number): Ended[] {
    if (this.#ended.length === 0) return [];
    this.#ended = this.#ended.filter(({ toldWith }) => toldWith === undefined || toldWith > durable);
    return this.#ended.filter(({ toldWith }) => toldWith === undefined);
  }

  /**
   * Takes back, and gives, what ended by changes after `revision`: they are undone. What else was told together with
   * one of those was told by a reply that fails, and is told again.
   */
  withdraw(revision: number): Ended[] {
    const undone = this.#ended.filter((ended) => ended.revision > revision);
    this.#ended = this.#ended.filter((ended) => ended.revision <= revision);
    for (const ended of this.#ended) if ((ended.toldWith ?? 0) > revision) ended.toldWith = undefined;
    return undone;
  }

  /** Lets go of everything. @returns what it held. */
  close(wall: number): readonly Instance[] {
    const held = this.#held;
    this.countIn(undefined);
    this.#closed = wall;
    this.#held = [];
    this.#ended = [];
    for (const instance of held) instance.grip = -1;
    return held;
  }
}
