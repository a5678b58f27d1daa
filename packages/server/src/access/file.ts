/** The file of tokens, `{"version":1,"entries":[…]}`. Whoever can write it may do everything. */

import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { codeOf, isObject, RegistryError } from '@reg/protocol';
import { parseRules, refuseStrangers } from './rules.js';
import type { CertificateEntry, Entry, TokenEntry } from './tokens.js';

const VERSION = 1;
/** Group and others. */
const WRITABLE_BY_OTHERS = 0o022;
const TOKEN_FIELDS: readonly (keyof TokenEntry)[] = ['id', 'name', 'hash', 'rules', 'created', 'expires', 'revoked'];
const CERTIFICATE_FIELDS: readonly (keyof CertificateEntry)[] = ['id', 'name', 'certificate', 'rules'];

/**
 * Reads the file.
 *
 * @throws {RegistryError} `access_failed` where it is not there, where others may write it, or where it says what
 * cannot be understood. It says nothing of the hashes.
 */
export function readEntries(path: string): readonly Entry[] {
  return parseEntries(readText(path), path);
}

/** The text of such a file. */
export function formatEntries(entries: readonly Entry[]): string {
  return `${JSON.stringify({ version: VERSION, entries }, undefined, 2)}\n`;
}

/**
 * Changes the file: a new one takes the place of the old, with its owner and mode, so that a daemon that could read the
 * one can read the other, whoever changes it. While it is being written nobody else may.
 *
 * @param change is given the entries as they are; none where there is no file.
 * @throws {RegistryError} `access_failed`
 */
export function changeEntries(path: string, change: (entries: readonly Entry[]) => readonly Entry[]): void {
  const draft = `${path}.new`;
  const file = openDraft(draft);
  try {
    replace(path, draft, file, change(readOrNone(path)));
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

function replace(path: string, draft: string, file: number, entries: readonly Entry[]): void {
  try {
    writeSync(file, formatEntries(entries));
    const before = statSync(path, { throwIfNoEntry: false });
    if (before !== undefined) resemble(file, before);
    fsyncSync(file);
    renameSync(draft, path);
    // Else a power cut may bring back what was revoked.
    syncFolder(dirname(path));
  } catch (error) {
    throw failed(`cannot write ${path}`, error);
  }
}

/** The owner is changed only where it has to be: not everybody may. */
function resemble(file: number, { uid, gid, mode }: Stats): void {
  const own = fstatSync(file);
  if (own.uid !== uid || own.gid !== gid) fchownSync(file, uid, gid);
  fchmodSync(file, mode & 0o777);
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function openDraft(draft: string): number {
  try {
    mkdirSync(dirname(draft), { recursive: true, mode: 0o700 });
    return openSync(draft, 'wx', 0o600);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw failed(`cannot write ${draft}`, error);
    throw new RegistryError(
      'access_failed',
      `${draft} is there already: another regctl is writing, or was stopped while it did; then remove that file`,
    );
  }
}

function readOrNone(path: string): readonly Entry[] {
  try {
    return readEntries(path);
  } catch (error) {
    if (error instanceof RegistryError && codeOf(error.cause) === 'ENOENT') return [];
    throw error;
  }
}

function readText(path: string): string {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    throw failed(`cannot read ${path}`, error);
  }
  try {
    // Of the open file, not of the name: that may be another one by now.
    const danger = dangerOf(fstatSync(file), process.geteuid?.());
    if (danger === undefined) return readFileSync(file, 'utf8');
    throw new RegistryError('access_failed', `${danger} ${path}, and so give themselves any right: chmod 600 ${path}`);
  } catch (error) {
    throw error instanceof RegistryError ? error : failed(`cannot read ${path}`, error);
  } finally {
    closeSync(file);
  }
}

/**
 * Who else may write the file; `undefined` where nobody may, but root. That others can read it gives nobody a secret.
 *
 * @param reader the user who reads it; `undefined` where the system has no such numbers. Root works on files of others.
 */
export function dangerOf({ mode, uid }: Pick<Stats, 'mode' | 'uid'>, reader: number | undefined): string | undefined {
  if ((mode & WRITABLE_BY_OTHERS) !== 0) return 'others than its owner may write';
  const isForeign = reader !== undefined && reader !== 0 && uid !== 0 && uid !== reader;
  return isForeign ? `user ${uid}, who is not user ${reader}, may write` : undefined;
}

function parseEntries(text: string, path: string): readonly Entry[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    // What the parser says would show some of the text.
    throw new RegistryError('access_failed', `${path} is not JSON`);
  }
  const { version, entries } = isObject(content) ? content : {};
  if (version !== VERSION || !Array.isArray(entries)) {
    throw new RegistryError('access_failed', `${path} must be an object with "version": ${VERSION} and "entries"`);
  }
  const taken = new Set<string>();
  return entries.map((given: unknown, index) => {
    try {
      const entry = parseEntry(given);
      claim(taken, `the id ${entry.id}`);
      if ('certificate' in entry) claim(taken, `the certificate ${entry.certificate}`);
      return entry;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new RegistryError('access_failed', `entry ${index + 1} of ${path}: ${reason}`, { cause: error });
    }
  });
}

/** Of two entries for the same one would not be looked at. */
function claim(taken: Set<string>, what: string): void {
  if (taken.has(what)) throw new RegistryError('access_failed', `another entry has ${what}`);
  taken.add(what);
}

function parseEntry(given: unknown): Entry {
  if (!isObject(given)) throw new RegistryError('access_failed', 'it must be an object');
  const isCertificate = given['certificate'] !== undefined;
  if (isCertificate) refuseStrangers(given, CERTIFICATE_FIELDS, 'a certificate');
  else refuseStrangers(given, TOKEN_FIELDS, 'a token');
  const common = { id: parseId(given['id']), name: parseText(given, 'name') };
  const rules = parseRules(given['rules']);
  if (isCertificate) return { ...common, certificate: parseText(given, 'certificate'), rules };
  const hash = parseText(given, 'hash');
  if (!/^[0-9a-f]{64}$/.test(hash)) throw new RegistryError('access_failed', '"hash" must be 64 digits of hex');
  const created = parseTime(given, 'created') ?? 0;
  const expires = parseTime(given, 'expires');
  const revoked = parseTime(given, 'revoked');
  return {
    ...common,
    hash,
    rules,
    created,
    ...(expires === undefined ? {} : { expires }),
    ...(revoked === undefined ? {} : { revoked }),
  };
}

function parseId(given: unknown): string {
  if (typeof given === 'string' && /^[a-z0-9]{1,32}$/.test(given)) return given;
  throw new RegistryError('access_failed', '"id" must be 1 to 32 small letters and digits');
}

function parseText(fields: Readonly<Record<string, unknown>>, name: string): string {
  const text = fields[name];
  if (typeof text === 'string' && text !== '' && text.length <= 255) return text;
  throw new RegistryError('access_failed', `"${name}" must be a string of 1 to 255 characters`);
}

function parseTime(fields: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const time = fields[name];
  if (time === undefined) return undefined;
  if (typeof time === 'number' && Number.isSafeInteger(time) && time >= 0) return time;
  throw new RegistryError('access_failed', `"${name}" must be ms since the Unix epoch`);
}

function failed(what: string, cause: unknown): RegistryError {
  return new RegistryError('access_failed', `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
}
