import { type AuditEntry, type AuditEvent, UNNAMED } from '@reg/protocol';
import type { AuditFile } from './audit-file.js';
import type { Caller } from './caller.js';
import type { RegistryClock } from './clock.js';

/** So many of the latest entries are kept in memory. */
const KEPT_ENTRIES = 1000;
/** So many of them are told of one instance. */
const TOLD_ENTRIES = 20;

/** What an entry says beside who did it, and when. */
export type AuditDetails = Pick<AuditEntry, 'service' | 'instance' | 'revision' | 'reason'>;

/**
 * Who changed what, and who was not let: the latest of it in memory, and all of it in a file, where there is one. An
 * entry is made when the change is ordered; where the log undoes that, another says so. There is no entry for what
 * expires, which nobody asked for, nor for a renewal. Nobody waits for it: where the disk cannot keep up, entries are
 * lost to the file, and it says how many.
 */
export class Audit {
  readonly #clock: RegistryClock;
  readonly #file: AuditFile | undefined;
  /** The entry of number n is at n modulo its length. */
  readonly #ring: AuditEntry[] = [];
  #last = 0;
  #lost = 0;

  constructor(clock: RegistryClock, file: AuditFile | undefined) {
    this.#clock = clock;
    this.#file = file;
  }

  get kept(): 'memory' | 'file' {
    return this.#file === undefined ? 'memory' : 'file';
  }

  /** @param caller `undefined` for what the daemon does by itself. */
  record(caller: Caller | undefined, event: AuditEvent, { instance, ...details }: AuditDetails): void {
    this.#tellLoss();
    const entry = {
      number: this.#last + 1,
      at: this.#clock.wall(),
      event,
      ...(caller?.identity === undefined ? {} : { caller: caller.identity.name }),
      ...(caller === undefined ? {} : { peer: caller.holder.peer }),
      ...details,
      ...(instance === undefined || instance === UNNAMED ? {} : { instance }),
    };
    this.#keep(entry);
  }

  /** Up to `limit` entries after that of a number; the latest where that is `undefined`. */
  entries(limit: number, after: number | undefined): AuditEntry[] {
    const oldest = Math.max(1, this.#last - KEPT_ENTRIES + 1);
    // A number that was not given yet is of before the last start.
    const next = after === undefined ? this.#last - limit + 1 : after > this.#last ? 1 : after + 1;
    const from = Math.max(oldest, next);
    const entries: AuditEntry[] = [];
    for (let number = from; number <= this.#last && entries.length < limit; number += 1) {
      const entry = this.#ring[number % KEPT_ENTRIES];
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  /**
   * The latest changes of an instance, but for what was undone; the latest last. Not what was denied: who may only see the
   * instance is not told who else asks for it, and who is denied again and again does not hide who took it over.
   */
  of(service: string, instance: string): AuditEntry[] {
    const found: AuditEntry[] = [];
    let kept = Number.POSITIVE_INFINITY;
    for (const entry of this.entries(KEPT_ENTRIES, undefined).reverse()) {
      const { revision } = entry;
      if (revision === undefined) continue;
      if (entry.event === 'undone') kept = Math.min(kept, revision);
      else if (revision <= kept && isAbout(entry, service, instance)) found.push(entry);
      if (found.length === TOLD_ENTRIES) break;
    }
    return found.reverse();
  }

  /** Writes what is still to be written. */
  async close(): Promise<void> {
    await this.#file?.flush();
    this.#tellLoss();
    await this.#file?.close();
  }

  #keep(entry: AuditEntry): void {
    this.#last = entry.number;
    this.#ring[entry.number % KEPT_ENTRIES] = entry;
    if (this.#file === undefined || this.#file.add(entry)) return;
    this.#lost += 1;
  }

  #tellLoss(): void {
    if (this.#lost === 0 || this.#file?.isFull) return;
    const count = this.#lost;
    this.#lost = 0;
    this.#keep({ number: this.#last + 1, at: this.#clock.wall(), event: 'lost', count });
  }
}

function isAbout(entry: AuditEntry, service: string, instance: string): boolean {
  const { instance: name = UNNAMED } = entry;
  return entry.service === service && (name === instance || name === '*');
}
