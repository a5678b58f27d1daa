/** The file of tokens: who may do what, and by what secret or certificate they are known. */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { codeOf, isObject, RegistryError } from '@reg/protocol';
import { parseRules, Rights, type Rule } from './rules.js';

interface CommonEntry {
  /** What the entry is known by; in a token it stands before the secret. */
  readonly id: string;
  /** What the caller is called, in replies and logs. */
  readonly name: string;
  readonly rules: readonly Rule[];
}

export interface TokenEntry extends CommonEntry {
  /** SHA-256 of the secret, in hex. The secret is 256 random bits, so nothing slower is needed. */
  readonly hash: string;
  /** ms since the Unix epoch. */
  readonly created: number;
  readonly expires?: number;
  readonly revoked?: number;
}

interface CertificateEntry extends CommonEntry {
  /** The common name of the client's certificate, or where it has none its first DNS name. */
  readonly certificate: string;
}

export type Entry = TokenEntry | CertificateEntry;

/** Who somebody has proved to be. The same object as long as their entry says the same. */
export interface Identity {
  readonly id: string;
  readonly name: string;
  readonly rights: Rights;
  /** ms since the Unix epoch; `undefined` for never. */
  readonly expires: number | undefined;
  /** What it was proved by: the hash of the secret, or the name in the certificate. */
  readonly proof: string;
}

const VERSION = 1;
const SECRET_BYTES = 32;
const HASH_BYTES = 32;
const ID_BYTES = 6;
const TOKEN = /^reg_([a-z0-9]{1,32})_([A-Za-z0-9_-]{16,128})$/;
/** Group and others may not write: whoever can add a line is an admin. That they can read it gives nobody a secret. */
const WRITABLE_BY_OTHERS = 0o022;
/** What is compared with where there is nothing to compare with. No secret has it. */
const NO_HASH = Buffer.alloc(HASH_BYTES);

/** A new token, and the entry that knows it. Only the caller has the token: it is kept nowhere. */
export function makeToken(
  name: string,
  rules: readonly Rule[],
  created: number,
  expires?: number,
): { readonly token: string; readonly entry: TokenEntry } {
  const id = randomBytes(ID_BYTES).toString('hex');
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const hash = hashOf(secret).toString('hex');
  return {
    token: `reg_${id}_${secret}`,
    entry: { id, name, hash, rules, created, ...(expires === undefined ? {} : { expires }) },
  };
}

/** The entries of a file, in the form in which they are asked. */
export class Entries {
  readonly #known = new Map<string, Known>();
  readonly #byCertificate = new Map<string, Known>();

  /** @param before those that it replaces: who is in both, unchanged, stays the same identity. */
  constructor(entries: readonly Entry[], before?: Entries) {
    for (const entry of entries) {
      const text = JSON.stringify(entry);
      const old = before?.get(entry.id);
      const known = old?.text === text ? old : makeKnown(entry, text);
      this.#known.set(entry.id, known);
      if ('certificate' in entry) this.#byCertificate.set(entry.certificate, known);
    }
  }

  /**
   * Whose token it is. How long it takes says nothing of any secret: the hash of what was given is compared, in the
   * same time wherever it differs, and with a hash that nothing has where there is none.
   *
   * @returns `undefined` where it is nobody's.
   */
  find(token: string): Known | undefined {
    const [, id = '', secret = ''] = TOKEN.exec(token) ?? [];
    const known = this.#known.get(id);
    const isRight = timingSafeEqual(hashOf(secret), known?.hash ?? NO_HASH);
    return isRight ? known : undefined;
  }

  /** Whose certificate it is, by any of the names in it. */
  findCertificate(names: readonly string[]): Known | undefined {
    for (const name of names) {
      const known = this.#byCertificate.get(name);
      if (known !== undefined) return known;
    }
    return undefined;
  }

  get(id: string): Known | undefined {
    return this.#known.get(id);
  }
}

export interface Known {
  readonly identity: Identity;
  /** ms since the Unix epoch; `undefined` where it was not. */
  readonly revoked: number | undefined;
  readonly hash: Buffer | undefined;
  /** The whole entry. */
  readonly text: string;
}

/** Whether who it stands for may still act. @param wall ms since the Unix epoch. */
export function isInForce({ identity, revoked }: Known, wall: number): boolean {
  return revoked === undefined && (identity.expires ?? Number.POSITIVE_INFINITY) > wall;
}

function makeKnown(entry: Entry, text: string): Known {
  const token = 'hash' in entry ? entry : undefined;
  return {
    identity: {
      id: entry.id,
      name: entry.name,
      rights: new Rights(entry.rules),
      expires: token?.expires,
      proof: 'hash' in entry ? entry.hash : entry.certificate,
    },
    revoked: token?.revoked,
    hash: token === undefined ? undefined : Buffer.from(token.hash, 'hex'),
    text,
  };
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/**
 * Reads the file of tokens.
 *
 * @throws {RegistryError} `access_failed` where it is not there, where others may write it, or where it says what
 * cannot be understood. It says nothing of the hashes.
 */
export function readEntries(path: string): readonly Entry[] {
  return parseEntries(readText(path), path);
}

/** The text of a file of tokens. */
export function formatEntries(entries: readonly Entry[]): string {
  return `${JSON.stringify({ version: VERSION, entries }, undefined, 2)}\n`;
}

/**
 * Changes the file of tokens: a new file takes the place of the old. While it is being written nobody else may.
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
    fsyncSync(file);
    renameSync(draft, path);
  } catch (error) {
    throw failed(`cannot write ${path}`, error);
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
    if ((fstatSync(file).mode & WRITABLE_BY_OTHERS) !== 0) {
      throw new RegistryError(
        'access_failed',
        `others than its owner may write ${path}, and so give themselves any right: chmod 600 ${path}`,
      );
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw error instanceof RegistryError ? error : failed(`cannot read ${path}`, error);
  } finally {
    closeSync(file);
  }
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
  const ids = new Set<string>();
  return entries.map((given: unknown, index) => {
    try {
      const entry = parseEntry(given);
      if (ids.has(entry.id)) throw new RegistryError('access_failed', `another entry has the id ${entry.id}`);
      ids.add(entry.id);
      return entry;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new RegistryError('access_failed', `entry ${index + 1} of ${path}: ${reason}`, { cause: error });
    }
  });
}

function parseEntry(given: unknown): Entry {
  if (!isObject(given)) throw new RegistryError('access_failed', 'it must be an object');
  const common = { id: parseId(given['id']), name: parseText(given, 'name') };
  const rules = parseRules(given['rules']);
  if (given['certificate'] !== undefined) {
    // What is not looked at must not seem to be in force.
    const stray = ['hash', 'expires', 'revoked'].find((field) => given[field] !== undefined);
    if (stray === undefined) return { ...common, certificate: parseText(given, 'certificate'), rules };
    throw new RegistryError('access_failed', `"${stray}" is not for a certificate: remove the entry to end it`);
  }
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
