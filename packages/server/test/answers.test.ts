import { describe, expect, it } from 'vitest';
import { type Peer, type Received, startDaemon } from './harness.js';
import { settle } from './settle.js';

const QUERY = { type: 'query', key: 'redis' };

/** The values of the service, asked for twice: the second answer is the one that was kept. */
async function values(peer: Peer): Promise<unknown[]> {
  const [made, kept] = [await peer.ask(QUERY), await peer.ask(QUERY)];
  expect(kept).toEqual(made);
  return (made['services'] as { values: unknown }[]).map((service) => service.values);
}

function register(peer: Peer, values: string, more: object = {}): Promise<Received> {
  return peer.ask({ type: 'register', key: 'redis', values, timeout: 30, ...more });
}

describe('an answer that was kept', () => {
  it('is given up when the service changes', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await register(peer, 'a');
    expect(await values(peer)).toEqual(['a']);
    await register(peer, 'b');
    expect(await values(peer)).toEqual(['b']);
    await register(peer, 'c', { instance: 'other' });
    expect(await values(peer)).toEqual(['b', 'c']);
    await peer.ask({ type: 'destruction', key: 'redis' });
    expect(await values(peer)).toEqual(['c']);
  });

  it('is given up at the moment when the first of it expires', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await register(peer, 'long');
    await register(peer, 'short', { instance: 'other', timeout: 0.01 });
    expect(await values(peer)).toEqual(['long', 'short']);
    // Before the expiry loop has come to it.
    daemon.clock.advance(10);
    expect(await values(peer)).toEqual(['long']);
  });

  it('is not given up for a renewal, and holds as long as that', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await register(peer, 'a');
    for (let seconds = 0; seconds < 60; seconds += 20) {
      expect(await values(peer)).toEqual(['a']);
      await settle();
      daemon.clock.advance(20_000);
      await register(peer, 'a');
    }
    daemon.clock.advance(30_000);
    expect(await values(peer)).toEqual([]);
  });

  it('says that the daemon is warming for no longer than it is', async () => {
    await using daemon = await startDaemon({ grace: 15 });
    const peer = daemon.connect();
    await register(peer, 'a');
    expect(await peer.ask(QUERY)).toHaveProperty('warming', true);
    daemon.clock.advance(14_999);
    expect(await peer.ask(QUERY)).toHaveProperty('warming', true);
    daemon.clock.advance(1);
    expect(await peer.ask(QUERY)).not.toHaveProperty('warming');
  });

  it('is given up when the connection breaks that its instance is bound to', async () => {
    await using daemon = await startDaemon();
    const [owner, peer] = [daemon.connect(), daemon.connect()];
    await register(owner, 'a', { linger: 5 });
    expect(await values(peer)).toEqual(['a']);
    owner.hangUp();
    await settle();
    daemon.clock.advance(100);
    expect((await peer.ask(QUERY))['services']).toMatchObject([{ status: 'suspect' }]);
    daemon.clock.advance(5000);
    expect(await values(peer)).toEqual([]);
  });

  it('is not given to who asks for something else', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await register(peer, 'a');
    await values(peer);
    expect(await peer.ask({ ...QUERY, id: 7 })).toHaveProperty('id', 7);
    expect((await peer.ask({ ...QUERY, detail: true }))['services']).toMatchObject([{ left: 30 }]);
    expect((await peer.ask({ ...QUERY, status: 'critical' }))['services']).toEqual([]);
    expect((await peer.ask({ ...QUERY, instance: 'other' }))['services']).toEqual([]);
  });
});
