import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Holder } from '../src/registry/holder.js';
import type { Instance } from '../src/registry/instance.js';
import { instanceOf, type Peer, PLAIN, startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { settle } from './settle.js';

const heartbeat = (peer: Peer) => peer.ask({ type: 'heartbeat' });

/** Registers `count` services `s0`, `s1`, … of one instance each. */
async function registerMany(peer: Peer, count: number, fields: object = {}): Promise<void> {
  const line = (n: number) => `${JSON.stringify({ type: 'register', key: `s${n}`, values: 0, ...fields })}\r\n`;
  peer.send(Array.from({ length: count }, (_, n) => line(n)).join(''));
  for (let left = count; left > 0; left -= 1) expect(await peer.receive()).toMatchObject({ ok: true });
}

describe('a heartbeat', () => {
  test('renews all that its connection holds, of whatever kind, and nothing else', async () => {
    await using daemon = await startDaemon();
    const [peer, other] = [daemon.connect(), daemon.connect()];
    await peer.ask({ type: 'register', key: 'plain', values: 0, timeout: 10 });
    await peer.ask({ type: 'register', key: 'owned', values: 0, timeout: 20, owner: 'a' });
    await peer.ask({ type: 'register', key: 'bound', values: 0, timeout: 30, linger: 1, status: 'draining' });
    await peer.ask({ type: 'register', key: 'lasting', values: 0, timeout: 'never' });
    await other.ask({ type: 'register', key: 'other', values: 0, timeout: 40 });
    daemon.clock.advance(4000);
    expect(await heartbeat(peer)).toEqual({ ok: true, held: 4 });
    const left = await peer.ask({ type: 'query', key: 'all', status: 'any', detail: true });
    expect(left['services']).toMatchObject([
      { key: 'plain', left: 10 },
      { key: 'owned', left: 20 },
      { key: 'bound', left: 30 },
      { key: 'lasting', left: 'never' },
      { key: 'other', left: 36 },
    ]);
    expect(daemon.server.registry.revision).toBe(5);
  });

  test('of a connection that holds nothing says so', async () => {
    await using daemon = await startDaemon();
    expect(await heartbeat(daemon.connect())).toEqual({ ok: true, held: 0 });
  });

  test('keeps thousands alive with one line and not one change', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await registerMany(peer, 5000, { timeout: 10 });
    for (let round = 0; round < 5; round += 1) {
      daemon.clock.advance(9000);
      expect(await heartbeat(peer)).toEqual({ ok: true, held: 5000 });
    }
    expect(daemon.server.registry.revision).toBe(5000);
  });

  test('counts for who registered last: a register over another connection moves it, silently', async () => {
    await using daemon = await startDaemon();
    const [first, second] = [daemon.connect(), daemon.connect()];
    const request = { type: 'register', key: 'a', values: 0, timeout: 10, owner: 'a' };
    await first.ask(request);
    daemon.clock.advance(5000);
    expect(await second.ask(request)).toMatchObject({ result: 'renewed' });
    expect(await heartbeat(first)).toEqual({ ok: true, held: 0 });
    expect(await heartbeat(second)).toEqual({ ok: true, held: 1 });
    await first.ask({ ...request, values: 1 });
    expect(await heartbeat(first)).toEqual({ ok: true, held: 1 });
    expect(await heartbeat(second)).toEqual({ ok: true, held: 0 });
  });

  test('names what ended since the last one, and why, once', async () => {
    await using daemon = await startDaemon();
    const [peer, other] = [daemon.connect(), daemon.connect()];
    await peer.ask({ type: 'register', key: 'expired', values: 0, timeout: 1 });
    await peer.ask({ type: 'register', key: 'destroyed', instance: 'i', values: 0 });
    await peer.ask({ type: 'register', key: 'taken', values: 0, owner: 'a' });
    await peer.ask({ type: 'register', key: 'kept', values: 0 });
    await other.ask({ type: 'destruction', key: 'destroyed', instance: '*' });
    await other.ask({ type: 'register', key: 'taken', values: 0, owner: 'b', takeover: true });
    daemon.clock.advance(1050);
    expect(await heartbeat(peer)).toEqual({
      ok: true,
      held: 1,
      ended: [
        { key: 'destroyed', instance: 'i', generation: 2, reason: 'destroyed' },
        { key: 'taken', generation: 3, reason: 'superseded' },
        { key: 'expired', generation: 1, reason: 'expired' },
      ],
    });
    expect(await heartbeat(peer)).toEqual({ ok: true, held: 1 });
  });

  test('does not renew what has expired, also where its end is still to be ordered', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ type: 'register', key: 'a', values: 0, timeout: 0.005 });
    daemon.clock.advance(5);
    expect(daemon.server.registry.size).toBe(1);
    const expired = { key: 'a', generation: 1, reason: 'expired' };
    expect(await heartbeat(peer)).toEqual({ ok: true, held: 0, ended: [expired] });
    daemon.clock.advance(50);
    expect(daemon.server.registry.size).toBe(0);
    expect(await heartbeat(peer)).toEqual({ ok: true, held: 0 });
  });

  test('does not name what the connection itself has destroyed', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    for (const instance of ['a', 'b', 'c']) {
      await peer.ask({ type: 'register', key: 's', instance, values: 0, owner: instance });
    }
    await peer.ask({ type: 'destruction', key: 's', instance: 'a', owner: 'a' });
    expect(await heartbeat(peer)).toEqual({ ok: true, held: 2 });
    await peer.ask({ type: 'destruction', key: 's', instance: '*' });
    expect(await heartbeat(peer)).toEqual({ ok: true, held: 0 });
  });

  test('is answered when what it names is durable, and not held up by anything else', async () => {
    const log = new HeldLog();
    await using daemon = await startDaemon({ log });
    const [peer, other] = [daemon.connect(), daemon.connect()];
    await registerHeld(peer, log);
    other.send({ type: 'register', key: 'b', values: 0 });
    await settle();
    expect(await heartbeat(peer)).toEqual({ ok: true, held: 1 });
    other.send({ type: 'destruction', key: 'a' });
    await settle();
    peer.send({ type: 'heartbeat' });
    await settle();
    expect(peer.waiting).toBe(0);
    log.commit();
    expect(await peer.receive()).toMatchObject({ held: 0, ended: [{ reason: 'destroyed' }] });
  });

  test('tells what does not fit its reply with the next one', async () => {
    await using daemon = await startDaemon({ maxReplyBytes: 250_000 });
    const [peer, other] = [daemon.connect(), daemon.connect()];
    await registerMany(peer, 6000, { timeout: 1 });
    daemon.clock.advance(1200);
    await settle();
    expect(await other.ask({ type: 'query', key: 'all' })).toMatchObject({ services: [] });
    const generations: number[] = [];
    for (let replies = 0; ; replies += 1) {
      peer.send({ type: 'heartbeat' });
      const line = await peer.line();
      expect(Buffer.byteLength(line)).toBeLessThanOrEqual(250_000);
      const { ended } = JSON.parse(line) as { ended?: { generation: number }[] };
      if (ended === undefined) {
        expect(replies).toBe(2);
        break;
      }
      generations.push(...ended.map(({ generation }) => generation));
    }
    expect(generations.sort((a, b) => a - b)).toEqual(Array.from({ length: 6000 }, (_, n) => n + 1));
  });

  test('remembers 10,000 that ended, and by what is held tells who lost more', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await registerMany(peer, 10_050, { timeout: 1 });
    daemon.clock.advance(1200);
    const reply = await heartbeat(peer);
    expect(reply['held']).toBe(0);
    expect(reply['ended']).toHaveLength(10_000);
    expect(await heartbeat(peer)).toEqual({ ok: true, held: 0 });
  });
});

async function registerHeld(peer: Peer, log: HeldLog): Promise<void> {
  peer.send({ type: 'register', key: 'a', values: 0 });
  await settle();
  log.commit();
  expect(await peer.receive()).toMatchObject({ result: 'registered' });
}

test('holders keep apart what each of them holds, in whatever order it comes, moves, changes and goes', () => {
  const create = (generation: number, revision: number): Instance =>
    instanceOf({
      kind: 'register',
      key: 's',
      instance: `i${generation}`,
      generation,
      revision,
      at: 0,
      registered: 0,
      ttl: 1,
      body: '',
      expiresAt: 1,
      ...PLAIN,
    });
  const step = fc.record({
    act: fc.constantFrom('hold', 'hold', 'hold', 'change', 'lose', 'release', 'close'),
    which: fc.nat(9),
    holder: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const holders = Array.from({ length: 3 }, (_, n) => new Holder(`peer ${n}`, 0));
      const instances = Array.from({ length: 10 }, (_, n) => create(n, n));
      /** Who holds what, by index. */
      const model = new Map<number, number>();
      const lost = holders.map(() => [] as number[]);
      const closed = new Set<number>();
      steps.forEach(({ act, which, holder: chosen }, at) => {
        const instance = instances[which];
        const holder = holders[chosen];
        if (instance === undefined || holder === undefined) throw new Error('no such place');
        if (act === 'hold') {
          holder.hold(instance);
          if (closed.has(chosen)) model.delete(which);
          else model.set(which, chosen);
        } else if (act === 'change') {
          const changed = create(which, at + 10);
          instance.holder?.replace(instance, changed);
          instances[which] = changed;
        } else if (act === 'lose') {
          const held = model.get(which);
          instance.holder?.lose(instance, 'destroyed', at + 10);
          if (held !== undefined) lost[held]?.push(which);
          model.delete(which);
        } else if (act === 'release') {
          instance.holder?.release(instance);
          model.delete(which);
        } else {
          holder.close(1);
          closed.add(chosen);
          lost[chosen] = [];
          for (const [index, by] of model) if (by === chosen) model.delete(index);
        }
        holders.forEach((each, number) => {
          const wanted = [...model].filter(([, by]) => by === number).map(([index]) => `i${index}`);
          expect(each.held.map(({ id }) => id).sort()).toEqual(wanted.sort());
          each.held.forEach((found, place) => {
            expect(found).toBe(instances[found.generation]);
            expect(found.grip).toBe(place);
          });
        });
      });
      holders.forEach((each, number) => {
        expect(each.untold(Number.POSITIVE_INFINITY).map(({ generation }) => generation)).toEqual(lost[number]);
      });
    }),
  );
});
