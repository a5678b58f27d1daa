import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditEntry } from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Audit } from '../src/audit.js';
import { AuditFile } from '../src/audit-file.js';
import { RegistryClock } from '../src/clock.js';
import { silentLogger } from '../src/logger.js';
import { startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { settle } from './settle.js';

const SMALL = 65_536;

function makePath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'reg-audit-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'audit.log');
}

function read(path: string): AuditEntry[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => JSON.parse(line) as AuditEntry);
}

async function openFile(path: string, maxBytes = SMALL): Promise<AuditFile> {
  const file = new AuditFile(path, maxBytes, new RegistryClock(new ManualClock()), silentLogger());
  await file.open();
  return file;
}

function entry(number: number): AuditEntry {
  return { number, at: number, event: 'registered', peer: 'local', service: 'web' };
}

describe('what is recorded', () => {
  test('is who registered, updated, took over and destroyed what; not what renews or expires', async () => {
    await using daemon = await startDaemon({ audit: 'memory' });
    const { clock } = daemon;
    const peer = daemon.connect();
    const at = clock.wall();
    const register = (fields: object) => peer.ask({ type: 'register', key: 'web', timeout: 10, values: 1, ...fields });
    await register({ instance: 'a', owner: 'x' });
    await register({ instance: 'a', owner: 'x' });
    await register({ instance: 'a', owner: 'y' });
    await register({ instance: 'a', owner: 'y', takeover: true });
    await register({ instance: 'a', owner: 'y', values: 2 });
    await register({});
    await peer.ask({ type: 'destruction', key: 'web', instance: 'a' });
    await peer.ask({ type: 'destruction', key: 'web', instance: 'a' });
    clock.advance(11_000);
    await register({});
    await peer.ask({ type: 'destruction', key: 'web', instance: '*' });
    const by = { peer: 'local', service: 'web' };
    expect(await peer.ask({ type: 'audit' })).toEqual({
      ok: true,
      kept: 'memory',
      entries: [
        { number: 1, at, event: 'registered', ...by, instance: 'a', revision: 1 },
        { number: 2, at, event: 'took_over', ...by, instance: 'a', revision: 2 },
        { number: 3, at, event: 'updated', ...by, instance: 'a', revision: 3 },
        { number: 4, at, event: 'registered', ...by, revision: 4 },
        { number: 5, at, event: 'destroyed', ...by, instance: 'a', revision: 5 },
        { number: 6, at: at + 11_000, event: 'registered', ...by, revision: 7 },
        { number: 7, at: at + 11_000, event: 'destroyed', ...by, instance: '*', revision: 8 },
      ],
    });
  });

  test('has who read everything for a backup, once for all of its pages', async () => {
    await using daemon = await startDaemon({ audit: 'memory' });
    const peer = daemon.connect();
    const values = 'x'.repeat(60_000);
    for (const key of 'abcdefg') await peer.ask({ type: 'register', key, values });
    const { next } = await peer.ask({ type: 'backup' });
    expect(next).toBeGreaterThan(0);
    await peer.ask({ type: 'backup', after: next });
    const { entries } = await peer.ask({ type: 'audit', after: 7 });
    expect(entries).toMatchObject([{ number: 8, event: 'backed_up', peer: 'local', revision: 7 }]);
  });

  test('holds no value and no owner, and a name cannot forge a line', async () => {
    const path = makePath();
    const daemon = await startDaemon({ audit: path });
    const peer = daemon.connect();
    const key = '"},{"event":"denied"\u2028\\n';
    await peer.ask({ type: 'register', key, values: 'password', owner: 'secret', meta: { token: 'hidden' } });
    peer.hangUp();
    await daemon[Symbol.asyncDispose]();
    expect(readFileSync(path, 'utf8')).not.toMatch(/password|secret|hidden/);
    expect(read(path)).toMatchObject([{ number: 1, event: 'registered', service: key }]);
  });

  test('is not there where nobody asked for it', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ type: 'register', key: 'web', values: 1 });
    expect(await peer.ask({ type: 'audit' })).toEqual({ ok: true, kept: 'none', entries: [] });
    expect(await peer.ask({ type: 'explain', key: 'web' })).not.toHaveProperty('audit');
  });

  test('is told by explain, as far as it is about the instance and was not undone', async () => {
    const log = new HeldLog();
    await using daemon = await startDaemon({ audit: 'memory', log });
    const peer = daemon.connect();
    const ask = async (request: object) => {
      peer.send(request);
      await settle();
      log.commit();
      return peer.receive();
    };
    await ask({ type: 'register', key: 'web', instance: 'a', values: 1 });
    await ask({ type: 'register', key: 'web', instance: 'b', values: 1 });
    peer.send({ type: 'register', key: 'web', instance: 'a', values: 2 });
    await settle();
    log.undo(new Error('the disk is full'));
    expect(await peer.receive()).toMatchObject({ ok: false });
    const { entries } = await ask({ type: 'audit', limit: 2 });
    expect(entries).toMatchObject([
      { event: 'updated', instance: 'a', revision: 3 },
      { event: 'undone', revision: 2, reason: 'the disk is full' },
    ]);
    expect((await ask({ type: 'explain', key: 'web', instance: 'a' }))['audit']).toMatchObject([
      { event: 'registered', instance: 'a', revision: 1 },
    ]);
    await ask({ type: 'destruction', key: 'web', instance: '*' });
    expect((await ask({ type: 'explain', key: 'web', instance: 'b' }))['audit']).toMatchObject([
      { event: 'registered', instance: 'b' },
      { event: 'destroyed', instance: '*' },
    ]);
  });
});

describe('the entries in memory', () => {
  const audit = (): Audit => new Audit(new RegistryClock(new ManualClock()), undefined);
  const numbers = (entries: readonly AuditEntry[]) => entries.map(({ number }) => number);

  test('are the latest thousand, told from any of them on', () => {
    const kept = audit();
    for (let n = 0; n < 2500; n += 1) kept.record(undefined, 'reloaded', {});
    expect(numbers(kept.entries(3, undefined))).toEqual([2498, 2499, 2500]);
    expect(numbers(kept.entries(3, 2000))).toEqual([2001, 2002, 2003]);
    expect(numbers(kept.entries(10, 2498))).toEqual([2499, 2500]);
    expect(kept.entries(10, 2500)).toEqual([]);
    const all = numbers(kept.entries(5000, 0));
    expect([all.length, all[0], all.at(-1)]).toEqual([1000, 1501, 2500]);
  });

  test('are told from the first on to who has a number of before the last start', () => {
    const kept = audit();
    kept.record(undefined, 'reloaded', {});
    expect(numbers(kept.entries(10, 7000))).toEqual([1]);
  });
});

describe('the audit file', () => {
  test('is readable by its owner only, and goes on where it ended, also within a line', async () => {
    const path = makePath();
    let file = await openFile(path);
    file.add(entry(1));
    await file.close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    writeFileSync(path, `${readFileSync(path, 'utf8')}{"number":2,"at`);
    file = await openFile(path);
    file.add(entry(3));
    await file.close();
    const lines = readFileSync(path, 'utf8').split('\n');
    expect(lines).toEqual([JSON.stringify(entry(1)), '{"number":2,"at', JSON.stringify(entry(3)), '']);
  });

  test('is followed by another when it is full; six are kept, none over its size, with nothing lost between', async () => {
    const path = makePath();
    const file = await openFile(path);
    const perRound = 500;
    for (let round = 0; round < 16; round += 1) {
      for (let n = 0; n < perRound; n += 1) file.add(entry(round * perRound + n));
      await file.flush();
    }
    await file.close();
    const paths = [5, 4, 3, 2, 1].map((n) => `${path}.${n}`).concat(path);
    expect(existsSync(`${path}.6`)).toBe(false);
    for (const each of paths) expect(statSync(each).size).toBeLessThanOrEqual(SMALL);
    const numbers = paths.flatMap((each) => read(each).map(({ number }) => number));
    expect(numbers.at(-1)).toBe(16 * perRound - 1);
    expect(numbers).toEqual(numbers.map((_, index) => index + (numbers[0] ?? 0)));
  });

  test('cannot keep up: what finds no room is counted, the file says how many, and nobody waits', async () => {
    const path = makePath();
    const clock = new RegistryClock(new ManualClock());
    const file = new AuditFile(path, 2 ** 30, clock, silentLogger());
    await file.open();
    const audit = new Audit(clock, file);
    for (let n = 0; n < 10_250; n += 1) audit.record(undefined, 'reloaded', {});
    await file.flush();
    audit.record(undefined, 'revoked', {});
    await audit.close();
    const entries = read(path);
    expect(entries).toHaveLength(10_002);
    expect(entries.slice(-2)).toMatchObject([
      { number: 10_251, event: 'lost', count: 250 },
      { number: 10_252, event: 'revoked' },
    ]);
  });

  test.skipIf(!existsSync('/dev/full'))('keeps what a full disk does not take, up to its bound', async () => {
    const file = await openFile('/dev/full');
    for (let n = 1; n <= 10_000; n += 1) expect(file.add(entry(n))).toBe(true);
    await file.flush();
    expect(file.isFull).toBe(true);
    expect(file.add(entry(10_001))).toBe(false);
    await file.close();
  });

  test('that cannot be written keeps the daemon from starting', async () => {
    await expect(startDaemon({ audit: join(makePath(), 'no', 'folder') })).rejects.toMatchObject({
      code: 'bad_config',
      message: expect.stringContaining('audit file'),
    });
  });
});
