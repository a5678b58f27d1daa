/**
 * What the model-based test and the leak check have found, each as small as it could be made; and what they find so
 * seldom that it is written down.
 */

import { RegistryError } from '@reg/protocol';
import { describe, expect, test } from 'vitest';
import { startDaemon, WorkingClock } from './harness.js';
import { HeldLog } from './held-log.js';
import {
  advance,
  ask,
  askTogether,
  type Command,
  destroy,
  disconnect,
  fillDisk,
  freeDisk,
  heartbeat,
  heartbeatUnread,
  register,
  restart,
  resume,
  watch,
} from './model/commands.js';
import { diskStorage } from './model/storage.js';
import { GRACE_MS, System } from './model/system.js';
import { settle } from './settle.js';
import { Watcher } from './watcher.js';

describe('a watcher that has fallen behind the history', () => {
  /** Ten changes of one service, which are more than one turn writes to its watcher, and three of them held. */
  async function fallBehind() {
    const log = new HeldLog();
    const clock = new WorkingClock();
    const daemon = await startDaemon({ log, history: 3 }, clock);
    const watcher = new Watcher(daemon, { highWaterMark: 1024 * 1024 });
    await watcher.watch({ key: 'a' });
    const writer = daemon.connect();
    for (let n = 1; n <= 10; n += 1) {
      writer.send({ type: 'register', key: 'a', instance: `${n}`, values: 'x'.repeat(25_000), timeout: 'never' });
    }
    await settle();
    // The turn is over before everything is written.
    clock.msPerLook = 6;
    log.commit(8);
    clock.msPerLook = 0;
    await settle();
    return { log, daemon, watcher };
  }

  test('is told the state as soon as that is durable, though nothing else wakes its connection', async () => {
    const { log, daemon, watcher } = await fallBehind();
    await using _ = daemon;
    await watcher.events();
    log.commit();
    const events = await watcher.events();
    expect(events.map(({ type }) => type)).toEqual(['reset', 'state', 'state', 'state', 'state', 'synced']);
    expect(events.at(-1)).toMatchObject({ revision: 10 });
  });

  test('is not told that it has seen what it has not, while the disk takes its time', async () => {
    const { daemon, watcher } = await fallBehind();
    await using _ = daemon;
    const told = await watcher.events();
    const seen = told.reduce((last, event) => (event.type === 'change' ? event.revision : last), 0);
    daemon.clock.advance(10_000);
    const [progress] = await watcher.events();
    expect(progress?.type).toBe('progress');
    expect(progress).toHaveProperty('revision', seen);
  });

  test('and resumes is not told so either', async () => {
    const { log, daemon } = await fallBehind();
    await using _ = daemon;
    const back = new Watcher(daemon);
    expect(await back.watch({ key: 'a', epoch: log.epoch, after: 1 })).toEqual([]);
    daemon.clock.advance(10_000);
    const [progress] = await back.events();
    expect(progress).toEqual({ type: 'progress', revision: 1 });
  });
});

test('what a heartbeat that failed would have told, the next one tells', async () => {
  const log = new HeldLog();
  await using daemon = await startDaemon({ log });
  const [owner, other] = [daemon.connect(), daemon.connect()];
  for (const key of ['a', 'b', 'c']) owner.send({ type: 'register', key, values: 1 });
  other.send({ type: 'destruction', key: 'a' });
  await settle();
  log.commit();
  other.send({ type: 'destruction', key: 'b' });
  owner.send({ type: 'heartbeat' });
  await settle();
  log.undo(new RegistryError('storage_full'));
  for (const key of ['a', 'b', 'c']) expect(await owner.receive(), key).toMatchObject({ ok: true });
  expect(await owner.receive()).toMatchObject({ ok: false, error: { code: 'storage_full' } });
  const ended = [{ key: 'a', generation: 1, reason: 'destroyed' }];
  expect(await owner.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 2, ended });
  expect(await owner.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 2 });
});

describe('the daemon does what the model does where', () => {
  const owned = { key: 'a', values: 1, timeout: 1.1, owner: 'one' } as const;
  const bound = { ...owned, timeout: 'never', linger: 9.1 } as const;

  test.each<[string, ...Command[]]>([
    [
      'a destruction was undone, and the instance expires later: its owner may come back',
      ask(0, register(owned)),
      fillDisk(),
      ask(0, destroy({ key: 'a' })),
      advance(3),
      freeDisk(),
      ask(0, register({ ...owned, back: 0 })),
    ],
    [
      'a connection breaks while the disk is full: what it held is suspect when there is room again',
      ask(0, register(bound)),
      fillDisk(),
      disconnect(0),
      advance(3),
      freeDisk(),
      advance(20),
    ],
    [
      'what has expired cannot be ended: a heartbeat tells it all the same, and once',
      ask(0, register(owned)),
      fillDisk(),
      advance(3),
      ask(0, heartbeat()),
      freeDisk(),
      ask(0, heartbeat()),
    ],
    [
      'a takeover is undone: who had it has it, and is not told of it',
      ask(0, register(bound)),
      fillDisk(),
      ask(1, register({ ...bound, owner: 'two', takeover: true })),
      ask(0, heartbeat()),
      disconnect(1),
      ask(0, heartbeat()),
      freeDisk(),
      disconnect(0),
      advance(20),
    ],
    [
      'a watch resumes in the same turn in which changes are made that are not durable yet',
      askTogether(0, watch({ key: 'a' }), register(owned)),
      disconnect(0),
      askTogether(1, register({ ...owned, back: 0, values: 2 }), resume(), destroy({ key: 'a' })),
    ],
    [
      'one that does not read loses what it held: it is told by the heartbeat that it sent meanwhile',
      ask(0, register(owned)),
      ask(0, watch({ key: 'all' })),
      heartbeatUnread(0),
      advance(3),
      ask(0, heartbeat()),
    ],
    [
      'the grace ends for who has come back and for who has not',
      ask(0, register(bound)),
      ask(1, register({ ...bound, instance: 'x' })),
      restart(true),
      ask(0, register({ ...bound, back: 0 })),
      advance(21),
      advance(20),
    ],
  ])('%s', async (_, ...commands) => {
    const system = await System.start({ storage: diskStorage(GRACE_MS), history: 3, buffer: 64 });
    try {
      for (const command of commands) await command.run(system.model, system);
    } finally {
      await system.close();
    }
  });
});
