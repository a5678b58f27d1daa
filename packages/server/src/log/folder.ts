import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RegistryError } from '@reg/protocol';
import { isLockName } from './lock.js';

/**
 * What is in the data folder:
 *
 *     00000007.snapshot   every instance as of the moment when segment 7 was begun
 *     00000007.log, …     segments: the changes since, in order
 *     deadlines           when instances were due, as of some seconds ago
 *     lock.…              the daemon that uses it
 *     damaged-…           what a repair has set aside
 */
const SEGMENT = /^(\d{8})\.log$/;
const SNAPSHOT = /^(\d{8})\.snapshot$/;
export const DEADLINES = 'deadlines';
/** A file that a crash has left half written. */
const DRAFT = /^(\d{8}\.(log|snapshot)|deadlines)\.tmp$/;
const SET_ASIDE = /^damaged-/;
/** What systems put into a folder that is otherwise empty. */
const NOBODYS = new Set(['lost+found', '.DS_Store']);

/** Who reads the folder's values holds credentials. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

export interface FolderFiles {
  /** Number of the newest snapshot. */
  readonly snapshot: number | undefined;
  /** Numbers of the segments, ascending. */
  readonly segments: readonly number[];
}

export function segmentPath(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(8, '0')}.log`);
}

export function snapshotPath(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(8, '0')}.snapshot`);
}

/**
 * Makes the folder where it is not there, and sees that it is one that a daemon may use.
 *
 * @throws {RegistryError} `data_foreign`, and what the system throws where it will not have the folder.
 */
export function prepareFolder(folder: string): void {
  makeFolder(folder);
  const names = readdirSync(folder);
  const strangers = names.filter((name) => !isOurs(name) && !NOBODYS.has(name));
  if (strangers.length > 0 && !names.some(isOurs)) {
    throw new RegistryError(
      'data_foreign',
      `${folder} is not a data folder: it holds ${JSON.stringify(strangers[0])}. Give --data-dir an empty folder or one that does not exist yet`,
    );
  }
  if ((statSync(folder).mode & 0o077) !== 0) chmodSync(folder, FOLDER_MODE);
}

/** One above the other. The recursive `mkdirSync` tries for ever where the system will have no folder, as in /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: FOLDER_MODE });
  } catch (error) {
    if (!existsSync(folder)) throw error;
  }
}

/** Removes what a crash has left half written. Only who holds the lock may: the drafts of another are in use. */
export function sweepDrafts(folder: string): void {
  for (const name of readdirSync(folder)) if (DRAFT.test(name)) rmSync(join(folder, name));
}

export function listFiles(folder: string): FolderFiles {
  const numbers = (pattern: RegExp): number[] =>
    readdirSync(folder)
      .flatMap((name) => pattern.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  return { snapshot: numbers(SNAPSHOT).at(-1), segments: numbers(SEGMENT) };
}

/** The highest number that any file has; 0 where there is none. */
export function lastNumber(folder: string): number {
  const { snapshot = 0, segments } = listFiles(folder);
  return Math.max(snapshot, segments.at(-1) ?? 0);
}

/** Moves the files before `from` into a folder of their own. @returns its path. */
export function setAside(folder: string, from: number, wall: number): string {
  const place = join(folder, `damaged-${new Date(wall).toISOString().replaceAll(':', '-')}`);
  mkdirSync(place, { mode: FOLDER_MODE });
  for (const name of readdirSync(folder)) {
    if (numberOf(name) < from) renameSync(join(folder, name), join(place, name));
  }
  return place;
}

/** Removes what the snapshot `from` has made unnecessary. */
export function sweepFolder(folder: string, from: number): void {
  for (const name of readdirSync(folder)) {
    if (numberOf(name) < from) rmSync(join(folder, name));
  }
}

/**
 * Puts a file in its place whole: a crash leaves what was there before, or all of it. The folder is synced too,
 * because until then a power cut may undo the renaming.
 *
 * @returns how many bytes it holds.
 */
export async function writeWhole(path: string, chunks: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<number> {
  const draft = `${path}.tmp`;
  await rm(draft, { force: true });
  // A new one: a file or a link that somebody has put there would lead what is secret to them.
  const file = await open(draft, 'wx', FILE_MODE);
  try {
    let bytes = 0;
    for await (const chunk of chunks) {
      await file.appendFile(chunk);
      bytes += chunk.length;
    }
    await file.sync();
    await file.close();
    await rename(draft, path);
    await syncFolder(dirname(path));
    return bytes;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(draft, { force: true });
    throw error;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Of a segment or a snapshot; `Infinity` for any other name. */
function numberOf(name: string): number {
  return Number((SEGMENT.exec(name) ?? SNAPSHOT.exec(name))?.[1] ?? Number.POSITIVE_INFINITY);
}

function isOurs(name: string): boolean {
  return (
    numberOf(name) < Number.POSITIVE_INFINITY ||
    name === DEADLINES ||
    SET_ASIDE.test(name) ||
    DRAFT.test(name) ||
    isLockName(name)
  );
}
