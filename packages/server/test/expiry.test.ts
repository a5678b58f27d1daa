import { RegistryError } from '@reg/protocol';
import { describe, expect, test, vi } from 'vitest';
import { MemoryLog } from '../src/log/memory.js';
import { changesAfter } from './changes.js';
import { startDaemon } from './harness.js';
import { turn } from './settle.js';

describe('the daemon', () => {
  test('expires by itself within 50 ms of the deadline, as an ordered change', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    for (let ttl = 0.5; ttl < 1.5; ttl += 0.007)
      await peer.ask({ type: 'register', key: `s${ttl}`, values: 0, timeout: ttl });
    const { registry, clock } = daemon.server;
    const due = new Map(registry.all().map((instance) => [instance.generation, instance.expiresAt]));
    let latest = 0;
    while (registry.size > 0) {
      daemon.clock.advance(1);
      for (const change of changesAfter(registry.history, due.size) ?? []) {
        const deadline = change.kind === 'expire' ? due.get(change.generation) : undefined;
        if (deadline === undefined) continue;
        due.delete(change.kind === 'expire' ? change.generation : 0);
        expect(clock.now()).toBeGreaterThanOrEqual(deadline);
        latest = Math.max(latest, clock.now() - deadline);
      }
      if (daemon.clock.monotonic() > 5000) break;
    }
    expect(registry.size).toBe(0);
    expect(latest).toBeLessThan(50);
  });

  test('does not let a query see what has expired, however late its end is', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ type: 'register', key: 'a', values: 0, timeout: 0.005 });
    daemon.clock.advance(5);
    expect(daemon.server.registry.size).toBe(1);
    expect(await peer.ask({ type: 'query', key: 'a' })).toMatchObject({ services: [] });
    expect(await peer.ask({ type: 'query', key: 'all' })).toMatchObject({ services: [] });
    expect(await peer.ask({ type: 'destruction', key: 'a' })).toMatchObject({ removed: 0, left: 0 });
  });

  test('lets nobody expire because it was stopped itself', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ type: 'register', key: 'a', values: 0, timeout: 10 });
    daemon.clock.advance(4000);
    daemon.clock.stall(60_000);
    expect((await peer.ask({ type: 'query', key: 'a', detail: true }))['services']).toMatchObject([{ left: 6 }]);
    expect(daemon.server.clock.excluded).toBeGreaterThanOrEqual(60_000);
    daemon.clock.advance(5999);
    expect((await peer.ask({ type: 'query', key: 'a' }))['services']).toHaveLength(1);
    daemon.clock.advance(60);
    expect((await peer.ask({ type: 'query', key: 'a' }))['services']).toEqual([]);
  });

  test('hides what has expired, and lets time go on, while the log takes no changes', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ type: 'register', key: 'a', values: 0, timeout: 1 });
    await peer.ask({ type: 'register', key: 'b', values: 0, timeout: 10 });
    const propose = vi.spyOn(MemoryLog.prototype, 'propose').mockImplementation(() => {
      throw new RegistryError('storage_full');
    });
    daemon.clock.advance(5000);
    expect(await peer.ask({ type: 'query', key: 'all', detail: true })).toMatchObject({
      services: [{ key: 'b', left: 5 }],
    });
    expect(propose.mock.calls.length).toBeLessThan(10);
    propose.mockRestore();
    expect(daemon.server.registry.size).toBe(2);
    daemon.clock.advance(1050);
    expect(daemon.server.registry.size).toBe(1);
  });

  test('ends what has expired before it closes, so that no restart brings it back', async () => {
    const daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ type: 'register', key: 'a', values: 0, timeout: 0.005 });
    await peer.ask({ type: 'register', key: 'b', values: 0, timeout: 1 });
    daemon.clock.advance(5);
    expect(daemon.server.registry.size).toBe(2);
    await daemon[Symbol.asyncDispose]();
    expect(daemon.server.registry.all().map(({ key }) => key)).toEqual(['b']);
  });

  test('takes no notice of the wall clock being set', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ type: 'register', key: 'a', values: 0, timeout: 10 });
    daemon.clock.jumpWall(86_400_000);
    daemon.clock.advance(5000);
    daemon.clock.jumpWall(-2 * 86_400_000);
    expect((await peer.ask({ type: 'query', key: 'a', detail: true }))['services']).toMatchObject([{ left: 5 }]);
  });

  test('ends a mass of instances in bounded turns, between which it answers', async () => {
    await using daemon = await startDaemon();
    const { registry } = daemon.server;
    const peer = daemon.connect();
    const lines = Array.from(
      { length: 10_000 },
      (_, n) => `{"type":"register","key":"s${n}","values":0,"timeout":1}\n`,
    );
    peer.send(lines.join(''));
    while (peer.waiting < 10_000) await turn();
    daemon.clock.advance(999);
    const before = registry.revision;
    daemon.clock.advance(1);
    expect(registry.revision - before).toBeGreaterThan(0);
    expect(registry.revision - before).toBeLessThanOrEqual(10_000);
    daemon.clock.advance(50);
    expect(registry.size).toBe(0);
  });
});
