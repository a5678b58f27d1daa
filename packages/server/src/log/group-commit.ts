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

/** What is committed together: the changes, in order, and their bytes. */
class Batch {
  readonly changes: Change[] = [];
  readonly entries = new EntryWriter();

  clear(): void {
    this.changes.length = 0;
    this.entries.clear();
  }
}

/**
 * Gathers the changes of a turn and writes them with one write and, where it waits for the disk, one sync.
 * While a commit is under way the next changes gather for the one that follows at once: the more clients
 * there are, the more share a commit.
 */
export class GroupCommit {
  readonly #host: CommitHost;
  #segment: Segment;
  #filling = new Batch();
  #writing = new Batch();
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

  /** The changes that are not durable, in order. */
  get undurable(): readonly Change[] {
    return [...this.#writing.changes, ...this.#filling.changes];
  }

  add(change: Change): void {
    this.#filling.entries.add(change, this.#added);
    this.#filling.changes.push(change);
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
    this.#added = this.#durable;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
    this.#goOn();
  }

  #commit(): void {
    if (this.#state === 'held') return;
    if (this.#filling.changes.length === 0) {
      this.#state = 'idle';
      return;
    }
    this.#state = 'committing';
    [this.#filling, this.#writing] = [this.#writing, this.#filling];
    const upTo = this.#added;
    const bytes = this.#writing.entries.finish();
    if (this.#host.waitForDisk) this.#writeAndSync(bytes, upTo);
    else this.#segment.append(bytes, (error) => (error ? this.#host.onWriteFailed(error) : this.#committed(upTo)));
  }

  /** Only the sync leaves this thread. Each way there and back takes as long as the disk itself may. */
  #writeAndSync(bytes: Buffer, upTo: number): void {
    try {
      this.#segment.write(bytes);
    } catch (error) {
      this.#host.onWriteFailed(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#segment.sync((error) => (error ? this.#host.onSyncFailed(error) : this.#committed(upTo)));
  }

  #committed(upTo: number): void {
    this.#writing.clear();
    this.#durable = upTo;
    while (this.#waiters[0] !== undefined && this.#waiters[0].revision <= upTo) this.#waiters.shift()?.resolve();
    // The disk has the next commit while the replies of this one leave.
    this.#goOn();
    this.#host.onCommitted();
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
