import type { Clock, Timer } from '@reg/protocol';

/** Between two looks at the clock by a loop that runs there is never so much; more is a stall. */
const STALL_MS = 100;

/**
 * Registry time: ms since the Unix epoch when the daemon started, from then on by the monotonic clock, less
 * the stalls. While the process was stopped, or its event loop blocked, no renewal could be heard; so nobody's
 * deadline ran either. It relies on being looked at more often than every 100 ms, which the expiry loop does,
 * and on sessions that give way to each other, so that a loop that is busy also hears.
 */
export class RegistryClock {
  readonly #clock: Clock;
  readonly #offset: number;
  #lastLook: number;
  #excluded = 0;
  #latest: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastLook = clock.monotonic();
    this.#offset = clock.wall() - this.#lastLook;
    this.#latest = this.#lastLook + this.#offset;
  }

  /** Registry time in ms: for deadlines, and for whatever else must not run while nobody could act. */
  now(): number {
    const look = this.#clock.monotonic();
    const gap = look - this.#lastLook;
    this.#lastLook = look;
    if (gap > STALL_MS) this.#excluded += gap;
    this.#latest = look + this.#offset - this.#excluded;
    return this.#latest;
  }

  /**
   * Registry time at the last look. For what is done very often within a turn of the loop, and may be a moment off: a
   * look costs as much as finding an instance.
   */
  get latest(): number {
    return this.#latest;
  }

  /**
   * Registry time with the stalls in it: for how long the loop is being kept busy. What takes so long that nobody's
   * deadline ran meanwhile must end its turn all the same.
   */
  busy(): number {
    return this.now() + this.#excluded;
  }

  /** How many ms of stalls registry time has left out so far. */
  get excluded(): number {
    return this.#excluded;
  }

  /** ms since the Unix epoch, for people and for the disk. May jump either way when the machine's clock is set. */
  wall(): number {
    return this.#clock.wall();
  }

  after(ms: number, action: () => void): Timer {
    return this.#clock.after(ms, action);
  }
}

/** So soon after a turn has begun, in ms, another does not begin. */
const SHARED_MS = 1;

/**
 * What those who do the same kind of work may take, all of them together, of one turn of the event loop. Each having a
 * share of its own would not do: there may be thousands, and a stream drains within the turn as long as the system
 * takes everything.
 *
 * Only an immediate tells that the loop has turned, and one in every turn made a request that came alone a twentieth
 * dearer. So a turn that follows within a millisecond goes without, and shares what the one before may take.
 */
export class Turn {
  readonly #clock: RegistryClock;
  readonly #ms: number;
  #begun = Number.NEGATIVE_INFINITY;
  /** The turn of the loop in which it began is not over. */
  #isMarked = false;

  constructor(clock: RegistryClock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** Whether anything is left of it. Who is refused comes back in the next turn. */
  get hasTime(): boolean {
    const now = this.#clock.busy();
    return now < this.endFrom(now);
  }

  /** When it is over. It begins when that is first asked for. @param now by `RegistryClock.busy`, as is the end. */
  endFrom(now: number): number {
    if (!this.#isMarked && now - this.#begun >= SHARED_MS) this.#begin(now);
    return this.#begun + this.#ms;
  }

  /** Begins it again where it was used up. */
  renew(): void {
    const now = this.#clock.busy();
    if (now >= this.endFrom(now)) this.#begin(now);
  }

  #begin(now: number): void {
    this.#begun = now;
    if (this.#isMarked) return;
    this.#isMarked = true;
    setImmediate(() => {
      this.#isMarked = false;
    });
  }
}
