import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskLog } from '../../src/log/disk.js';
import type { Log } from '../../src/log/log.js';
import type { DiskIO } from '../../src/log/segment.js';
import { Keep, KeptLog } from '../../src/testing/kept-log.js';
import { errorOf, readFolder, writeFolder } from '../log/harness.js';

/** What outlives a daemon, and the log that each daemon has of it. */
export interface Storage {
  open(): Log;
  /** The daemon that has it now is gone, though its process is not. */
  crash(): void;
  /** Nobody needs it any more. */
  remove(): void;
  /** From now on it takes no more, or takes more again; absent where it always does. */
  readonly setFull?: (isFull: boolean) => void;
}

/** In memory: what is proposed is durable at once. @param grace in ms. */
export function keptStorage(grace: number): Storage {
  const keep = new Keep();
  let log: KeptLog | undefined;
  return {
    open() {
      log = new KeptLog(keep, grace);
      return log;
    },
    crash: () => log?.abandon(),
    remove: () => {},
  };
}

/** On disk: what is proposed is durable some turns later. @param grace in ms. */
export function diskStorage(grace: number): Storage {
  const parent = fs.mkdtempSync(join(tmpdir(), 'reg-'));
  let folder = join(parent, '0');
  let crashes = 0;
  let isFull = false;
  const io = quickDisk(() => isFull);
  return {
    open: () => new DiskLog({ folder, durability: 'always', grace, repair: false, io }),
    crash() {
      crashes += 1;
      folder = writeFolder(join(parent, String(crashes)), readFolder(folder));
    },
    remove: () => fs.rmSync(parent, { recursive: true, force: true }),
    setFull(given) {
      isFull = given;
    },
  };
}

/** A disk whose writes take a turn each: thousands of commands have no time for a real one. */
function quickDisk(isFull: () => boolean): DiskIO {
  return {
    writeSync(...given) {
      if (isFull()) throw errorOf('ENOSPC');
      return fs.writeSync(...given);
    },
    write(fd, bytes, offset, length, position, done) {
      const written = isFull() ? 0 : fs.writeSync(fd, bytes, offset, length, position);
      setImmediate(() => (written === 0 ? done(errorOf('ENOSPC'), 0) : done(null, written)));
    },
    fdatasync: (_, done) => setImmediate(() => done(null)),
    ftruncateSync: fs.ftruncateSync,
  };
}
