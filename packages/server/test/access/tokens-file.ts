import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerOptions } from '@reg/server';
import { onTestFinished } from 'vitest';
import type { Rule } from '../../src/access/rules.js';
import { type Entry, makeToken, type TokenEntry } from '../../src/access/tokens.js';
import { type Daemon, type Peer, startDaemon } from '../harness.js';
import { settle } from '../settle.js';

/** A file of tokens that the test writes, and that is gone with it. */
export class TokensFile {
  readonly path: string;
  readonly #entries = new Map<string, Entry>();

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'reg-tokens-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    this.path = join(folder, 'tokens.json');
    this.#write();
  }

  /** Adds an entry. @returns its token. */
  add(name: string, rules: readonly Rule[], more: Partial<TokenEntry> = {}): string {
    const { token, entry } = makeToken(name, rules, 0);
    this.#entries.set(name, { ...entry, ...more });
    this.#write();
    return token;
  }

  addCertificate(name: string, certificate: string, rules: readonly Rule[]): void {
    this.#entries.set(name, { id: name, name, certificate, rules });
    this.#write();
  }

  /** Changes an entry. */
  change(name: string, more: Partial<TokenEntry>): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new Error(`there is no entry ${name}`);
    this.#entries.set(name, { ...entry, ...more });
    this.#write();
  }

  remove(name: string): void {
    this.#entries.delete(name);
    this.#write();
  }

  /** Puts something else in its place. */
  overwrite(text: string): void {
    writeFileSync(this.path, text, { mode: 0o600 });
  }

  #write(): void {
    this.overwrite(JSON.stringify({ version: 1, entries: [...this.#entries.values()] }));
  }
}

/** A daemon that serves only those in the file. */
export async function startGuarded(file: TokensFile, options: ServerOptions = {}): Promise<Daemon> {
  const daemon = await startDaemon({ tokens: file.path, ...options });
  onTestFinished(() => daemon[Symbol.asyncDispose]());
  return daemon;
}

/** A connection that has authenticated. */
export async function enter(daemon: Daemon, token: string): Promise<Peer> {
  const peer = daemon.connect();
  const reply = await peer.ask({ type: 'auth', token });
  if (!reply.ok) throw new Error(`refused: ${JSON.stringify(reply)}`);
  return peer;
}

/** Lets so much time pass, and everything come to rest. */
export async function pass(daemon: Daemon, ms: number): Promise<void> {
  daemon.clock.advance(ms);
  await settle();
}

/** Rules for one action. */
export function rule(actions: Rule['actions'], ...names: string[]): Rule {
  return { actions, names };
}
