/**
 * Whether this process itself stood still: its event loop was busy with one thing, or the whole process was stopped.
 * What ran out meanwhile did so for that reason, and not for the registry's or the network's.
 */

import type { Clock, Timer } from '@reg/protocol';
import { detached } from './errors.js';
import { blockedFor, lookInterval } from './schedule.js';

/** Both by the monotonic clock. */
export interface Block {
  /** When the loop was last seen to run before. */
  readonly from: number;
  readonly until: number;
  /** For how many ms it stood still at least. */
  readonly length: number;
}

export class LoopWatch {
  readonly #clock: Clock;
  readonly #onBlock: (block: Block) => void;
  /** ms; `Infinity` where nothing can run out. */
  #ttl = Number.POSITIVE_INFINITY;
  #lookedAt: number;
  #timer: Timer | undefined;
  #last: Block | undefined;

  /** @param onBlock is told before anything else is done, as far as that is in the client's hands. */
  constructor(clock: Clock, onBlock: (block: Block) => void) {
    this.#clock = clock;
    this.#onBlock = onBlock;
    this.#lookedAt = clock.monotonic();
  }

  /** @param ttl the shortest that can run out, in ms; `Infinity` where none can. */
  guard(ttl: number): void {
    if (ttl === this.#ttl) return;
    this.look();
    this.#ttl = ttl;
    this.#wait();
  }

  /** Looks at the clock. It is cheap: whatever the client is about to do begins with it. */
  look(): void {
    const now = this.#clock.monotonic();
    const from = this.#lookedAt;
    const length = blockedFor(now - from, this.#ttl);
    this.#lookedAt = now;
    if (length === 0) return;
    const block = { from, until: now, length };
    this.#last = block;
    detached(() => this.#onBlock(block));
  }

  /** The last block, if that went on at a moment by the monotonic clock. */
  blockAt(moment: number): Block | undefined {
    const last = this.#last;
    return last && last.from <= moment && moment <= last.until ? last : undefined;
  }

  #wait(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#ttl === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#clock.after(lookInterval(this.#ttl), () => {
      this.look();
      this.#wait();
    });
  }
}
