import { type FileHandle, open, rename } from 'node:fs/promises';
import { type AuditEntry, codeOf, RegistryError, type Timer } from '@reg/protocol';
import type { RegistryClock } from './clock.js';
import type { Logger } from './logger.js';

/** How long entries are gathered before they are written, and how long a disk that failed is left alone, in ms. */
const GATHER_MS = 100;
const RETRY_MS = 1000;
/** So many entries wait for the disk at most: some MB. */
const MAX_WAITING = 10_000;
/** So many entries are written at once. */
const BATCH = 1000;
/** How many full files are kept beside the one that is written: `name.1` is the latest of them. */
const FULL_FILES = 5;

/**
 * An append-only file of JSON, one entry a line, readable by its owner only. It is written in the background, and is
 * not synced: what a crash of the machine may take is the last half minute. What cannot be written stays, up to a
 * bound, until it can.
 */
export class AuditFile {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #clock: RegistryClock;
  readonly #logger: Logger;
  #handle: FileHandle | undefined;
  /** Of the file, as far as it is known to hold whole lines. */
  #bytes = 0;
  #waiting: AuditEntry[] = [];
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  /** Whether the last write failed, which is told once. */
  #isFailing = false;
  #isClosed = false;

  constructor(path: string, maxBytes: number, clock: RegistryClock, logger: Logger) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** @throws {RegistryError} `bad_config` where it cannot be written. */
  async open(): Promise<void> {
    try {
      await this.#open();
    } catch (cause) {
      throw new RegistryError('bad_config', `cannot write the audit file ${this.#path}: ${String(cause)}`, { cause });
    }
  }

  /** Whether no entry more may wait. */
  get isFull(): boolean {
    return this.#waiting.length >= MAX_WAITING;
  }

  /** Adds an entry to those that wait. @returns whether there was room for it. */
  add(entry: AuditEntry): boolean {
    if (this.isFull) return false;
    this.#waiting.push(entry);
    if (this.#timer === undefined && this.#writing === undefined) this.#schedule(GATHER_MS);
    return true;
  }

  /** Writes what waits, or tries to. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#writing;
    this.#writing = this.#write();
    await this.#writing;
  }

  /** Writes what waits, or tries to, and lets go of the file. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.flush();
    await this.#handle?.close();
  }

  #schedule(ms: number): void {
    if (this.#isClosed) return;
    this.#timer = this.#clock.after(ms, () => {
      this.#timer = undefined;
      this.#writing = this.#write();
    });
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting.slice(0, BATCH);
        await this.#append(batch.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
        this.#waiting.splice(0, batch.length);
      }
      if (this.#isFailing) this.#logger.info({ path: this.#path }, 'the audit file is written again');
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#logger.error({ err: error }, 'the audit file cannot be written: entries wait');
      this.#isFailing = true;
    }
    this.#writing = undefined;
    if (this.#waiting.length > 0) this.#schedule(RETRY_MS);
  }

  async #append(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    let handle = this.#handle ?? (await this.#open());
    if (this.#bytes > 0 && this.#bytes + bytes.length > this.#maxBytes) handle = await this.#rotate(handle);
    // Of what could not be written whole, the beginning may be there.
    if (this.#isFailing) await handle.truncate(this.#bytes);
    await handle.appendFile(bytes);
    this.#bytes += bytes.length;
  }

  async #open(): Promise<FileHandle> {
    const handle = await open(this.#path, 'a+', 0o600);
    this.#handle = handle;
    this.#bytes = (await handle.stat()).size;
    if (await isTorn(handle, this.#bytes)) {
      await handle.appendFile('\n');
      this.#bytes += 1;
    }
    return handle;
  }

  async #rotate(handle: FileHandle): Promise<FileHandle> {
    this.#handle = undefined;
    await handle.close();
    for (let n = FULL_FILES - 1; n >= 1; n -= 1) await renameIfThere(`${this.#path}.${n}`, `${this.#path}.${n + 1}`);
    await rename(this.#path, `${this.#path}.1`);
    return this.#open();
  }
}

/** Whether the last line has no end: the process that wrote it was stopped within it. */
async function isTorn(handle: FileHandle, bytes: number): Promise<boolean> {
  if (bytes === 0) return false;
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, bytes - 1);
  return bytesRead === 1 && buffer[0] !== 0x0a;
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
