/** A disk that is full, or broken, while the daemon runs. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RegistryError } from '@reg/protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Change } from '../../src/change.js';
import { changesAfter } from '../changes.js';
import { settle, until } from '../settle.js';
import {
  copyFolder,
  type DiskOptions,
  FaultyDisk,
  keysOf,
  newFolder,
  type OpenDisk,
  openDisk,
  readFolder,
  stateOf,
  type TestHost,
} from './harness.js';

let disk: FaultyDisk;
let open: OpenDisk;
let host: TestHost;

/** `a` is durable, and is renewed to have 25 s left. */
async function start(options: DiskOptions = {}): Promise<void> {
  disk = new FaultyDisk();
  open = await openDisk(newFolder(), { io: disk, ...options });
  host = open.host;
  open.log.propose(host.registration('a'));
  await open.log.flush();
  host.pass(10_000);
  host.registry.renew(host.find('a'), host.clock.now() + 25_000);
}

/** The segment without the room behind it. */
function entriesOf(folder: string): Buffer {
  const segment = readFolder(folder).get('00000001.log') ?? Buffer.alloc(0);
  return segment.subarray(0, segment.findLastIndex((byte) => byte !== 0) + 1);
}

/** Proposes something, and gives back how it failed. */
async function failToWrite(change: Change = host.registration('b')): Promise<RegistryError> {
  open.log.propose(change);
  const flushed = await open.log.flush().catch((error: unknown) => error);
  if (!(flushed instanceof RegistryError)) throw new Error(`it did not fail, but ${String(flushed)}`);
  return flushed;
}

function codeOfPropose(): string {
  try {
    open.log.propose(host.registration('refused'));
    return 'taken';
  } catch (error) {
    return error instanceof RegistryError ? error.code : String(error);
  }
}

async function recover(): Promise<void> {
  disk.faults.clear();
  disk.leaveRoom(Number.POSITIVE_INFINITY);
  host.pass(1000);
  await until(() => codeOfPropose() === 'taken');
  open.log.propose(host.ending('refused'));
  await open.log.flush();
}

/** That a daemon which starts from what is on the disk now has the same registry. */
async function expectRestartsTheSame(): Promise<void> {
  const { log, host: again } = await openDisk(copyFolder(open.folder));
  expect(stateOf(again)).toEqual(stateOf(host));
  await log.close();
}

describe.each([
  ['always', 0],
  ['always', 300],
  ['no', 0],
] as const)('with durability %s, and room for %d bytes,', (durability, roomBytes) => {
  beforeEach(() => start({ durability, roomBytes }));

  describe.each([
    ['is full', 'storage_full', (): void => disk.leaveRoom(0)],
    ['is full after a part of a write', 'storage_full', (): void => disk.leaveRoom(50)],
    ['is over its quota', 'storage_full', (): void => void disk.faults.set('write', 'EDQUOT')],
    ['fails to write', 'storage_failed', (): void => void disk.faults.set('write', 'EIO')],
    ['was remounted read-only', 'storage_failed', (): void => void disk.faults.set('write', 'EROFS')],
  ])('a disk that %s', (_, code, breakDisk) => {
    it('undoes what is not durable, and refuses changes', async () => {
      const state = stateOf(host);
      const entries = entriesOf(open.folder);
      breakDisk();
      open.log.propose(host.ending('a'));
      open.log.propose(host.registration('c'));
      const error = await failToWrite();
      expect(error.code).toBe(code);
      expect(error.retryable).toBe(true);
      expect(host.rollbacks).toEqual([error]);
      expect(host.fatals).toEqual([]);
      expect(stateOf(host)).toEqual(state);
      expect(open.log.durable).toBe(1);
      expect(codeOfPropose()).toBe(code);
      expect(stateOf(host)).toEqual(state);
      expect(entriesOf(open.folder)).toEqual(entries);
      await open.log.flush();
      await expectRestartsTheSame();
    });

    it('moves no deadline', async () => {
      breakDisk();
      await failToWrite();
      expect(host.left('a')).toBe(25_000);
      host.pass(20_000);
      host.registry.renew(host.find('a'), host.clock.now() + 1000);
      expect(host.left('a')).toBe(1000);
    });

    it('is tried again every second, and when it takes writes everything goes on', async () => {
      breakDisk();
      await failToWrite();
      for (let second = 0; second < 3; second += 1) {
        const probes = disk.calls.length;
        host.pass(1000);
        await until(() => disk.calls.length >= probes + 2);
        expect(codeOfPropose()).toBe(code);
      }
      await recover();
      expect(open.log.propose(host.registration('d'))).toBeGreaterThan(2);
      await open.log.flush();
      expect(keysOf(host)).toEqual(['a', 'd']);
      expect(open.log.durable).toBe(host.registry.revision);
      await expectRestartsTheSame();
    });

    it('uses no revision twice while the daemon runs', async () => {
      for (let round = 0; round < 3; round += 1) {
        breakDisk();
        await failToWrite();
        await recover();
      }
      const used = host.applied.map(({ revision }) => revision);
      expect(used.length).toBeGreaterThan(9);
      expect(new Set(used).size).toBe(used.length);
      expect(used).toEqual([...used].sort((a, b) => a - b));
      await expectRestartsTheSame();
    });

    it('leaves a log that closes and opens again', async () => {
      breakDisk();
      await failToWrite();
      disk.faults.clear();
      await open.log.close();
      const { log, host: again } = await openDisk(open.folder);
      expect(keysOf(again)).toEqual(['a']);
      expect(log.epoch === open.log.epoch).toBe(durability === 'always');
    });
  });
});

describe('after a write has failed', () => {
  beforeEach(async () => {
    await start();
    disk.faults.set('write', 'ENOSPC');
  });

  it('an expired instance does not come back', async () => {
    host.registry.renew(host.find('a'), host.clock.now() + 10);
    host.pass(100);
    await failToWrite();
    expect(host.left('a')).toBe(-90);
  });

  it('what a change of content was undone has the deadline of before', async () => {
    disk.faults.clear();
    open.log.propose(host.registration('never', { ttl: Number.POSITIVE_INFINITY }));
    await open.log.flush();
    disk.faults.set('write', 'ENOSPC');
    await failToWrite(host.registration('a', { body: '"values":"other"' }));
    expect(host.left('a')).toBe(30_000);
    expect(host.left('never')).toBe(Number.POSITIVE_INFINITY);
  });

  it('nothing comes from the disk that is not on it: the history, too, is without it', async () => {
    await failToWrite();
    expect(changesAfter(host.registry.history, 0)?.map(({ revision }) => revision)).toEqual([1]);
    expect(host.registry.revision).toBe(1);
  });

  it('queries of what is not there do not wait for a change that was undone', async () => {
    await failToWrite(host.ending('a'));
    expect(host.registry.lastChangeOf('nothing of this name')).toBeLessThanOrEqual(open.log.durable);
  });

  it('no checkpoint is tried', async () => {
    await failToWrite();
    await settle();
    const before = readFileSync(join(open.folder, 'deadlines'));
    host.registry.renew(host.find('a'), host.clock.now() + 9000);
    host.pass(5000);
    await settle();
    expect(readFileSync(join(open.folder, 'deadlines'))).toEqual(before);
  });

  it('a log that is closed stays closed, whatever the disk says then', async () => {
    await failToWrite();
    disk.hold();
    host.pass(1000);
    const closed = open.log.close();
    disk.release();
    await closed;
    disk.faults.clear();
    host.pass(5000);
    expect(host.manual.timers).toBe(0);
    expect(codeOfPropose()).toBe('shutting_down');
  });

  it('while the log is closed, nothing is left running', async () => {
    open.log.propose(host.registration('b'));
    await open.log.close().catch(() => {});
    expect(host.rollbacks).toHaveLength(1);
    expect(host.manual.timers).toBe(0);
    expect(keysOf((await openDisk(open.folder)).host)).toEqual(['a']);
  });

  it('what cannot be cut off either stops the daemon', async () => {
    disk.faults.set('ftruncate', 'EIO');
    expect((await failToWrite()).code).toBe('storage_failed');
    expect(host.fatals).toHaveLength(1);
    expect(codeOfPropose()).toBe('storage_failed');
  });

  it('changes are taken again when what it has left is gone from the disk too', async () => {
    await failToWrite();
    disk.faults.clear();
    const { length } = disk.calls;
    host.pass(1000);
    await until(() => disk.calls.length === length + 3);
    expect(disk.calls.slice(length)).toEqual(['write', 'ftruncate', 'fdatasync']);
    expect(codeOfPropose()).toBe('storage_full');
    await until(() => codeOfPropose() === 'taken');
  });

  it('a disk that then fails to sync stops the daemon', async () => {
    await failToWrite();
    disk.faults.clear();
    disk.faults.set('fdatasync', 'EIO');
    host.pass(1000);
    await until(() => host.fatals.length > 0);
    expect(codeOfPropose()).toBe('storage_failed');
  });

  it('a try whose leavings cannot be cut off does not count', async () => {
    await failToWrite();
    disk.faults.clear();
    disk.faults.set('ftruncate', 'EIO');
    const { length } = disk.calls;
    host.pass(1000);
    await until(() => disk.calls.length >= length + 2);
    expect(codeOfPropose()).toBe('storage_full');
    await recover();
    await expectRestartsTheSame();
  });
});

describe('a disk that fails to sync', () => {
  beforeEach(() => start());

  it('stops the daemon: nothing is taken any more, and who waits fails', async () => {
    disk.faults.set('fdatasync', 'EIO');
    expect((await failToWrite()).code).toBe('storage_failed');
    expect(host.fatals).toHaveLength(1);
    expect(host.rollbacks).toEqual([]);
    expect(open.log.durable).toBe(1);
    disk.faults.clear();
    host.pass(10_000);
    await open.log.flush();
    expect(codeOfPropose()).toBe('storage_failed');
  });

  it('loses nothing of before', async () => {
    disk.faults.set('fdatasync', 'EIO');
    await failToWrite();
    await open.log.close().catch(() => {});
    const { log, host: again } = await openDisk(open.folder);
    expect(keysOf(again)).toContain('a');
    expect(log.epoch).toBe(open.log.epoch);
  });

  it('while the log is closed leaves one that has not stopped in order', async () => {
    const failing = new FaultyDisk();
    const { log, host: other, folder } = await openDisk(newFolder(), { durability: 'everysec', io: failing });
    log.propose(other.registration('a'));
    await log.flush();
    failing.hold();
    other.pass(1000);
    failing.faults.set('fdatasync', 'EIO');
    other.onFatal = () => failing.faults.clear();
    const closed = log.close();
    failing.release();
    await closed;
    expect(failing.faults.size).toBe(0);
    expect((await openDisk(folder, { durability: 'everysec' })).log.epoch).not.toBe(log.epoch);
  });

  it('stops it also where replies do not wait: every second, and when a segment is done', async () => {
    for (const segmentBytes of [1_000_000, 1]) {
      const failing = new FaultyDisk();
      const { log, host: other } = await openDisk(newFolder(), { durability: 'everysec', io: failing, segmentBytes });
      failing.faults.set('fdatasync', 'EIO');
      log.propose(other.registration('a'));
      await log.flush();
      if (segmentBytes > 1) other.pass(1000);
      await until(() => other.fatals.length > 0);
      expect(other.fatals).toHaveLength(1);
      expect(() => log.propose(other.registration('b'))).toThrow(expect.objectContaining({ code: 'storage_failed' }));
    }
  });
});
