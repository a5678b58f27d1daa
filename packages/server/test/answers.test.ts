import assert from 'node:assert/strict';
import { describe, expect, it, test } from 'vitest';
import { Answers } from '../src/registry/answers.js';
import { Instance } from '../src/registry/instance.js';
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

test('answers that are asked for again are kept, however many there are', () => {
  const answers = new Answers();
  answers.keep('asked for', 'x', 1, 10);
  answers.keep('forgotten', 'x', 1, 10);
  for (let n = 0; n < 100_000; n += 1) {
    answers.keep(`service-${n}`, 'x', 1, 10);
    if (n % 10_000 === 0) answers.get('asked for', 0);
  }
  expect(answers.get('asked for', 0)).toMatchObject({ line: 'x' });
  expect(answers.get('forgotten', 0)).toBeUndefined();
});

test('an answer that is dropped is gone, be it young or old', () => {
  const answers = new Answers();
  for (let n = 0; n < 20_000; n += 1) answers.keep(`service-${n}`, 'x', 1, 10);
  for (const service of ['service-0', 'service-19999']) {
    expect(answers.get(service, 0)).toBeDefined();
    answers.drop(service);
    expect(answers.get(service, 0)).toBeUndefined();
  }
});

test('the answer to a renewal is kept by the instance, until as many others were renewed', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await register(peer, 'a');
  const instance = daemon.server.registry.find('redis', '');
  assert.ok(instance !== undefined);
  expect(instance.renewal).toBeUndefined();
  const answer = await register(peer, 'a');
  expect(answer).toMatchObject({ result: 'renewed', generation: instance.generation });
  expect(instance.renewal?.line).toBe(`${JSON.stringify(answer)}\r\n`);
  expect(await register(peer, 'a')).toEqual(answer);
  expect(await register(peer, 'a', { id: 7 })).toEqual({ ...answer, id: 7 });

  const { answers } = daemon.server.registry;
  const other = (): Instance => new Instance(instance, instance.terms, instance);
  for (let n = 0; n < 16_383; n += 1) answers.keepRenewal(other(), 'x');
  expect(instance.renewal).toBeDefined();
  answers.keepRenewal(other(), 'x');
  expect(instance.renewal).toBeUndefined();
});
