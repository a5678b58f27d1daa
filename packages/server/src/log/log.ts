import { randomBytes } from 'node:crypto';
import { type Durability, RegistryError } from '@reg/protocol';
import type { Logger } from 'pino';
import type { Change } from '../change.js';
import type { RegistryClock } from '../clock.js';
import type { Registry } from '../registry/registry.js';

/** A value, or a promise of it where the order is decided elsewhere. The usual path holds no promise. */
export type Eventually<T> = T | Promise<T>;

/** Goes on with `next` at once where the value is there, later where it is not. */
export function andThen<T, U>(value: Eventually<T>, next: (value: T) => Eventually<U>): Eventually<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/**
 * The ordered log of changes: it decides the order, and when a change is durable.
 *
 * The memory and the disk log order what is proposed at once, with revisions of their own, and apply it before
 * `propose` returns. A log that several daemons share orders elsewhere: changes reach `LogHost.apply` from its
 * stream, whoever proposed them, with the revisions they have there, and `propose` promises.
 */
export interface Log {
  readonly kind: string;
  readonly durability: Durability | 'none';
  /** Identity of one history of revisions; within it no revision is used twice. Known once open. */
  readonly epoch: string;
  /** Every change up to this revision survives whatever `durability` promises that it survives. */
  readonly durable: number;
  /** Whether this start has made it, so that nobody was registered before. A log that keeps nothing cannot know. */
  readonly isNew?: boolean;
  /** Why nothing can be proposed now; absent in a log that never refuses. */
  readonly refusal?: RegistryError | undefined;
  /** Reads what is kept and applies it to `host`. Until it resolves nothing may be proposed. */
  open(host: LogHost): Promise<void>;
  /**
   * Gives the change its place in the order and has it applied.
   *
   * @returns its revision; 0 where it took no effect, because another change was ordered before it.
   * @throws {RegistryError} `storage_full` or `storage_failed`: it was not ordered and nothing has changed.
   */
  propose(change: Change): Eventually<number>;
  /** Resolves when everything proposed so far is durable; rejects where it cannot become so. */
  flush(): Promise<void>;
  /** Makes everything durable, deadlines too, and lets go of what it holds. */
  close(): Promise<void>;
}

/** What a log is given by the daemon around it. */
export interface LogHost {
  /** What the log is a log of: a log that keeps anything fills it on opening, and reads it for snapshots. */
  readonly registry: Registry;
  readonly clock: RegistryClock;
  readonly logger: Logger;
  /** Applies one ordered change. @returns whether it took effect. */
  apply(change: Change): boolean;
  /** `durable` has grown. */
  onDurable(): void;
  /** What was proposed and not durable is undone. Who waits for it has failed with `error`. */
  onRollback(error: Error): void;
  /** What is kept cannot be trusted any more: the daemon must stop. */
  onFatal(error: Error): void;
}

/** How long nothing is proposed of the daemon's own accord after the log has refused it, in ms. */
export const REFUSED_MS = 1000;

/** Proposes a change that nobody waits for. @returns as `Log.propose`; `undefined` where the log does not take it now. */
export function tryToPropose(log: Log, change: Change): Eventually<number> | undefined {
  try {
    return log.propose(change);
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

/** A fresh identity for a history of revisions. */
export function createEpoch(): string {
  return randomBytes(8).toString('hex');
}

/** Gives a change its place in the order. A first registration's generation is its own revision. */
export function stamp(change: Change, revision: number): void {
  change.revision = revision;
  if (change.kind === 'register' && change.generation === 0) change.generation = revision;
}
