import { type Durability, RegistryError, type Timer } from '@reg/protocol';
import type { Change } from '../change.js';
import { writeCheckpoint } from './checkpoint.js';
import { prepareFolder, sweepDrafts, sweepFolder } from './folder.js';
import type { FileHeader } from './format.js';
import { type CommitHost, GroupCommit } from './group-commit.js';
import { lockFolder } from './lock.js';
import { type Log, type LogHost, stamp } from './log.js';
import { type DiskLogOptions, openFolder, promisedBy } from './opening.js';
import { deadlinesAfterRollback } from './recovery.js';
import { replay } from './replay.js';
import { Segment } from './segment.js';
import { writeSnapshot } from './snapshot.js';

/** A segment of this size, or of the last snapshot's where that is more, is followed by a snapshot. */
const SEGMENT_BYTES = 16 * 1024 * 1024;
const CHECKPOINT_MS = 5000;
const SYNC_MS = 1000;
/** How long a disk that has failed a write is left alone before it is tried again. */
const RETRY_MS = 1000;
const CANNOT_CHECKPOINT = 'cannot write a checkpoint of the deadlines';

interface Opened {
  readonly host: LogHost;
  readonly commits: GroupCommit;
  readonly unlock: () => void;
}

/** A log on the local disk: segments of changes, snapshots, and checkpoints of the deadlines, in one folder. */
export class DiskLog implements Log, CommitHost {
  readonly kind = 'disk';
  readonly durability: Durability;
  readonly waitForDisk: boolean;
  readonly #options: DiskLogOptions;
  #opened: Opened | undefined;
  #epoch = '';
  #isNew = false;
  /** Revision of the last change that was given one. A rollback leaves a gap: none is used twice. */
  #revision = 0;
  /** Why nothing may be proposed now. */
  #refusal: RegistryError | undefined;
  /** Aborted when it closes, or cannot be trusted any more. */
  readonly #stopped = new AbortController();
  #isSyncing = false;
  /** When the segment is this long, a snapshot is due. */
  #compactAt: number;
  /** A snapshot or a checkpoint that is being written; one at a time. */
  #background: Promise<void> | undefined;
  /** What the last checkpoint showed, to spare the disk one that would show the same. */
  #checkpointed = '';
  readonly #timers = new Map<string, Timer>();

  constructor(options: DiskLogOptions) {
    this.#options = options;
    this.#compactAt = options.segmentBytes ?? SEGMENT_BYTES;
    this.durability = options.durability;
    this.waitForDisk = options.durability === 'always';
  }

  get epoch(): string {
    return this.#epoch;
  }

  get durable(): number {
    return this.#opened?.commits.durable ?? 0;
  }

  get isNew(): boolean {
    return this.#isNew;
  }

  get refusal(): RegistryError | undefined {
    return this.#refusal;
  }

  /** @throws {RegistryError} `data_locked`, `data_foreign`, `data_damaged` or `data_unusable`, saying what to do. */
  async open(host: LogHost): Promise<void> {
    const { folder } = this.#options;
    let unlock = (): void => {};
    let segment: Segment | undefined;
    try {
      prepareFolder(folder);
      unlock = await lockFolder(folder);
      sweepDrafts(folder);
      const opening = await openFolder(this.#options, host);
      segment = opening.segment;
      this.#epoch = opening.epoch;
      this.#isNew = opening.isNew;
      this.#revision = host.registry.revision;
      this.#compactAt = Math.max(this.#compactAt, opening.snapshotBytes);
      this.#opened = { host, commits: new GroupCommit(segment, this.#revision, this), unlock };
      // Where replies may be lost, the next start must know that this run did not end in order. Elsewhere a full
      // disk need not keep a daemon from answering.
      if (!this.waitForDisk) await this.#checkpoint(false);
    } catch (error) {
      this.#opened = undefined;
      await segment?.close();
      unlock();
      throw asUnusable(folder, error);
    }
    this.#inBackground(CANNOT_CHECKPOINT, () => this.#checkpoint(false));
    this.#every('checkpoint', CHECKPOINT_MS, () =>
      this.#inBackground(CANNOT_CHECKPOINT, () => this.#checkpoint(false)),
    );
    if (this.durability === 'everysec') this.#every('sync', SYNC_MS, () => this.#syncSegment());
  }

  propose(change: Change): number {
    const { host, commits } = this.#inUse;
    if (this.#refusal !== undefined) throw this.#refusal;
    this.#revision += 1;
    stamp(change, this.#revision);
    commits.add(change);
    return host.apply(change) ? change.revision : 0;
  }

  flush(): Promise<void> {
    return this.#inUse.commits.flush();
  }

  async close(): Promise<void> {
    const { host, commits, unlock } = this.#inUse;
    const isWell = this.#refusal === undefined;
    const hasFailed = this.#stopped.signal.aborted;
    const shuttingDown = new RegistryError('shutting_down');
    this.#stop(shuttingDown);
    try {
      await this.#background;
      if (hasFailed) return;
      await commits.flush();
      commits.segment.trim();
      await commits.segment.synced();
      // A sync that was under way may have failed in the meantime.
      const clean = isWell && this.#refusal === shuttingDown;
      await this.#checkpoint(clean).catch((error: unknown) => host.logger.warn({ err: error }, CANNOT_CHECKPOINT));
    } finally {
      await commits.segment.close();
      unlock();
    }
  }

  onCommitted(): void {
    const { host, commits } = this.#inUse;
    host.onDurable();
    if (commits.segment.size >= this.#compactAt) this.#inBackground('cannot write a snapshot', () => this.#compact());
  }

  /** The files still hold what was committed before, so memory is made from them again. */
  onWriteFailed(cause: Error): void {
    const { host, commits } = this.#inUse;
    const code = isFull(cause) ? 'storage_full' : 'storage_failed';
    this.#refusal = new RegistryError(code, undefined, { cause });
    host.logger.error({ err: cause }, 'a write to the log failed: changes are refused until the disk takes them again');
    try {
      commits.segment.cut();
      this.#rebuild(host, commits.undurable);
    } catch (error) {
      this.onSyncFailed(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    commits.discard(this.#refusal);
    host.onRollback(this.#refusal);
    this.#retryLater();
  }

  /** What the kernel has dropped cannot be trusted again, not even after a sync that succeeds. */
  onSyncFailed(cause: Error): void {
    const { host, commits } = this.#inUse;
    const refusal = new RegistryError('storage_failed', undefined, { cause });
    this.#stop(refusal);
    commits.discard(refusal);
    host.onFatal(
      new RegistryError(
        'data_unusable',
        `the disk failed: ${cause.message}. What it holds of the last changes is unknown. Look after the disk, and start again`,
        { cause },
      ),
    );
  }

  /** From here on nothing is proposed, tried again or written in the background. */
  #stop(refusal: RegistryError): void {
    this.#refusal = refusal;
    this.#stopped.abort(refusal);
    for (const timer of this.#timers.values()) timer.cancel();
  }

  get #inUse(): Opened {
    if (this.#opened === undefined) throw new Error('the log is not open');
    return this.#opened;
  }

  /** Fills the registry from the files again: from what is durable. */
  #rebuild({ registry, clock }: LogHost, undone: readonly Change[]): void {
    const before = registry.all();
    registry.clear();
    replay(this.#options.folder, registry, deadlinesAfterRollback(before, undone, clock.now()));
    registry.inherit(before);
  }

  async #checkpoint(clean: boolean): Promise<void> {
    const { host, commits } = this.#inUse;
    const { registry, clock } = host;
    const shows = `${commits.durable} ${registry.renewals} ${clean}`;
    if (shows === this.#checkpointed) return;
    await writeCheckpoint(this.#options.folder, {
      epoch: this.#epoch,
      revision: commits.durable,
      clean,
      registry,
      skew: clock.wall() - clock.now(),
    });
    this.#checkpointed = shows;
  }

  /**
   * Begins a new segment, and writes a snapshot of what is before it. The snapshot may show changes that are
   * still waiting to be committed, so it takes its place only when they are; if they fail, it never does.
   */
  async #compact(): Promise<void> {
    const { host, commits } = this.#inUse;
    const { folder, segmentBytes = SEGMENT_BYTES } = this.#options;
    const { registry } = host;
    const old = commits.segment;
    const number = old.number + 1;
    this.#compactAt = old.size + segmentBytes;
    await commits.hold(async (last) => {
      // Before there is another: only the last segment may lack its end after a power cut.
      await old.synced().catch((error: Error) => {
        this.onSyncFailed(error);
        throw error;
      });
      return Segment.create(folder, number, this.#header('segment', last, 0), this.#options);
    });
    const instances = registry.all();
    const header = this.#header('snapshot', registry.revision, instances.length);
    const isDurable = commits.flush();
    isDurable.catch(() => {});
    await old.close();
    const bytes = await writeSnapshot(folder, number, {
      header,
      instances,
      ready: () => isDurable,
      signal: this.#stopped.signal,
    });
    this.#compactAt = Math.max(segmentBytes, bytes);
    sweepFolder(folder, number);
    host.logger.info({ instances: instances.length, bytes }, 'wrote a snapshot');
  }

  #header(kind: FileHeader['kind'], revision: number, count: number): FileHeader {
    return { kind, promised: promisedBy(this.#options), revision, count, epoch: this.#epoch };
  }

  #syncSegment(): void {
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    this.#inUse.commits.segment.sync((error) => {
      this.#isSyncing = false;
      if (error) this.onSyncFailed(error);
    });
  }

  #retryLater(): void {
    if (this.#stopped.signal.aborted) return;
    this.#timers.set(
      'retry',
      this.#inUse.host.clock.after(RETRY_MS, () => this.#retry()),
    );
  }

  #retry(): void {
    const { segment } = this.#inUse.commits;
    segment.probe((error) => {
      if (this.#stopped.signal.aborted) return;
      if (error) this.#retryLater();
      // What the failed write has left must not come back with a power cut, among the bytes of a later one.
      else segment.sync((failure) => this.#recover(failure));
    });
  }

  #recover(failure: Error | null): void {
    if (this.#stopped.signal.aborted) return;
    if (failure) {
      this.onSyncFailed(failure);
      return;
    }
    this.#refusal = undefined;
    this.#inUse.host.logger.info('the disk takes writes again');
  }

  /** Runs `work` unless other such work is running. If it fails, that is reported, and it is due again later. */
  #inBackground(failure: string, work: () => Promise<void>): void {
    if (this.#background !== undefined || this.#refusal !== undefined) return;
    this.#background = work()
      .catch((error: unknown) => {
        if (!this.#stopped.signal.aborted) this.#inUse.host.logger.warn({ err: error }, failure);
      })
      .finally(() => {
        this.#background = undefined;
      });
  }

  #every(name: string, ms: number, action: () => void): void {
    const again = (): void => {
      action();
      this.#timers.set(name, this.#inUse.host.clock.after(ms, again));
    };
    this.#timers.set(name, this.#inUse.host.clock.after(ms, again));
  }
}

function isFull(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ENOSPC' || error.code === 'EDQUOT';
}

/** What keeps a daemon from starting, said with what to do. */
function asUnusable(folder: string, error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const advice = isFull(cause)
    ? 'Make room on that disk'
    : 'Give --data-dir a folder that this user may write, or start with --memory';
  return new RegistryError('data_unusable', `cannot use ${folder}: ${cause.message}. ${advice}`, { cause });
}
