import type { Change } from '../change.js';
import { EntryWriter } from './format.js';
import type { Segment } from './segment.js';

export interface CommitHost {
  /** Whether a commit waits for the disk, or only for the system. */
  readonly waitForDisk: boolean;
  onCommitted(): void;
  /** Nothing since the last commit is durable. `discard` has to follow before anything is added. */
  onWriteFailed(error: Error): void;
  /** Nobody can say what is on the disk. */
  onSyncFailed(error: Error): void;
}

/**
 * Gathers the changes of a turn and writes them with one write and, where it waits for the disk, one sync.
 * While a commit is under way the next changes gather for the one that follows at once: the more clients
 * there are, the more share a commit.
 */
export class GroupCommit {
  readonly #host: CommitHost;
  #segment: Segment;
  #filling = new EntryWriter();
  #writing = new EntryWriter();
  /** The changes that are not durable, in order. */
  #undurable: Change[] = [];
  /** Revision of the last change that was added. */
  #added: number;
  #durable: number;
  #state: 'idle' | 'scheduled' | 'committing' | 'held' = 'idle';
  #held: (() => void)[] = [];
  #waiters: { revision: number; resolve: () => void; reject: (error: Error) => void }[] = [];

  /** @param revision the last change that is in the segment, or before it. */
  constructor(segment: Segment, revision: number, host: CommitHost) {
    this.#segment = segment;
    this.#added = revision;
    this.#durable = revision;
    this.#host = host;
  }

  get segment(): Segment {
    return this.#segment;
  }

  /** Every change up to this revision is durable. */
  get durable(): number {
    return this.#durable;
  }

  get undurable(): readonly Change[] {
    return this.#undurable;
  }

  add(change: Change): void {
    this.#filling.add(change, this.#added);
    this.#undurable.push(change);
    this.#added = change.revision;
    if (this.#state !== 'idle') return;
    this.#state = 'scheduled';
    setImmediate(() => this.#commit());
  }

  /** Resolves when everything added so far is durable; rejects when it is discarded. */
  flush(): Promise<void> {
    if (this.#durable >= this.#added) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ revision: this.#added, resolve, reject });
    });
  }

  /** Runs `action` while no commit is under way. What is added meanwhile is committed afterwards. */
  async hold(action: (last: number) => Promise<Segment>): Promise<void> {
    if (this.#state === 'committing' || this.#state === 'held') {
      await new Promise<void>((resolve) => this.#held.push(resolve));
    }
    this.#state = 'held';
    try {
      this.#segment = await action(this.#durable);
    } finally {
      this.#goOn();
    }
  }

  /** Forgets what is not durable, after a failed write. */
  discard(error: Error): void {
    this.#filling.clear();
    this.#writing.clear();
    this.#undurable = [];
    this.#added = this.#durable;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
    this.#goOn();
  }

  #commit(): void {
    if (this.#state === 'held') return;
    if (this.#filling.length === 0) {
      this.#state = 'idle';
      return;
    }
    this.#state = 'committing';
    [this.#filling, this.#writing] = [this.#writing, this.#filling];
    const upTo = this.#added;
    this.#segment.append(this.#writing.finish(), (error) => {
      if (error) this.#host.onWriteFailed(error);
      else if (this.#host.waitForDisk) this.#segment.sync((failure) => this.#committed(upTo, failure));
      else this.#committed(upTo, null);
    });
  }

  #committed(upTo: number, error: Error | null): void {
    if (error) {
      this.#host.onSyncFailed(error);
      return;
    }
    this.#writing.clear();
    this.#durable = upTo;
    this.#undurable = this.#undurable.filter(({ revision }) => revision > upTo);
    while (this.#waiters[0] !== undefined && this.#waiters[0].revision <= upTo) this.#waiters.shift()?.resolve();
    this.#host.onCommitted();
    this.#goOn();
  }

  /** After a commit, or a hold: whoever waits to hold goes first. */
  #goOn(): void {
    const next = this.#held.shift();
    if (next === undefined) {
      this.#state = 'scheduled';
      this.#commit();
    } else {
      this.#state = 'held';
      next();
    }
  }
}
