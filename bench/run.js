/** One run of one part of the benchmark: who takes part, in turns, and the samples that come of it. */

import { endAll } from './processes.js';

/**
 * A sample is an object of numbers. A row is `{ peer, work, setting, samples }`, with a sample of each round; two rows
 * of one part have the same rounds in the same order, so that a ratio is of what was measured within seconds.
 */
export class Run {
  /** Samples of the measurement that is under way: they count when it has come to its end. */
  #pending = [];
  #rows = new Map();
  #step = '';
  /** Names of peers that are not installed. */
  missing = [];
  /** The peers that are, with their versions. */
  versions = {};
  /** What went wrong, and was done again. */
  failures = [];
  /** What must not be and was; the whole run has failed then. */
  faults = [];

  #rounds;

  /**
   * @param isQuick whether it is only to be seen that everything works.
   * @param rounds instead of as many as the part would have.
   * @param asked sizes that are to be others than the part would choose, for a part that can be told.
   */
  constructor(part, { isQuick, rounds, asked = {} }) {
    this.part = part;
    this.isQuick = isQuick;
    this.asked = asked;
    this.#rounds = isQuick ? 1 : rounds;
  }

  get rows() {
    return [...this.#rows.values()];
  }

  /** What is to be done in earnest, or in the quick form. */
  scaled(full, quick) {
    return this.isQuick ? quick : full;
  }

  /**
   * Measures every entrant that is installed once in each round, one after the other, and in every second round the
   * other way round: nobody is always the first, or always follows the same.
   *
   * @param usual how many rounds there are unless something else was asked for.
   * @param entrants objects with a `peer`.
   */
  async inTurns(usual, entrants, measure) {
    const rounds = this.#rounds ?? usual;
    for (let round = 1; round <= rounds; round += 1) {
      const present = entrants.filter(({ peer }) => this.#isInstalled(peer));
      for (const entrant of round % 2 === 1 ? present : present.toReversed()) {
        this.#step = `${this.part}, round ${round} of ${rounds}: ${entrant.peer.name}`;
        this.progress();
        await this.#measure(entrant, measure);
      }
    }
  }

  /** A server that fails is given one more chance: an hour's work should not be lost to it. The report says so. */
  async #measure(entrant, measure) {
    try {
      await measure(entrant);
    } catch (error) {
      this.failures.push(`${this.#step}: ${error.message.trim().split('\n')[0]}`);
      console.error(`${this.failures.at(-1)}. Once more.`);
      this.#pending = [];
      await endAll();
      await measure(entrant);
    }
    for (const { peer, work, setting, sample } of this.#pending) this.#keep(peer, work, setting, sample);
    this.#pending = [];
  }

  add(peer, work, setting, sample) {
    this.#pending.push({ peer, work, setting, sample });
  }

  #keep(peer, work, setting, sample) {
    const id = rowId(peer.name, work, setting);
    if (!this.#rows.has(id)) this.#rows.set(id, { peer: peer.name, work, setting, samples: [] });
    this.#rows.get(id).samples.push(sample);
  }

  fault(what) {
    this.faults.push(what);
  }

  /** Says what is being measured: on one line where somebody looks, else a line for every turn, and every milestone. */
  progress(detail = '', { isMilestone = detail === '' } = {}) {
    const text = [this.#step, detail].filter(Boolean).join(', ');
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
    else if (isMilestone) process.stderr.write(`${text}\n`);
  }

  #isInstalled({ name, version }) {
    if (this.versions[name] === undefined && !this.missing.includes(name)) {
      const found = version();
      if (found === undefined) this.missing.push(name);
      else this.versions[name] = found;
    }
    return this.versions[name] !== undefined;
  }
}

export function rowId(peer, work, setting) {
  return [peer, work, setting].join(' | ');
}
