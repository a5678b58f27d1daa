import { beforeEach, expect, it } from 'vitest';
import { until } from '../settle.js';
import { FaultyDisk, newFolder, type OpenDisk, openDisk } from './harness.js';

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

it.each([
  ['always', ['write', 'fdatasync']],
  ['no', ['write']],
] as const)(
  'while a commit is under way the next ones gather for one that follows (%s)',
  async (durability, commit) => {
    const held = new FaultyDisk();
    const { log, host } = await openDisk(newFolder(), { io: held, durability });
    held.hold();
    log.propose(host.registration('a'));
    await until(() => held.calls.length === commit.length);
    for (const key of ['b', 'c', 'd']) {
      log.propose(host.registration(key));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(held.calls).toEqual(commit);
    expect(log.durable).toBe(0);
    held.release();
    await log.flush();
    expect(held.calls).toEqual([...commit, ...commit]);
    expect(host.growths).toBe(2);
  },
);

it('the disk has the next commit before the replies of the one before leave', async () => {
  disk.hold();
  propose('a');
  await until(() => disk.calls.length === 2);
  propose('b');
  let calls = 0;
  open.host.onDurable = () => {
    calls = disk.calls.length;
    open.host.onDurable = () => {};
  };
  disk.release();
  await open.log.flush();
  expect(calls).toBe(4);
});

it('nothing is durable before the disk has said so', async () => {
  disk.hold();
  propose('a');
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
  await until(() => disk.calls.length === 2);
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
