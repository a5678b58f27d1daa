/**
 * Watches what the log does to its files, and tells after each step what a crash at that moment would leave:
 * of the process (all that was done) and of the machine (only what was synced, under names that were synced).
 * It takes the place of `node:fs/promises` and `node:fs` in the sources:
 *
 *     vi.mock('node:fs/promises', async (load) => watchPromises(await load()));
 *     vi.mock('node:fs', async (load) => watchSync(await load()));
 */

import type * as Sync from 'node:fs';
import type * as Promises from 'node:fs/promises';
import type { DiskIO } from '../../src/log/segment.js';
import type { Files } from './harness.js';

const fs = process.getBuiltinModule('node:fs');
const { basename } = process.getBuiltinModule('node:path');

/** What is behind a name: a file, as far as it is on the disk. */
interface Inode {
  path: string;
  synced: Buffer;
}

class Watch {
  readonly #folder: string;
  readonly #onStep: (step: string, watch: Watch) => void;
  #names = new Map<string, Inode>();
  #syncedNames = new Map<string, Inode>();
  readonly #open = new Map<number, Inode>();

  constructor(folder: string, onStep: (step: string, watch: Watch) => void) {
    this.#folder = folder;
    this.#onStep = onStep;
  }

  /** What the machine has if it loses its power now. */
  afterPowerCut(): Files {
    return new Map([...this.#syncedNames].map(([path, { synced }]) => [basename(path), synced]));
  }

  opened(path: string, flags: unknown, fd: number): void {
    if (!path.startsWith(this.#folder)) return;
    let inode = this.#names.get(path);
    if (flags === 'w' || inode === undefined) inode = { path, synced: Buffer.alloc(0) };
    if (path !== this.#folder) this.#names.set(path, inode);
    this.#open.set(fd, inode);
    this.#step(`open ${path}`);
  }

  /** @returns what has to be called when the sync that is now begun has succeeded. */
  syncing(fd: number): () => void {
    const inode = this.#open.get(fd);
    if (inode === undefined) return () => {};
    const names = new Map(this.#names);
    const bytes = inode.path === this.#folder ? inode.synced : fs.readFileSync(inode.path);
    return () => {
      if (inode.path === this.#folder) this.#syncedNames = names;
      else inode.synced = bytes;
      this.#step(`sync ${inode.path}`);
    };
  }

  renamed(from: string, to: string): void {
    const inode = this.#names.get(from);
    if (inode === undefined) return;
    this.#names.delete(from);
    this.#names.set(to, inode);
    inode.path = to;
    this.#step(`rename ${to}`);
  }

  removed(path: string): void {
    if (this.#names.delete(path)) this.#step(`remove ${path}`);
  }

  written(): void {
    this.#step('write');
  }

  #step(step: string): void {
    this.#onStep(step.replace(`${this.#folder}/`, ''), this);
  }
}

let watch: Watch | undefined;

/** Watches `folder`, which must not be there yet, until the returned function is called. */
export function watchFolder(folder: string, onStep: (step: string, watch: Watch) => void): () => void {
  watch = new Watch(folder, onStep);
  return () => {
    watch = undefined;
  };
}

export function watchPromises(real: typeof Promises): typeof Promises {
  const open: typeof real.open = async (path, flags, mode) => {
    const handle = await real.open(path, flags, mode);
    const { fd } = handle;
    watch?.opened(String(path), flags, fd);
    const [sync, appendFile] = [handle.sync.bind(handle), handle.appendFile.bind(handle)];
    handle.sync = async () => {
      const synced = watch?.syncing(fd);
      await sync();
      synced?.();
    };
    handle.appendFile = async (...given) => {
      await appendFile(...given);
      watch?.written();
    };
    return handle;
  };
  const rename: typeof real.rename = async (from, to) => {
    await real.rename(from, to);
    watch?.renamed(String(from), String(to));
  };
  return { ...real, open, rename };
}

export function watchSync(real: typeof Sync): typeof Sync {
  const rmSync: typeof real.rmSync = (path, options) => {
    real.rmSync(path, options);
    watch?.removed(String(path));
  };
  return { ...real, rmSync };
}

export const watchedDisk: DiskIO = {
  writeSync(...given) {
    const written = fs.writeSync(...given);
    watch?.written();
    return written;
  },
  write(fd, bytes, offset, length, position, done) {
    fs.write(fd, bytes, offset, length, position, (error, written) => {
      watch?.written();
      done(error, written);
    });
  },
  fdatasync(fd, done) {
    const synced = watch?.syncing(fd);
    fs.fdatasync(fd, (error) => {
      if (error === null) synced?.();
      done(error);
    });
  },
  ftruncateSync: fs.ftruncateSync,
};
