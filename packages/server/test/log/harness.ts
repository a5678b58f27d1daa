/** What the tests of the log share: hosts, folders that go away, changes to propose, and a disk that fails. */

import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RegistryError, UNOWNED } from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { pino } from 'pino';
import { afterEach } from 'vitest';
import type { Change, RegisterChange } from '../../src/change.js';
import { RegistryClock } from '../../src/clock.js';
import { DiskLog } from '../../src/log/disk.js';
import type { LogHost } from '../../src/log/log.js';
import type { DiskLogOptions } from '../../src/log/opening.js';
import type { DiskIO } from '../../src/log/segment.js';
import { endOf } from '../../src/registry/instance.js';
import { Registry } from '../../src/registry/registry.js';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (let undo = cleanups.pop(); undo !== undefined; undo = cleanups.pop()) await undo();
});

/** Has `undo` called when the test is over, the last one first. */
export function afterTest(undo: () => unknown): void {
  cleanups.push(undo);
}

/** The path of a data folder that is not there yet, in a temporary folder that goes away with the test. */
export function newFolder(): string {
  const parent = fs.mkdtempSync(join(tmpdir(), 'reg-'));
  afterTest(() => fs.rmSync(parent, { recursive: true, force: true }));
  return join(parent, 'data');
}

/** Files by name, without the lock's. */
export type Files = ReadonlyMap<string, Buffer>;

export function readFolder(folder: string): Files {
  const names = fs.readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  try {
    return new Map(names.map(({ name }) => [name, fs.readFileSync(join(folder, name))]));
  } catch (error) {
    // Renamed in the meantime by a log that is open.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return readFolder(folder);
    throw error;
  }
}

export function writeFolder(folder: string, files: Files): string {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [name, bytes] of files) fs.writeFileSync(join(folder, name), bytes);
  return folder;
}

/** What a process that is killed at this moment leaves behind, in a folder of its own. */
export function copyFolder(folder: string): string {
  return writeFolder(newFolder(), readFolder(folder));
}

/** The daemon around a log, as far as a log sees it. Writes down what it is told. */
export class TestHost implements LogHost {
  readonly registry: Registry;
  readonly manual: ManualClock;
  readonly clock: RegistryClock;
  readonly logger = pino({ level: 'info', base: null }, { write: (line: string) => void this.logged.push(line) });
  readonly logged: string[] = [];
  readonly applied: Change[] = [];
  readonly rollbacks: Error[] = [];
  readonly fatals: Error[] = [];
  /** Told so often that `durable` has grown. */
  growths = 0;

  constructor(manual = new ManualClock()) {
    this.manual = manual;
    this.clock = new RegistryClock(manual);
    this.registry = new Registry(1000);
  }

  apply(change: Change): boolean {
    this.applied.push(change);
    return this.registry.apply(change);
  }

  onDurable(): void {
    this.growths += 1;
  }

  onRollback(error: Error): void {
    this.rollbacks.push(error);
  }

  onFatal(error: Error): void {
    this.fatals.push(error);
  }

  /** A change that registers; it updates where the instance is there. */
  registration(
    key: string,
    {
      instance = '',
      ttl = 30_000,
      body = `"values":"${key}"`,
      status = 'passing',
      linger = Number.POSITIVE_INFINITY,
      owner = UNOWNED,
    }: Partial<RegisterChange> = {},
  ): RegisterChange {
    const current = this.registry.find(key, instance);
    const at = this.clock.wall();
    return {
      kind: 'register',
      revision: 0,
      key,
      instance,
      generation: current?.generation ?? 0,
      at,
      registered: current?.registered ?? at,
      ttl,
      body,
      status,
      linger,
      owner,
      expiresAt: this.clock.now() + ttl,
    };
  }

  /** A change that ends an instance that is there. */
  ending(key: string, kind: 'expire' | 'destroy' = 'destroy'): Change {
    return endOf(kind, this.find(key), this.clock.wall());
  }

  find(key: string) {
    const instance = this.registry.find(key, '');
    if (instance === undefined) throw new Error(`${key} is not registered`);
    return instance;
  }

  /** What an instance has left, in ms; `undefined` where it is not there. */
  left(key: string): number | undefined {
    const instance = this.registry.find(key, '');
    return instance && instance.expiresAt - this.clock.now();
  }

  /** Lets time pass as in a daemon, whose loop looks at the clock all the while. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 20) {
      this.manual.advance(Math.min(left, 20));
      this.clock.now();
    }
  }

  /** The messages of at least warnings. */
  get warnings(): string[] {
    return this.logged.map((line) => JSON.parse(line)).flatMap(({ level, msg }) => (level >= 40 ? [String(msg)] : []));
  }
}

/** Everything about what is registered but the deadlines. */
export function stateOf({ registry }: { readonly registry: Registry }): object[] {
  return registry.all().map((instance) => {
    const { key, id, body, status, linger, owner, ttl, revision, generation, registered, at } = instance;
    return { key, id, body, status, linger, owner, ttl, revision, generation, registered, at };
  });
}

export function keysOf({ registry }: { readonly registry: Registry }): string[] {
  return registry.all().map(({ key }) => key);
}

/** Knows whether it was closed. */
class TestLog extends DiskLog {
  isClosed = false;

  override close(): Promise<void> {
    this.isClosed = true;
    return super.close();
  }
}

export interface OpenDisk {
  readonly log: DiskLog;
  readonly host: TestHost;
  readonly folder: string;
}

export type DiskOptions = Partial<DiskLogOptions> & { readonly clock?: ManualClock };

/**
 * Opens a disk log. It is closed with the test where the test does not. Its segments make no room unless told so, and
 * then are nothing but entries.
 */
export async function openDisk(folder: string, { clock, ...options }: DiskOptions = {}): Promise<OpenDisk> {
  const host = new TestHost(clock);
  const log = new TestLog({ folder, durability: 'always', grace: 15_000, repair: false, roomBytes: 0, ...options });
  await log.open(host);
  afterTest(() => log.isClosed || log.close().catch(() => {}));
  return { log, host, folder };
}

/** Why a folder is refused. */
export async function refusalOf(folder: string, options: DiskOptions = {}): Promise<RegistryError> {
  try {
    await openDisk(folder, options);
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
  throw new Error(`${folder} was opened`);
}

export type DiskCall = 'write' | 'fdatasync' | 'ftruncate';

/** A disk that fails as it is told, and can be held still. It counts what it is asked for. */
export class FaultyDisk implements DiskIO {
  readonly calls: DiskCall[] = [];
  /** Which calls fail, and with which code. */
  readonly faults = new Map<DiskCall, string>();
  #room = Number.POSITIVE_INFINITY;
  #held: (() => void)[] | undefined;

  /** From now on it takes so many bytes more. */
  leaveRoom(bytes: number): void {
    this.#room = bytes;
  }

  /** Answers nothing until it is released. */
  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const call of held) call();
  }

  writeSync(...[fd, bytes, offset, length, position]: Parameters<DiskIO['writeSync']>): number {
    this.calls.push('write');
    const code = this.faults.get('write');
    if (code !== undefined) throw errorOf(code);
    const taken = Math.min(length, this.#room);
    if (taken === 0) throw errorOf('ENOSPC');
    this.#room -= taken;
    return fs.writeSync(fd, bytes, offset, taken, position);
  }

  write(...[fd, bytes, offset, length, position, done]: Parameters<DiskIO['write']>): void {
    this.#ask('write', (fault) => {
      if (fault !== undefined) return done(fault, 0);
      const taken = Math.min(length, this.#room);
      if (taken === 0) return done(errorOf('ENOSPC'), 0);
      this.#room -= taken;
      fs.write(fd, bytes, offset, taken, position, done);
    });
  }

  fdatasync(fd: number, done: (error: Error | null) => void): void {
    this.#ask('fdatasync', (fault) => (fault === undefined ? fs.fdatasync(fd, done) : done(fault)));
  }

  ftruncateSync(fd: number, length: number): void {
    this.calls.push('ftruncate');
    const code = this.faults.get('ftruncate');
    if (code !== undefined) throw errorOf(code);
    fs.ftruncateSync(fd, length);
  }

  /** Answers in a later turn, as a disk does. */
  #ask(call: DiskCall, answer: (fault: Error | undefined) => void): void {
    this.calls.push(call);
    const act = (): void => {
      const code = this.faults.get(call);
      answer(code === undefined ? undefined : errorOf(code));
    };
    if (this.#held !== undefined) this.#held.push(act);
    else setImmediate(act);
  }
}

export function errorOf(code: string): Error {
  return Object.assign(new Error(`${code}: a fault of the test`), { code });
}
