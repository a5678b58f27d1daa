import { describe, expect, test } from 'vitest';
import { Endings } from '../src/registry/endings.js';
import { Registry } from '../src/registry/registry.js';
import { type Daemon, type Peer, PLAIN, startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { settle } from './settle.js';

const NAME = { type: 'register', key: 'db', instance: 'main', values: 1, timeout: 10 };

/** Who comes to register: by what right. Generation 1 is the one that was registered first. */
const COMERS = [
  {},
  { takeover: true },
  { owner: 'a' },
  { owner: 'a', generation: 1 },
  { owner: 'b' },
  { owner: 'b', takeover: true },
  { owner: 'b', generation: 1 },
];

interface Scene {
  readonly daemon: Daemon;
  readonly first: Peer;
  readonly other: Peer;
}

const bindTo = async ({ first }: Scene, owner: object): Promise<void> =>
  void (await first.ask({ ...NAME, linger: 2, ...owner }));

/** What is there when somebody comes, and what each of the comers is answered. */
const SCENES: [what: string, prepare: (scene: Scene) => Promise<void>, answers: string[]][] = [
  [
    'nothing',
    async () => {},
    ['registered', 'registered', 'registered', 'registered', 'registered', 'registered', 'registered'],
  ],
  [
    'one without an owner',
    async (scene) => bindTo(scene, {}),
    ['renewed', 'renewed', 'registered', 'superseded', 'registered', 'registered', 'superseded'],
  ],
  [
    'one of a',
    async (scene) => bindTo(scene, { owner: 'a' }),
    ['owned', 'registered', 'renewed', 'renewed', 'owned', 'registered', 'superseded'],
  ],
  [
    'one of a that is suspect',
    async (scene) => {
      await bindTo(scene, { owner: 'a' });
      scene.first.hangUp();
      await settle();
    },
    ['registered', 'registered', 'updated', 'updated', 'registered', 'registered', 'superseded'],
  ],
  [
    'one without an owner that is suspect',
    async (scene) => {
      await bindTo(scene, {});
      scene.first.hangUp();
      await settle();
    },
    ['updated', 'updated', 'registered', 'superseded', 'registered', 'registered', 'superseded'],
  ],
  [
    'one of c, who has taken it over from a',
    async (scene) => {
      await bindTo(scene, { owner: 'a' });
      await scene.other.ask({ ...NAME, owner: 'c', takeover: true });
    },
    ['owned', 'registered', 'owned', 'superseded', 'owned', 'registered', 'superseded'],
  ],
  [
    'nothing, since the one of a was destroyed',
    async (scene) => {
      await bindTo(scene, { owner: 'a' });
      await scene.other.ask({ type: 'destruction', key: 'db', instance: 'main' });
    },
    ['registered', 'registered', 'registered', 'destroyed', 'registered', 'registered', 'registered'],
  ],
  [
    'nothing, since c took over from a and has gone',
    async (scene) => {
      await bindTo(scene, { owner: 'a' });
      await scene.other.ask({ ...NAME, owner: 'c', takeover: true });
      await scene.other.ask({ type: 'destruction', key: 'db', instance: 'main', owner: 'c' });
    },
    ['registered', 'registered', 'registered', 'superseded', 'registered', 'registered', 'registered'],
  ],
  [
    'nothing, since the one of a has expired',
    async (scene) => {
      await bindTo(scene, { owner: 'a' });
      scene.daemon.clock.advance(10_050);
    },
    ['registered', 'registered', 'registered', 'registered', 'registered', 'registered', 'registered'],
  ],
  [
    'one of a that has expired and is not ended yet',
    async (scene) => {
      await bindTo(scene, { owner: 'a', timeout: 0.005 });
      scene.daemon.clock.advance(5);
      expect(scene.daemon.server.registry.size).toBe(1);
    },
    ['registered', 'registered', 'registered', 'registered', 'registered', 'registered', 'registered'],
  ],
];

describe('where there is', () => {
  test.each(SCENES)('%s, who comes is answered by what right', async (_, prepare, answers) => {
    const answered: unknown[] = [];
    for (const comer of COMERS) {
      await using daemon = await startDaemon();
      await prepare({ daemon, first: daemon.connect(), other: daemon.connect() });
      const known = daemon.server.registry.find('db', 'main')?.generation;
      const { revision } = daemon.server.registry;
      const reply = await daemon.connect().ask({ ...NAME, linger: 2, ...comer });
      const { result, error } = reply as { result?: string; error?: { code: string } };
      answered.push(result ?? error?.code);
      const now = daemon.server.registry.find('db', 'main');
      // Whoever is refused has changed nothing, and a takeover is one change.
      if (error !== undefined) expect(daemon.server.registry.revision).toBe(revision);
      else if (result === 'registered') expect(now?.generation).toBe(daemon.server.registry.revision);
      else expect(now?.generation).toBe(known);
      if (result === 'registered') expect(reply['generation']).toBe(now?.revision);
      if (error === undefined) expect(now).toMatchObject({ owner: comer.owner ?? '', status: 'passing' });
    }
    expect(answered).toEqual(answers);
  });
});

test('what its owner says anew is an update, whatever generation it believes to have', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ ...NAME, owner: 'a' });
  const again = (change: object) => peer.ask({ ...NAME, owner: 'a', generation: 999, ...change });
  for (const change of [{ values: 2 }, { values: 2, linger: 3 }, { values: 2, linger: 3, status: 'draining' }]) {
    expect(await again(change)).toMatchObject({ result: 'updated', generation: 1 });
    expect(await again(change)).toMatchObject({ result: 'renewed', generation: 1 });
  }
  expect((await peer.ask({ type: 'query', key: 'db', status: 'any' }))['services']).toMatchObject([
    { values: 2, linger: 3, status: 'draining', generation: 1 },
  ]);
});

test('a destruction with an owner ends what has that owner, and leaves the rest without an error', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ ...NAME, instance: 'a', owner: 'a' });
  await peer.ask({ ...NAME, instance: 'b', owner: 'b' });
  await peer.ask({ ...NAME, instance: 'c' });
  const destroy = (request: object) => peer.ask({ type: 'destruction', key: 'db', ...request });
  expect(await destroy({ instance: 'b', owner: 'a' })).toMatchObject({ ok: true, removed: 0, left: 3 });
  expect(await destroy({ instance: 'c', owner: 'a' })).toMatchObject({ ok: true, removed: 0, left: 3 });
  expect(await destroy({ instance: '*', owner: 'a' })).toMatchObject({ ok: true, removed: 1, left: 2 });
  expect(await destroy({ instance: '*' })).toMatchObject({ ok: true, removed: 2, left: 0 });
});

test('no reply holds the secret of an owner', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  const secret = 'secret-of-the-owner';
  const lines: object[] = [];
  lines.push(await peer.ask({ ...NAME, owner: secret, linger: 2 }));
  lines.push(await peer.ask({ ...NAME, owner: 'other' }));
  for (const type of ['query', 'explain']) {
    lines.push(await peer.ask({ type, key: 'db', instance: 'main', ...(type === 'query' ? { detail: true } : {}) }));
  }
  lines.push(await peer.ask({ type: 'status' }), await peer.ask({ type: 'heartbeat' }));
  expect(lines).toHaveLength(6);
  expect(JSON.stringify(lines)).not.toContain(secret);
});

test('that an instance is lost for good is not told before that is durable', async () => {
  const log = new HeldLog();
  await using daemon = await startDaemon({ log });
  const [owner, other] = [daemon.connect(), daemon.connect()];
  owner.send({ ...NAME, owner: 'a' });
  await settle();
  log.commit();
  expect(await owner.receive()).toMatchObject({ generation: 1 });

  other.send({ ...NAME, owner: 'b', takeover: true });
  await settle();
  owner.send({ ...NAME, owner: 'a', generation: 1 });
  await settle();
  expect(owner.waiting).toBe(0);
  log.commit();
  expect(await owner.receive()).toMatchObject({ error: { code: 'superseded' } });

  other.send({ type: 'destruction', key: 'db', instance: 'main' });
  await settle();
  owner.send({ ...NAME, owner: 'b', generation: 2 });
  await settle();
  expect(owner.waiting).toBe(0);
  log.commit();
  expect(await owner.receive()).toMatchObject({ error: { code: 'destroyed' } });
});

test('the ends of those without an owner do not crowd out the others', () => {
  const registry = new Registry(10);
  const times = { at: 0, registered: 0, ttl: 1, expiresAt: 1 };
  for (let revision = 1; revision <= 24_000; revision += 2) {
    const name = { key: 'db', instance: '', generation: revision };
    const owner = revision === 1 ? 'a' : PLAIN.owner;
    registry.apply({ kind: 'register', revision, ...name, body: '', ...times, ...PLAIN, owner });
    registry.apply({ kind: 'destroy', revision: revision + 1, ...name, at: 0, expiresAt: 1 });
  }
  expect(registry.endings.get(1, 'a')).toMatchObject({ reason: 'destroyed', revision: 2 });
});

test('the ends of the latest are remembered, and those that were undone are not', () => {
  const endings = new Endings(3);
  for (let generation = 1; generation <= 5; generation += 1) {
    endings.add(generation, { owner: 'a', reason: 'destroyed', revision: 10 + generation });
  }
  expect([1, 2, 3, 4, 5].map((generation) => endings.get(generation, 'a')?.revision)).toEqual([
    undefined,
    undefined,
    13,
    14,
    15,
  ]);
  endings.undo(14);
  expect(endings.get(4, 'a')).toMatchObject({ reason: 'destroyed', revision: 14 });
  expect(endings.get(5, 'a')).toBeUndefined();
});

test("a generation of another history that happens to have the number of somebody else's end is not taken for it", async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ type: 'register', key: 'db', values: 1, owner: 'a' });
  await peer.ask({ type: 'destruction', key: 'db' });
  const back = { type: 'register', key: 'web', values: 1, owner: 'of before the restart', generation: 1 };
  expect(await peer.ask(back)).toMatchObject({ ok: true, result: 'registered' });
});
