/** An end that is final for the owner: whoever comes with this generation again is told so. */
interface Ending {
  /** Whose it was. Generations begin again where a daemon that keeps nothing does, and then are other people's. */
  readonly owner: string;
  readonly reason: 'destroyed' | 'superseded';
  /** The change that ended it. */
  readonly revision: number;
}

/**
 * How generations with an owner ended lately, other than by time: who was away does not register again what was
 * destroyed, or taken over and then destroyed, meanwhile. Bounded by count: who was away for longer than it reaches,
 * or over a restart that found a newer snapshot, registers anew.
 */
export class Endings {
  readonly #byGeneration = new Map<number, Ending>();
  readonly #capacity: number;

  constructor(capacity = 10_000) {
    this.#capacity = capacity;
  }

  get(generation: number, owner: string): Ending | undefined {
    const ending = this.#byGeneration.get(generation);
    return ending?.owner === owner ? ending : undefined;
  }

  add(generation: number, ending: Ending): void {
    this.#byGeneration.set(generation, ending);
    if (this.#byGeneration.size <= this.#capacity) return;
    // The oldest: a map is walked in the order in which it was filled.
    for (const oldest of this.#byGeneration.keys()) {
      this.#byGeneration.delete(oldest);
      return;
    }
  }

  /** Forgets what was ended by changes after `revision`: they are undone. */
  undo(revision: number): void {
    for (const [generation, ending] of this.#byGeneration) {
      if (ending.revision > revision) this.#byGeneration.delete(generation);
    }
  }
}
