import { beforeEach, expect, it } from 'vitest';
import { FaultyDisk, newFolder, type OpenDisk, openDisk, until } from './harness.js';

let disk: FaultyDisk;
let open: OpenDisk;

beforeEach(async () => {
  disk = new FaultyDisk();
  open = await openDisk(newFolder(), { io: disk });
});

function propose(...keys: string[]): void {
  for (const key of keys) open.log.propose(open.host.registration(key));
}

it('the changes of one turn are one write and one sync', async () => {
  propose('a', 'b', 'c');
  await open.log.flush();
  expect(disk.calls).toEqual(['write', 'fdatasync']);
  expect(open.host.growths).toBe(1);
  expect(open.log.durable).toBe(3);
});

it('while a commit is under way the next ones gather for one that follows', async () => {
  disk.hold();
  propose('a');
  await until(() => disk.calls.length === 1);
  for (const key of ['b', 'c', 'd']) {
    propose(key);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(disk.calls).toEqual(['write']);
  expect(open.log.durable).toBe(0);
  disk.release();
  await open.log.flush();
  expect(disk.calls).toEqual(['write', 'fdatasync', 'write', 'fdatasync']);
  expect(open.host.growths).toBe(2);
});

it('nothing is durable before the disk has said so', async () => {
  propose('a');
  await until(() => disk.calls.length === 1);
  disk.hold();
  await until(() => disk.calls.length === 2);
  expect(disk.calls).toEqual(['write', 'fdatasync']);
  expect([open.log.durable, open.host.growths]).toEqual([0, 0]);
  disk.release();
  await open.log.flush();
  expect([open.log.durable, open.host.growths]).toEqual([1, 1]);
});

it('a flush waits for what was proposed before it, and not for what came after', async () => {
  disk.hold();
  propose('a');
  const flushed = open.log.flush().then(() => open.log.durable);
  await until(() => disk.calls.length === 1);
  propose('b');
  disk.release();
  expect(await flushed).toBe(1);
  await open.log.flush();
  expect(open.log.durable).toBe(2);
});

it('a change that takes no effect is committed as well, so that its revision is durable', async () => {
  propose('a');
  const late = open.host.ending('a', 'expire');
  open.log.propose(open.host.ending('a'));
  expect(open.log.propose(late)).toBe(0);
  await open.log.flush();
  expect(open.log.durable).toBe(3);
});

it.each(['everysec', 'no'] as const)('with durability %s a commit does not wait for a sync', async (durability) => {
  const lazy = new FaultyDisk();
  const { log, host } = await openDisk(newFolder(), { io: lazy, durability });
  log.propose(host.registration('a'));
  await log.flush();
  expect(lazy.calls).toEqual(['write']);
  host.pass(1000);
  await until(() => lazy.calls.length === (durability === 'everysec' ? 2 : 1));
  expect(lazy.calls).toEqual(durability === 'everysec' ? ['write', 'fdatasync'] : ['write']);
  await log.close();
  expect(lazy.calls.at(-1)).toBe('fdatasync');
});
