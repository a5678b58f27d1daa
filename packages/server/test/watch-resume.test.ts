import { ManualClock } from '@reg/protocol/testing';
import { describe, expect, test } from 'vitest';
import { DiskLog } from '../src/log/disk.js';
import { startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { newFolder } from './log/harness.js';
import { Watcher } from './watcher.js';

describe('a watch that resumes', () => {
  test('is told what it missed, each change once, and then that this is all', async () => {
    await using daemon = await startDaemon();
    const [watcher, writer] = [new Watcher(daemon), new Watcher(daemon)];
    for (let n = 0; n < 6; n += 1) await writer.ask({ type: 'register', key: n % 2 ? 'db' : 'web', values: n });
    const epoch = await writer.epoch();
    expect(await watcher.watch({ key: 'web', epoch, after: 1 })).toMatchObject([
      { type: 'change', revision: 3, service: { values: 2 } },
      { type: 'change', revision: 5, service: { values: 4 } },
      { type: 'synced', revision: 6 },
    ]);
    await writer.ask({ type: 'register', key: 'web', values: 'live' });
    expect(await watcher.events()).toMatchObject([{ type: 'change', revision: 7 }]);
    expect(await watcher.watch({ key: 'web', epoch, after: 7 })).toMatchObject([
      { type: 'synced', watch: 2, revision: 7 },
    ]);
  });

  test('is told no more than is durable, and later the rest', async () => {
    const log = new HeldLog();
    await using daemon = await startDaemon({ log });
    const [watcher, writer] = [new Watcher(daemon), new Watcher(daemon)];
    for (let n = 0; n < 4; n += 1) writer.peer.send({ type: 'register', key: 'web', values: n });
    await writer.replies();
    log.commit(2);
    const { epoch } = log;
    expect(await watcher.watch({ key: 'all', epoch, after: 1 })).toMatchObject([
      { type: 'change', revision: 2 },
      { type: 'synced', revision: 2 },
    ]);
    log.commit();
    expect(await watcher.events()).toMatchObject([{ revision: 3 }, { revision: 4 }]);
  });

  test('begins anew in another epoch, or from a revision that this one has not come to', async () => {
    await using daemon = await startDaemon();
    const watcher = new Watcher(daemon);
    await watcher.ask({ type: 'register', key: 'web', values: 1 });
    const epoch = await watcher.epoch();
    const anew = [{ type: 'reset', reason: 'epoch' }, { type: 'state' }, { type: 'synced', epoch, revision: 1 }];
    expect(await watcher.watch({ key: 'web', epoch: 'another', after: 1 })).toMatchObject(anew);
    expect(await watcher.watch({ key: 'web', epoch, after: 2 })).toMatchObject(anew);
    expect(await watcher.watch({ key: 'web', epoch: '', after: 0 })).toMatchObject(anew);
  });

  test('begins anew where the history does not reach back, unless nothing of it has changed since', async () => {
    await using daemon = await startDaemon({ history: 8 });
    const watcher = new Watcher(daemon);
    await watcher.ask({ type: 'register', key: 'still', values: 1, timeout: 'never' });
    for (let n = 0; n < 20; n += 1) await watcher.ask({ type: 'register', key: 'web', values: n });
    const epoch = await watcher.epoch();
    expect(await watcher.watch({ key: 'web', epoch, after: 12 })).toMatchObject([
      { type: 'reset', reason: 'compacted' },
      { type: 'state', services: [{ values: 19 }] },
      { type: 'synced', revision: 21 },
    ]);
    expect(await watcher.watch({ key: 'all', epoch, after: 12 })).toMatchObject([
      { type: 'reset', reason: 'compacted' },
      { type: 'state' },
      { type: 'synced' },
    ]);
    expect(await watcher.watch({ key: 'web', epoch, after: 13 })).toHaveLength(9);
    expect(await watcher.watch({ key: 'still', epoch, after: 1 })).toMatchObject([{ type: 'synced', revision: 21 }]);
    await watcher.ask({ type: 'destruction', key: 'still' });
    expect((await watcher.events()).filter((event) => event.type === 'change' && event.watch === 4)).toHaveLength(1);
  });

  test('goes on over a restart of the daemon: the epoch of a log on disk stays', async () => {
    const folder = newFolder();
    const clock = new ManualClock();
    const open = () => {
      const log = new DiskLog({ folder, durability: 'always', grace: 15_000, repair: false });
      return startDaemon({ log, grace: 15 }, clock);
    };
    let epoch: string;
    {
      await using daemon = await open();
      const writer = daemon.connect();
      for (let n = 0; n < 3; n += 1) await writer.ask({ type: 'register', key: 'web', values: n, timeout: 'never' });
      epoch = await new Watcher(daemon).epoch();
    }
    await using daemon = await open();
    const watcher = new Watcher(daemon);
    expect(await watcher.watch({ key: 'web', epoch, after: 1 })).toMatchObject([
      { type: 'change', revision: 2 },
      { type: 'change', revision: 3 },
      { type: 'synced', revision: 3, warming: true },
    ]);
  });
});

test('many watches that resume on one connection are each told their own, in one walk through the history', async () => {
  await using daemon = await startDaemon({ history: 10_000 });
  const [watcher, writer] = [new Watcher(daemon), new Watcher(daemon)];
  for (let n = 0; n < 3000; n += 1) writer.peer.send({ type: 'register', key: `s-${n % 300}`, values: n });
  await writer.replies();
  const { history } = daemon.server.registry;
  let looks = 0;
  const at = history.at.bind(history);
  history.at = (index) => {
    looks += 1;
    return at(index);
  };
  const epoch = await writer.epoch();
  const requests = Array.from({ length: 300 }, (_, n) => ({ type: 'watch', key: `s-${n}`, epoch, after: 2000 + n }));
  watcher.peer.send(requests.map((request) => `${JSON.stringify(request)}\n`).join(''));
  expect(await watcher.replies()).toHaveLength(300);
  const events = await watcher.events();
  for (let n = 0; n < 300; n += 1) {
    const told = events.filter((event) => 'watch' in event && event.watch === n + 1);
    const missed = Array.from({ length: 10 }, (_, round) => round * 300 + n + 1).filter(
      (revision) => revision > 2000 + n,
    );
    expect(told).toMatchObject([
      ...missed.map((revision) => ({ type: 'change', revision })),
      { type: 'synced', revision: 3000 },
    ]);
  }
  expect(looks).toBeLessThan(10_000);
});
