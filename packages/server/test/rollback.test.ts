import { RegistryError } from '@reg/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DiskLog } from '../src/log/disk.js';
import { type Daemon, type Peer, startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { FaultyDisk, newFolder } from './log/harness.js';
import { settle, until } from './settle.js';

const BOUND = { type: 'register', key: 'web', values: 0, timeout: 30, linger: 2 };
const FULL = new RegistryError('storage_full');

/** A daemon whose log holds what is proposed, with an instance of `a` that is durable and held by `owner`. */
async function startHeld(grace = 0): Promise<{ daemon: Daemon; log: HeldLog; owner: Peer }> {
  const log = new HeldLog();
  const daemon = await startDaemon({ log, grace });
  const owner = daemon.connect();
  owner.send({ ...BOUND, owner: 'a' });
  await settle();
  log.commit();
  expect(await owner.receive()).toMatchObject({ generation: 1 });
  return { daemon, log, owner };
}

test('a takeover that is undone has taken nothing: the owner holds what it had, and is told nothing', async () => {
  const { daemon, log, owner } = await startHeld();
  await using _ = daemon;
  const other = daemon.connect();
  other.send({ ...BOUND, owner: 'b', takeover: true });
  await settle();
  log.undo(FULL);
  expect(await other.receive()).toMatchObject({ error: { code: 'storage_full' } });
  expect(await owner.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 1 });
  expect(await other.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 0 });
  expect(await owner.ask({ ...BOUND, owner: 'a', generation: 1 })).toMatchObject({ result: 'renewed' });
  other.hangUp();
  await settle();
  expect(daemon.server.registry.find('web', '')?.status).toBe('passing');
});

test('of several takeovers that are undone, only who had it before has it again', async () => {
  const { daemon, log, owner } = await startHeld();
  await using _ = daemon;
  const others = ['b', 'c'].map((secret) => ({ secret, peer: daemon.connect() }));
  for (const { secret, peer } of others) {
    peer.send({ ...BOUND, owner: secret, takeover: true });
    await settle();
  }
  log.undo(FULL);
  for (const { peer } of others) {
    expect(await peer.receive()).toMatchObject({ ok: false });
    expect(await peer.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 0 });
  }
  expect(await owner.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 1 });
});

test.each([
  ['its owner', true],
  ['somebody else', false],
])('a destruction by %s that is undone leaves it held, and is not final', async (_, byOwner) => {
  const { daemon, log, owner } = await startHeld();
  await using __ = daemon;
  const asking = byOwner ? owner : daemon.connect();
  asking.send({ type: 'destruction', key: 'web' });
  await settle();
  expect(daemon.server.registry.size).toBe(0);
  log.undo(FULL);
  expect(await asking.receive()).toMatchObject({ error: { code: 'storage_full' } });
  expect(await owner.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 1 });
  expect(daemon.server.registry.endings.get(1, 'a')).toBeUndefined();
});

test('an end that was on its way to be told, and is undone, has not been one', async () => {
  const { daemon, log, owner } = await startHeld();
  await using _ = daemon;
  const other = daemon.connect();
  other.send({ type: 'destruction', key: 'web' });
  await settle();
  owner.send({ type: 'heartbeat' });
  owner.send({ type: 'heartbeat' });
  await settle();
  log.undo(FULL);
  expect(await owner.receive()).toMatchObject({ error: { code: 'storage_full' } });
  expect(await owner.receive()).toEqual({ ok: true, held: 0 });
  expect(await owner.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 1 });
  other.send({ type: 'destruction', key: 'web' });
  await settle();
  log.commit();
  expect(await owner.ask({ type: 'heartbeat' })).toMatchObject({ held: 0, ended: [{ reason: 'destroyed' }] });
});

test('a first registration that is undone is held by nobody', async () => {
  const { daemon, log, owner } = await startHeld();
  await using _ = daemon;
  owner.send({ ...BOUND, key: 'other', owner: 'a' });
  await settle();
  log.undo(FULL);
  expect(await owner.receive()).toMatchObject({ ok: false });
  expect(await owner.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 1 });
});

test('an update that is undone leaves the instance with its connection', async () => {
  const { daemon, log, owner } = await startHeld();
  await using _ = daemon;
  owner.send({ ...BOUND, owner: 'a', values: 1 });
  await settle();
  log.undo(FULL);
  expect(await owner.receive()).toMatchObject({ ok: false });
  expect(await owner.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 1 });
  owner.hangUp();
  await settle();
  expect(daemon.server.registry.find('web', '')?.status).toBe('suspect');
});

test.each([
  ['', 0],
  [', also in the grace', 60],
])('where it is undone that one is suspect, it parts again, and its linger goes on%s', async (_, grace) => {
  const { daemon, log, owner } = await startHeld(grace);
  await using __ = daemon;
  const { registry } = daemon.server;
  owner.hangUp();
  await settle();
  expect(registry.find('web', '')).toMatchObject({ status: 'suspect', revision: 2 });
  log.undo(FULL);
  expect(registry.find('web', '')).toMatchObject({ status: 'passing', revision: 1 });
  await settle();
  expect(registry.find('web', '')).toMatchObject({ status: 'suspect', revision: 3 });
  daemon.clock.advance(2050);
  expect(registry.size).toBe(0);
});

test('what comes back by an undone destruction when its connection has gone meanwhile parts as well', async () => {
  const { daemon, log, owner } = await startHeld();
  await using _ = daemon;
  daemon.connect().send({ type: 'destruction', key: 'web' });
  await settle();
  owner.hangUp();
  await settle();
  log.undo(FULL);
  await settle();
  expect(daemon.server.registry.find('web', '')).toMatchObject({ status: 'suspect', holder: undefined });
});

test('what was restored and has not come back yet does not part because others are undone', async () => {
  const folder = newFolder();
  const disk = new FaultyDisk();
  const start = (): Promise<Daemon> => {
    const log = new DiskLog({ folder, durability: 'always', grace: 15_000, repair: false, io: disk });
    return startDaemon({ log, grace: 15 });
  };
  const before = await start();
  await before.connect().ask({ ...BOUND, owner: 'a' });
  await before[Symbol.asyncDispose]();
  await using daemon = await start();
  const { registry } = daemon.server;
  disk.leaveRoom(0);
  expect(await daemon.connect().ask({ ...BOUND, key: 'other' })).toMatchObject({ ok: false });
  disk.leaveRoom(Number.POSITIVE_INFINITY);
  await until(() => registry.size === 1);
  daemon.clock.advance(3000);
  await settle();
  expect(registry.all()).toMatchObject([{ status: 'passing', revision: 1 }]);
});

test('on a disk that is full, a suspect keeps its deadline, and parts again when the disk takes it', async () => {
  const disk = new FaultyDisk();
  const log = new DiskLog({ folder: newFolder(), durability: 'always', grace: 0, repair: false, io: disk });
  await using daemon = await startDaemon({ log });
  const { registry } = daemon.server;
  const [peer, reader] = [daemon.connect(), daemon.connect()];
  expect(await peer.ask({ ...BOUND, linger: 10, owner: 'a' })).toMatchObject({ generation: 1 });
  const deadline = daemon.server.clock.now() + 10_000;
  disk.leaveRoom(0);
  peer.hangUp();
  await until(() => registry.byStatus.suspect === 1);
  await until(() => registry.byStatus.suspect === 0);
  expect(registry.find('web', '')).toMatchObject({ expiresAt: deadline, revision: 1 });
  expect(await reader.ask({ type: 'status' })).toMatchObject({ refusing: expect.stringContaining('space') });
  disk.leaveRoom(Number.POSITIVE_INFINITY);
  for (let turn = 0; turn < 30 && registry.byStatus.suspect === 0; turn += 1) {
    daemon.clock.advance(250);
    await settle();
  }
  expect(registry.byStatus.suspect).toBe(1);
  expect(registry.find('web', '')?.expiresAt).toBe(deadline);
});

test('whatever is undone when, what is held is what was registered, by one that is open', async () => {
  const act = fc.record({
    act: fc.constantFrom(
      'register',
      'register',
      'takeover',
      'destroy',
      'heartbeat',
      'hangUp',
      'pass',
      'commit',
      'undo',
    ),
    peer: fc.nat(2),
    key: fc.constantFrom('a', 'b', 'c'),
    owner: fc.constantFrom('x', 'y'),
    values: fc.nat(1),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 30 }), async (acts) => {
      const log = new HeldLog();
      await using daemon = await startDaemon({ log });
      const { registry } = daemon.server;
      const peers = [daemon.connect(), daemon.connect(), daemon.connect()];
      for (const { act, peer: at, key, owner, values } of acts) {
        const peer = peers[at] ?? daemon.connect();
        if (act === 'register') peer.send({ ...BOUND, key, owner, values });
        else if (act === 'takeover') peer.send({ ...BOUND, key, owner, values, takeover: true });
        else if (act === 'destroy') peer.send({ type: 'destruction', key });
        else if (act === 'heartbeat') peer.send({ type: 'heartbeat' });
        else if (act === 'pass') daemon.clock.advance(700);
        else if (act === 'commit') log.commit();
        else if (act === 'undo') log.undo(FULL);
        else {
          peer.hangUp();
          peers[at] = daemon.connect();
        }
        await settle(3);
        for (const instance of registry.all()) {
          const { holder, grip, status } = instance;
          if (grip !== -1) expect(holder?.held[grip]).toBe(instance);
          if (grip !== -1) expect(holder?.closed).toBeUndefined();
          // Everything here is bound, so what nobody holds is suspect, or on its way to be.
          else expect(status).toBe('suspect');
        }
      }
      // And so it can be renewed by who holds it, and by nobody else.
      log.commit();
      await settle();
      for (const peer of peers) peer.send({ type: 'heartbeat', id: 'last' });
      await settle();
      log.commit();
      let held = 0;
      for (const peer of peers) {
        for (;;) {
          const reply = await peer.receive();
          if (reply['id'] !== 'last') continue;
          held += Number(reply['held']);
          break;
        }
      }
      expect(held).toBe(registry.all().filter(({ grip }) => grip !== -1).length);
    }),
    { numRuns: 150, seed: 3 },
  );
});
