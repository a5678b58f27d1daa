import { describe, expect, test } from 'vitest';
import { connect, type Endpoints } from '../src/index.js';
import { FakeDaemon, FakeRegistry, failure, later, outcome, settle } from './fake-daemon.js';

function started(endpoints: Endpoints = 'a.test:1,b.test:2,c.test:3', options = {}) {
  const daemon = new FakeDaemon();
  const registry = new FakeRegistry();
  daemon.script = registry.script;
  daemon.endpoints = endpoints;
  return { daemon, registry, client: daemon.client(options) };
}

test.each([
  ['a text with commas', 'reg://a.test:1, b.test:2'],
  ['an array of texts', ['a.test:1', 'reg://b.test:2']],
  ['an array of both', ['a.test:1', { host: 'b.test', port: 2 }]],
])('several endpoints may be given as %s', async (_, endpoints) => {
  const { daemon, client } = started(endpoints);
  daemon.mode = 'refusing';
  later(client.ping());
  await daemon.pass(500);
  expect(daemon.dialled.slice(0, 4)).toEqual(['a.test:1', 'b.test:2', 'a.test:1', 'b.test:2']);
});

test.each([
  ['none', []],
  ['an empty one', 'a,,b'],
  ['a bad one', ['a', { host: 'b', port: 0 }]],
])('%s is no endpoint', (_, endpoints) => {
  expect(() => connect(endpoints)).toThrow(expect.objectContaining({ code: 'bad_endpoint' }));
});

test('who closes while one of them is dialled in vain tries the others, too', async () => {
  const { daemon, registry, client } = started('a.test:1,b.test:2');
  await client.register('s', 1, { linger: null });
  daemon.mode = 'refusing';
  daemon.last.close();
  await daemon.pass(2000);
  daemon.mode = 'silent';
  const refused = daemon.dials;
  while (daemon.dials === refused) await daemon.pass(50);
  const closed = client.close();
  daemon.mode = 'up';
  await daemon.pass(3000);
  expect(await outcome(closed)).toBe('ok');
  expect(new Set(daemon.dialled.slice(refused)).size).toBe(2);
  expect(registry.instances.size).toBe(0);
});

test('the first is preferred, and kept while it works', async () => {
  const { client } = started();
  const connected: string[] = [];
  client.on('connect', ({ endpoint }) => connected.push(endpoint.host));
  await client.ping();
  await client.ping();
  expect(connected).toEqual(['a.test']);
});

test('a round over all of them is quick, and the bound doubles from round to round', async () => {
  const { daemon, client } = started(undefined, { requestTimeout: 60_000 });
  daemon.mode = 'refusing';
  const told: [string, number][] = [];
  client.on('retry', ({ endpoint, delay }) => told.push([endpoint.host, delay]));
  later(client.ping());
  await daemon.pass(2000, 10);
  expect(told.slice(0, 9)).toEqual([
    ['a.test', 50],
    ['b.test', 50],
    ['c.test', 50],
    ['a.test', 50],
    ['b.test', 50],
    ['c.test', 100],
    ['a.test', 50],
    ['b.test', 50],
    ['c.test', 200],
  ]);
});

test('what was registered goes over to the next within its linger', async () => {
  const { daemon, client } = started();
  const registration = await client.register('s', 1, { ttl: 3 });
  const lost: string[] = [];
  registration.on('lost', ({ reason }) => lost.push(reason));
  daemon.last.close();
  await daemon.pass(400);
  expect(daemon.dialled).toEqual(['a.test:1', 'b.test:2']);
  expect(daemon.last.requests).toMatchObject([{ type: 'register', generation: 1 }]);
  daemon.last.close();
  await daemon.pass(400);
  expect(daemon.dialled).toEqual(['a.test:1', 'b.test:2', 'c.test:3']);
  expect(lost).toEqual([]);
});

test('an error names the endpoint that it is about, or all where none could be reached', async () => {
  const { daemon, client } = started('a.test:1,b.test:2');
  daemon.script = () => undefined;
  const sent = later(client.destroy('s'));
  await settle();
  daemon.mode = 'refusing';
  daemon.last.close();
  expect((await failure(sent)).message).toContain('to a.test:1 broke');
  const waiting = later(client.ping());
  await daemon.pass(5000);
  expect((await failure(waiting)).message).toBe(
    'cannot connect to the daemon at a.test:1 or b.test:2: connect ECONNREFUSED',
  );
});

describe('with reconnect: false', () => {
  test('each endpoint is tried once', async () => {
    const { daemon, client } = started(undefined, { reconnect: false });
    daemon.mode = 'refusing';
    const ping = later(client.ping());
    await daemon.pass(0);
    await daemon.pass(1);
    await daemon.pass(1);
    expect(await outcome(ping)).toBe('connect_failed');
    expect(daemon.dialled).toEqual(['a.test:1', 'b.test:2', 'c.test:3']);
  });

  test('the one that works is found', async () => {
    const { daemon, client } = started(undefined, { reconnect: false });
    daemon.mode = 'refusing';
    const ping = client.ping();
    await settle();
    daemon.mode = 'up';
    await daemon.pass(1);
    await ping;
    expect(daemon.dialled).toEqual(['a.test:1', 'b.test:2']);
  });
});
