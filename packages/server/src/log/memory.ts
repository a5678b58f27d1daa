import type { Change } from '../change.js';
import { createEpoch, type Log, type LogHost, stamp } from './log.js';

/** Keeps nothing. Every start is an epoch of its own. */
export class MemoryLog implements Log {
  readonly kind = 'memory';
  readonly durability = 'none';
  readonly epoch = createEpoch();
  #host: LogHost | undefined;
  #revision = 0;

  /** What is in memory is as durable as it gets. */
  get durable(): number {
    return this.#revision;
  }

  async open(host: LogHost): Promise<void> {
    this.#host = host;
  }

  propose(change: Change): number {
    if (this.#host === undefined) throw new Error('the log is not open');
    this.#revision += 1;
    stamp(change, this.#revision);
    return this.#host.apply(change) ? change.revision : 0;
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}
