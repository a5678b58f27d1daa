import type { Change } from '../../src/change.js';
import { createEpoch, type Log, type LogHost, stamp } from '../../src/log/log.js';

/** Where the order of several daemons is decided: in a real one another process, here a list. */
export class SharedStream {
  readonly epoch = createEpoch();
  readonly #changes: Change[] = [];
  readonly #readers = new Set<(change: Change) => void>();
  #coming: (() => void)[] = [];
  /** Whether what is proposed comes by itself, at the end of the turn, or only with `deliver`. */
  readonly #isHeld: boolean;

  constructor({ isHeld = false } = {}) {
    this.#isHeld = isHeld;
  }

  /** Orders a change. @returns when it has come back to everybody, in its place. */
  append(change: Change): Promise<void> {
    return new Promise((resolve) => {
      this.#coming.push(() => {
        stamp(change, this.#changes.length + 1);
        this.#changes.push(change);
        for (const read of this.#readers) read(change);
        resolve();
      });
      if (!this.#isHeld) setImmediate(() => this.deliver());
    });
  }

  deliver(): void {
    const coming = this.#coming;
    this.#coming = [];
    for (const come of coming) come();
  }

  /** Reads everything from the beginning on. @returns how to stop. */
  read(reader: (change: Change) => void): () => void {
    for (const change of this.#changes) reader(change);
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }
}

/** A log that orders elsewhere, as one that several daemons share: what is proposed comes back later, with the rest. */
export class SharedLog implements Log {
  readonly kind = 'shared';
  readonly durability = 'always';
  readonly epoch: string;
  durable = 0;
  readonly #stream: SharedStream;
  readonly #own = new Map<Change, boolean>();
  readonly #pending = new Set<Promise<number>>();
  #stop: () => void = () => {};

  constructor(stream: SharedStream) {
    this.#stream = stream;
    this.epoch = stream.epoch;
  }

  async open(host: LogHost): Promise<void> {
    this.#stop = this.#stream.read((change) => {
      const isOwn = this.#own.has(change);
      const isEffective = host.apply(isOwn ? change : { ...change });
      if (isOwn) this.#own.set(change, isEffective);
      this.durable = change.revision;
      host.onDurable();
    });
  }

  propose(change: Change): Promise<number> {
    this.#own.set(change, false);
    const ordered = this.#stream.append(change).then(() => {
      const isEffective = this.#own.get(change);
      this.#own.delete(change);
      return isEffective ? change.revision : 0;
    });
    this.#pending.add(ordered);
    return ordered.finally(() => this.#pending.delete(ordered));
  }

  async flush(): Promise<void> {
    await Promise.all(this.#pending);
  }

  async close(): Promise<void> {
    await this.flush();
    this.#stop();
  }
}
