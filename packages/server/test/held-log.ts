import type { Change } from '../src/change.js';
import { type Log, type LogHost, stamp } from '../src/log/log.js';

/** A log whose changes become durable, or are undone, when the test says so. */
export class HeldLog implements Log {
  readonly kind = 'held';
  readonly durability = 'always';
  readonly epoch = '0000000000000000';
  durable = 0;
  revision = 0;
  host: LogHost | undefined;
  readonly #committed: Change[] = [];
  #held: Change[] = [];

  async open(host: LogHost): Promise<void> {
    this.host = host;
  }

  propose(change: Change): number {
    this.revision += 1;
    stamp(change, this.revision);
    this.#held.push(change);
    return this.host?.apply(change) ? this.revision : 0;
  }

  /** How many changes wait to be committed. */
  get held(): number {
    return this.#held.length;
  }

  /** Commits the first `count` of the changes that wait. */
  commit(count = this.#held.length): void {
    this.#committed.push(...this.#held.splice(0, count));
    this.durable = this.#committed.at(-1)?.revision ?? 0;
    this.host?.onDurable();
  }

  /** Undoes all changes that wait, as a disk does that has failed to take them. */
  undo(error: Error): void {
    this.#held = [];
    if (this.host === undefined) return;
    const { registry } = this.host;
    const before = registry.all();
    registry.clear();
    for (const change of this.#committed) registry.apply(change);
    registry.inherit(before);
    this.host.onRollback(error);
  }

  async flush(): Promise<void> {}
  async close(): Promise<void> {}
}
