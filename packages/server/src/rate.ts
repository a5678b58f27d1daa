/**
 * So many of something in a second, as a token bucket: who has asked for nothing for a second may ask for a second's
 * worth at once. It holds two numbers and sets no timer.
 */
export class Rate {
  readonly perSecond: number;
  #left: number;
  #at: number;

  /**
   * @param perSecond at least 1.
   * @param now ms, of whatever clock `take` is told.
   */
  constructor(perSecond: number, now: number) {
    this.perSecond = perSecond;
    this.#left = perSecond;
    this.#at = now;
  }

  /** After how many seconds there is one; 0 where there is one now. */
  wait(now: number): number {
    if (now > this.#at) {
      this.#left = Math.min(this.perSecond, this.#left + ((now - this.#at) / 1000) * this.perSecond);
      this.#at = now;
    }
    return this.#left < 1 ? (1 - this.#left) / this.perSecond : 0;
  }

  /** Takes one where there is one. @returns 0, or after how many seconds there is one again. */
  take(now: number): number {
    const wait = this.wait(now);
    if (wait === 0) this.#left -= 1;
    return wait;
  }
}
