/**
 * The last-known-good file of one discovery: what was known when the registry was last heard of, so that a process
 * that starts while the registry is down knows where to go. Values often hold passwords: nobody else may read the
 * file, and one that somebody else could have written is not used.
 */

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { type Clock, codeOf, type Endpoint, formatEndpoint, type InstanceRecord, type Timer } from '@reg/protocol';
import { isRecord } from './instance.js';
import type { ViewSelector } from './view.js';

/** What the file holds. */
export interface Saved {
  /** When it was known to be true, in ms since the Unix epoch. */
  readonly at: number;
  readonly epoch: string;
  readonly revision: number;
  readonly services: readonly InstanceRecord[];
}

/** Of the form of the file; a file of another version is not read. */
const VERSION = 1;
/** ms from a change until it is written, with all that comes meanwhile. */
const SOON = 1000;
/** ms after which the file is written again without a change, since it says how old it is. */
const REFRESH = 60_000;

/** Where the files are unless the caller says so: the user's folder for what may be lost, if the user has one. */
export function defaultFolder(): string | undefined {
  const { XDG_CACHE_HOME: base = '' } = process.env;
  if (isAbsolute(base)) return join(base, 'reg-client');
  const home = homeFolder();
  return home && join(home, '.cache', 'reg-client');
}

/** In a container the user may be but a number, which no list of users knows; Node throws then. */
function homeFolder(): string | undefined {
  try {
    const home = homedir();
    return isAbsolute(home) ? home : undefined;
  } catch {
    return undefined;
  }
}

/** One file per registry, service and selection: they must not overwrite each other. */
export function fileName(endpoints: readonly Endpoint[], key: string, { tags = [], meta = {} }: ViewSelector): string {
  const identity = [endpoints.map(formatEndpoint).sort(), key, [...tags].sort(), Object.entries(meta).sort()];
  const hash = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 16);
  return `${key.replace(/[^\w.-]/g, '_').slice(0, 64)}-${hash}.json`;
}

export class CacheFile {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #make: () => Saved | undefined;
  readonly #onError: (error: Error) => void;
  #timer: Timer | undefined;
  /** When the timer fires, by the monotonic clock. */
  #due = 0;
  #writing: Promise<void> = Promise.resolve();
  #failed = false;

  /**
   * @param make what there is to save; `undefined` where the file is to stay as it is.
   * @param onError is told of the first failure, and of the next only when something was written in between.
   */
  constructor(path: string, clock: Clock, make: () => Saved | undefined, onError: (error: Error) => void) {
    this.#path = path;
    this.#clock = clock;
    this.#make = make;
    this.#onError = onError;
  }

  /** `undefined` where there is none, or none that can be used. */
  async read(): Promise<Saved | undefined> {
    try {
      return parse(await readOwn(this.#path));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') this.#fail(error);
      return undefined;
    }
  }

  /** Something has changed: it is written within a second. */
  changed(): void {
    this.#schedule(SOON);
  }

  /** Writes what there is to save, for the last time; resolves when that is done, or has failed. */
  close(): Promise<void> {
    this.#timer?.cancel();
    this.#write();
    return this.#writing;
  }

  #schedule(delay: number): void {
    const due = this.#clock.monotonic() + delay;
    if (this.#timer && this.#due <= due) return;
    this.#timer?.cancel();
    this.#due = due;
    this.#timer = this.#clock.after(delay, () => {
      this.#timer = undefined;
      this.#write();
      this.#schedule(REFRESH);
    });
  }

  #write(): void {
    const saved = this.#make();
    if (!saved) return;
    const text = `${JSON.stringify({ version: VERSION, ...saved })}\n`;
    this.#writing = this.#writing
      .then(() => replaceFile(this.#path, text))
      .then(
        () => {
          this.#failed = false;
        },
        (error) => this.#fail(error),
      );
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#onError(error instanceof Error ? error : new Error(String(error)));
  }
}

/** The old text or the new, whatever happens meanwhile, and however many processes write. */
async function replaceFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await writeFile(draft, text, { flag: 'wx', mode: 0o600 });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function readOwn(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { uid, mode } = await file.stat();
    const own = process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0);
    if (!own) throw new Error(`${path} is not used, because others could have written it`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

function parse(text: string): Saved {
  const saved: unknown = JSON.parse(text);
  if (isSaved(saved)) return saved;
  throw new Error('the file with what was last known is not of the form that this version writes');
}

function isSaved(saved: unknown): saved is Saved {
  return (
    typeof saved === 'object' &&
    saved !== null &&
    Reflect.get(saved, 'version') === VERSION &&
    typeof Reflect.get(saved, 'at') === 'number' &&
    typeof Reflect.get(saved, 'epoch') === 'string' &&
    typeof Reflect.get(saved, 'revision') === 'number' &&
    isRecords(Reflect.get(saved, 'services'))
  );
}

function isRecords(services: unknown): boolean {
  return Array.isArray(services) && services.every(isRecord);
}
