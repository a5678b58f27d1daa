import { RegistryError } from '@reg/protocol';
import type { Change } from '../change.js';
import { createEpoch, type Log, type LogHost, stamp } from '../log/log.js';
import { deadlinesAfterRestart } from '../log/recovery.js';

/** What a disk would hold of a daemon, and what outlives it: its changes, and when instances were due. */
export class Keep {
  readonly epoch = createEpoch();
  readonly changes: Change[] = [];
  /** By generation, in ms since the Unix epoch. */
  deadlines = new Map<number, number>();
  /** No daemon has begun with it yet. */
  isNew = true;
}

/**
 * A log for tests that keeps everything in memory, outside of the daemon: as the disk log, with a disk that takes
 * no time and writes deadlines at once. Where a crash on a real disk may cost some seconds of renewals, which the
 * grace makes up for, this one knows them.
 */
export class KeptLog implements Log {
  readonly kind = 'disk';
  readonly durability = 'always';
  readonly #keep: Keep;
  readonly #grace: number;
  #host: LogHost | undefined;
  #revision: number;
  #isNew = false;

  /** @param grace what every instance has left at least after a restart, in ms. */
  constructor(keep: Keep, grace: number) {
    this.#keep = keep;
    this.#grace = grace;
    this.#revision = keep.changes.length;
  }

  get epoch(): string {
    return this.#keep.epoch;
  }

  get durable(): number {
    return this.#revision;
  }

  get isNew(): boolean {
    return this.#isNew;
  }

  async open(host: LogHost): Promise<void> {
    const { changes, deadlines, epoch } = this.#keep;
    const checkpoint = { epoch, revision: this.#revision, clean: true, deadlines };
    const deadlineOf = deadlinesAfterRestart(checkpoint, host.clock.now(), host.clock.wall(), this.#grace);
    for (const change of changes) {
      if (change.kind === 'register') change.expiresAt = deadlineOf(change);
      host.registry.apply(change);
    }
    this.#host = host;
    this.#isNew = this.#keep.isNew;
    this.#keep.isNew = false;
  }

  propose(change: Change): number {
    if (this.#host === undefined) throw new RegistryError('shutting_down');
    this.#revision += 1;
    stamp(change, this.#revision);
    this.#keep.changes.push(change);
    return this.#host.apply(change) ? change.revision : 0;
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    this.abandon();
  }

  /** From now on nothing reaches what is kept, as after the end of the daemon's process. */
  abandon(): void {
    if (this.#host === undefined) return;
    const { registry, clock } = this.#host;
    const skew = clock.wall() - clock.now();
    this.#keep.deadlines = new Map(registry.all().map(({ generation, expiresAt }) => [generation, expiresAt + skew]));
    this.#host = undefined;
  }
}
