/**
 * The file in which regctl keeps what it logs in with: one context for each registry, and which of them is meant where
 * nobody says an address. It holds tokens, so nobody else may read it.
 */

import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf, isObject, RegistryError } from '@reg/protocol';
import type { Host } from './host.js';

/** One registry, and how to get in. */
export interface Login {
  /** As it could be typed, several with commas between them, and without a token. */
  readonly address: string;
  readonly token: string | undefined;
  /** Paths of files in PEM: who signs the registry's certificate, and the client's own with its key. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

export interface Credentials {
  /** The name of the context that is meant where nobody says an address. */
  readonly current: string | undefined;
  readonly contexts: ReadonlyMap<string, Login>;
}

const NONE: Credentials = { current: undefined, contexts: new Map() };
/** Whatever somebody else may do with a file. */
const FOREIGN_MODES = 0o077;

/** Where the file is; `undefined` for who has no folder of their own. */
export function credentialsPath(env: Host['env']): string | undefined {
  if (env['REG_CREDENTIALS']) return env['REG_CREDENTIALS'];
  const home = env['HOME'] || env['USERPROFILE'];
  const folder = env['XDG_CONFIG_HOME'] || (home && join(home, '.config'));
  return folder ? join(folder, 'reg', 'credentials.json') : undefined;
}

/**
 * No file is one without contexts.
 *
 * @throws {RegistryError} `access_failed` where others may read the file, or it cannot be read or understood.
 */
export function readCredentials(path: string | undefined): Credentials {
  const text = path === undefined ? undefined : readPrivate(path);
  if (text === undefined) return NONE;
  const content = parse(text);
  const { contexts, current } = isObject(content) ? content : {};
  const entries = Object.entries(isObject(contexts) ? contexts : {}).map(
    ([name, login]) => [name, asLogin(login)] as const,
  );
  const logins = entries.flatMap(([name, login]) => (login ? [[name, login] as const] : []));
  if (
    !isObject(contexts) ||
    logins.length < entries.length ||
    !(current === undefined || typeof current === 'string')
  ) {
    throw new RegistryError('access_failed', `${path} is not of the form that regctl login writes`);
  }
  return { current, contexts: new Map(logins) };
}

/** Replaces the file at once: who reads it meanwhile sees the one before or this one. @throws {RegistryError} `access_failed` */
export function writeCredentials(path: string | undefined, { current, contexts }: Credentials): void {
  if (path === undefined) {
    throw new RegistryError('access_failed', 'there is no folder for credentials: set HOME, or REG_CREDENTIALS');
  }
  const fresh = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    rmSync(fresh, { force: true });
    const content = { current, contexts: Object.fromEntries(contexts) };
    writeFileSync(fresh, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(fresh, path);
  } catch (cause) {
    throw new RegistryError('access_failed', `cannot write ${path}: ${String(cause)}`, { cause });
  }
}

/** The context that leads to an address. */
export function findLogin({ contexts }: Credentials, address: string): Login | undefined {
  return [...contexts.values()].find((login) => login.address === address);
}

function readPrivate(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    // Of the open file, not of the name: that may be another one by now.
    const { mode } = fstatSync(file);
    // Windows has other means, and a mode that says nothing.
    if (process.platform !== 'win32' && (mode & FOREIGN_MODES) !== 0) {
      throw new RegistryError('access_failed', `others can use ${path}, which holds tokens. Type: chmod 600 ${path}`);
    }
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof RegistryError) throw cause;
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw new RegistryError('access_failed', `cannot read ${path}: ${String(cause)}`, { cause });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** What is wrong with the text is not told: an error of the parser would quote it. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asLogin(value: unknown): Login | undefined {
  const { address, token, ca, cert, key } = isObject(value) ? value : {};
  if (typeof address !== 'string') return undefined;
  if (!isOptional(token) || !isOptional(ca) || !isOptional(cert) || !isOptional(key)) return undefined;
  return { address, token, ca, cert, key };
}

function isOptional(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}
