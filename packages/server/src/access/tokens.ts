/** Who may do what, and by what secret or certificate they are known. */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Rights, type Rule } from './rules.js';

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

export interface CertificateEntry extends CommonEntry {
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

const SECRET_BYTES = 32;
const HASH_BYTES = 32;
const ID_BYTES = 6;
const TOKEN = /^reg_([a-z0-9]{1,32})_([A-Za-z0-9_-]{16,128})$/;
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

  /** Whose certificate it is, by the name in it. */
  findCertificate(name: string): Known | undefined {
    return this.#byCertificate.get(name);
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
