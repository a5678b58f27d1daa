import { describe, expect, test } from 'vitest';
import type { Difference, DiscoverOptions, Discovery } from '../src/index.js';
import { failure, later, outcome, settle } from './fake-daemon.js';
import { record, WatchedDaemon } from './fake-watches.js';

function discover(options: DiscoverOptions = {}, mode: WatchedDaemon['mode'] = 'up') {
  const daemon = new WatchedDaemon();
  daemon.mode = mode;
  const client = daemon.client();
  const payments = client.discover('payments', { cache: false, ...options });
  return { daemon, client, payments };
}

function names(discovery: Discovery): string[] {
  return discovery.instances.map(({ instance = '' }) => instance);
}

describe('a discovery', () => {
  test('knows nothing until the registry has answered', async () => {
    const { payments } = discover();
    expect(payments).toMatchObject({ source: 'none', age: Number.POSITIVE_INFINITY, revision: undefined });
    expect(payments.pick()).toBeUndefined();
    expect(payments.instances).toEqual([]);
  });

  test('has what the registry says, and what it says later', async () => {
    const { daemon, payments } = discover();
    const ready = payments.ready();
    await settle();
    expect(daemon.watches).toEqual([{ type: 'watch', key: 'payments', ack: true }]);
    daemon.tellState([record('a', { values: 'x@10.0.0.1:80', tags: ['v2'], meta: { zone: 'z' }, weight: 3 })]);
    expect(await ready).toBe(payments);
    expect(payments).toMatchObject({ source: 'live', age: 0, revision: 100, warming: false });
    const a = payments.pick();
    expect(a).toMatchObject({
      key: 'payments',
      instance: 'a',
      values: 'x@10.0.0.1:80',
      address: { host: '10.0.0.1', port: 80 },
      tags: ['v2'],
      meta: { zone: 'z' },
      weight: 3,
      status: 'passing',
      generation: 1,
      inFlight: 0,
    });
    daemon.tellChange(101, record('b'));
    await settle();
    expect(names(payments)).toEqual(['a', 'b']);
    expect(payments.revision).toBe(101);
  });

  test('an instance that becomes suspect is not picked from then on', async () => {
    const { daemon, payments } = discover();
    await settle();
    daemon.tellState([record('a'), record('b')]);
    await settle();
    expect(new Set([payments.pick()?.instance, payments.pick()?.instance])).toEqual(new Set(['a', 'b']));
    daemon.tellChange(101, record('a', { status: 'suspect' }), 'updated');
    await settle();
    expect([payments.pick()?.instance, payments.pick()?.instance]).toEqual(['b', 'b']);
    expect(payments.all.map(({ instance }) => instance)).toEqual(['a', 'b']);
  });

  test('tells what changes, and shows it already when it does', async () => {
    const { daemon, payments } = discover();
    const seen: string[] = [];
    payments.on('change', ({ added, removed, changed }: Difference) => {
      const list = [added, removed, changed].map((instances) => instances.map(({ instance }) => instance).join('+'));
      seen.push(`${list.join(' ')} ${payments.source} ${payments.pick()?.instance}`);
    });
    payments.on('source', ({ source }) => seen.push(source));
    await settle();
    daemon.tellState([record('a')]);
    daemon.tellChange(101, record('a'), 'updated');
    daemon.tellChange(102, { key: 'payments', instance: 'a', generation: 1 }, 'expired');
    daemon.tell({ type: 'progress', revision: 110 });
    await settle();
    expect(seen).toEqual(['a   live a', 'live', '  a live a', ' a  live undefined']);
    expect(payments.revision).toBe(110);
  });

  test('goes on to answer without a connection, and says since when', async () => {
    const { daemon, payments } = discover();
    await settle();
    daemon.tellState([record('a')]);
    await daemon.pass(400);
    daemon.mode = 'refusing';
    daemon.last.close();
    await daemon.pass(2000, 100);
    expect(payments).toMatchObject({ source: 'stale', age: 2400, revision: 100 });
    expect(names(payments)).toEqual(['a']);
    expect(await payments.ready()).toBe(payments);
    daemon.mode = 'up';
    await daemon.pass(2000, 100);
    expect(payments.source).toBe('stale');
    daemon.tell({ type: 'synced', watch: 1, epoch: 'one', revision: 120 });
    await settle();
    expect(payments).toMatchObject({ source: 'live', age: 0, revision: 120 });
  });

  test('is stale from a reset until the new state is whole', async () => {
    const { daemon, payments } = discover();
    await settle();
    daemon.tellState([record('a')]);
    daemon.tell({ type: 'reset', watch: 1, reason: 'compacted' }, { type: 'state', watch: 1, services: [record('b')] });
    await settle();
    expect(payments).toMatchObject({ source: 'stale', revision: 100 });
    expect(names(payments)).toEqual(['a']);
    daemon.tell({ type: 'synced', watch: 1, epoch: 'one', revision: 300 });
    await settle();
    expect(payments).toMatchObject({ source: 'live', revision: 300 });
    expect(names(payments)).toEqual(['b']);
  });

  test('keeps what a registry that has just restarted does not list', async () => {
    const { daemon, payments } = discover();
    await settle();
    daemon.tellState([record('a'), record('b')]);
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    daemon.tell({ type: 'reset', watch: 1, reason: 'epoch' });
    daemon.tellState([], { epoch: 'two', revision: 0, warming: true });
    await settle();
    expect(payments).toMatchObject({ source: 'live', warming: true });
    expect(names(payments)).toEqual(['a', 'b']);
    expect(payments.all.map(({ status }) => status)).toEqual(['suspect', 'suspect']);
    daemon.tellChange(1, record('a'));
    daemon.tell({ type: 'synced', watch: 1, epoch: 'two', revision: 1 });
    await settle();
    expect(payments.warming).toBe(false);
    expect(names(payments)).toEqual(['a']);
  });

  test('two of the same in one client go their own ways', async () => {
    const { daemon, client, payments } = discover();
    const others = client.discover('payments', { cache: false, tags: ['v2'] });
    await settle();
    const services = [record('a'), record('b', { tags: ['v2'] })];
    daemon.tellState(services, {}, 1);
    daemon.tellState(services, {}, 2);
    await settle();
    expect([names(payments), names(others)]).toEqual([['a', 'b'], ['b']]);
    payments.close();
    await settle();
    expect(daemon.requestsOf('unwatch')).toEqual([{ type: 'unwatch', watch: 1 }]);
    daemon.tellChange(101, record('c', { tags: ['v2'] }), 'registered', 2);
    await settle();
    expect(names(others)).toEqual(['b', 'c']);
  });
});

describe('picking', () => {
  test.each([
    ['in turns unless told otherwise', {}, ['b', 'c', 'a', 'b']],
    ['from the own zone first', { zone: 'z2' }, ['b', 'b', 'b', 'b']],
    ['from all where the own zone has none', { zone: 'z9' }, ['b', 'c', 'a', 'b']],
  ])('%s', async (_, options, picked) => {
    const { daemon, payments } = discover(options);
    await settle();
    daemon.tellState(['a', 'b', 'c'].map((name, index) => record(name, { meta: { zone: `z${index + 1}` } })));
    await settle();
    expect(picked.map(() => payments.pick()?.instance)).toEqual(picked);
  });

  test('by key', async () => {
    const { daemon, payments } = discover({ balance: 'rendezvous' });
    await settle();
    daemon.tellState(['a', 'b', 'c', 'd'].map((name) => record(name)));
    await settle();
    const first = payments.pick('customer 7');
    daemon.tellChange(101, record('e'));
    daemon.tellChange(102, { key: 'payments', instance: 'e', generation: 1 }, 'expired');
    await settle();
    expect(payments.pick('customer 7')).toBe(first);
  });

  test('by what is in flight', async () => {
    const { daemon, payments } = discover({ balance: 'power-of-two' });
    await settle();
    daemon.tellState([record('a'), record('b')]);
    await settle();
    const first = payments.pick();
    if (!first) throw new Error('nothing is there');
    const end = payments.track(first);
    expect(first.inFlight).toBe(1);
    expect(payments.pick()).not.toBe(first);
    end();
    expect(payments.pick()).toBe(first);
  });
});

describe('waiting until it is ready', () => {
  test('rejects when its time is over, and says why', async () => {
    const { daemon, payments } = discover({}, 'refusing');
    const ready = later(payments.ready({ timeout: 2000 }));
    await daemon.pass(1900, 100);
    expect(await outcome(ready)).toBe('pending');
    await daemon.pass(100);
    expect(await failure(ready)).toMatchObject({ code: 'connect_failed' });
    daemon.mode = 'up';
    const again = later(payments.ready());
    await daemon.pass(2000, 100);
    daemon.tellState([]);
    expect(await outcome(again)).toBe('ok');
  });

  test('resolves also where there is no instance', async () => {
    const { daemon, payments } = discover();
    const ready = later(payments.ready());
    await settle();
    daemon.tellState([]);
    expect(await outcome(ready)).toBe('ok');
  });

  test('rejects at once where the daemon will not have it, though it goes on trying', async () => {
    const { daemon, payments } = discover();
    daemon.refusals.push('unknown_type');
    expect(await outcome(payments.ready())).toBe('unknown_type');
    await daemon.pass(100);
    daemon.tellState([record('a')]);
    await settle();
    expect(payments.source).toBe('live');
  });

  test('waits where the daemon has no room for it, and then says that', async () => {
    const { daemon, payments } = discover();
    daemon.refusals.push(...Array.from({ length: 100 }, () => 'too_many_watches'));
    const ready = later(payments.ready());
    await daemon.pass(4900, 100);
    expect(await outcome(ready)).toBe('pending');
    await daemon.pass(100);
    expect(await outcome(ready)).toBe('too_many_watches');
  });

  test('can be given up', async () => {
    const { payments } = discover();
    const abort = new AbortController();
    const ready = later(payments.ready({ signal: abort.signal }));
    abort.abort();
    expect(await outcome(ready)).toBe('aborted');
    expect(await outcome(payments.ready({ signal: abort.signal }))).toBe('aborted');
  });

  test('rejects at once with reconnect: false where there is no daemon, and looks again when asked again', async () => {
    const daemon = new WatchedDaemon();
    daemon.mode = 'refusing';
    const payments = daemon.client({ reconnect: false }).discover('payments', { cache: false });
    await daemon.pass(5000, 500);
    expect(daemon.dials).toBe(1);
    expect(await outcome(payments.ready())).toBe('connect_failed');
    daemon.mode = 'up';
    const ready = later(payments.ready());
    await settle();
    daemon.tellState([]);
    expect(await outcome(ready)).toBe('ok');
  });
});

describe('acknowledging', () => {
  test('comes when the view has it, once for a turn, and for nothing but what drains', async () => {
    const { daemon, payments } = discover();
    await settle();
    daemon.tellState([record('a'), record('b'), record('c')]);
    await settle();
    const atChange: number[] = [];
    payments.on('change', () => atChange.push(daemon.requestsOf('ack').length));
    const change = { type: 'change', watch: 1, at: 1, change: 'updated' };
    daemon.tell(
      { ...change, revision: 101, service: record('a', { status: 'draining' }) },
      { ...change, revision: 102, service: record('b', { status: 'draining' }) },
      { ...change, revision: 103, service: record('c') },
    );
    await settle();
    expect(daemon.requestsOf('ack')).toEqual([{ type: 'ack', watch: 1, revision: 102 }]);
    expect(atChange).toEqual([0, 0, 0]);
  });
});

describe('the end', () => {
  test('of a discovery leaves its last answer, and ends the watch', async () => {
    const { daemon, payments } = discover();
    await settle();
    daemon.tellState([record('a')]);
    await settle();
    payments.on('change', () => expect.unreachable());
    payments.on('source', () => expect.unreachable());
    payments[Symbol.dispose]();
    daemon.tellChange(101, record('b'));
    await settle();
    expect(daemon.requestsOf('unwatch')).toHaveLength(1);
    expect(payments.source).toBe('stale');
    expect(names(payments)).toEqual(['a']);
    expect(await outcome(payments.ready())).toBe('closed');
  });

  test('does not make a stale answer younger', async () => {
    const { daemon, payments } = discover();
    await settle();
    daemon.tellState([record('a')]);
    await settle();
    daemon.last.close();
    daemon.refusals.push(...Array.from({ length: 100 }, () => 'too_many_watches'));
    await daemon.pass(60_000, 500);
    expect(payments).toMatchObject({ source: 'stale', age: 60_000 });
    payments.close();
    expect(payments).toMatchObject({ source: 'stale', age: 60_000 });
  });

  test('of a discovery that another hears of when the connection breaks leaves no trace on the next', async () => {
    const { daemon, client, payments } = discover();
    const orders = client.discover('orders', { cache: false });
    await settle();
    for (const watch of [1, 2]) daemon.tellState([], {}, watch);
    await settle();
    payments.on('source', () => orders.close());
    daemon.last.close();
    await daemon.pass(50);
    expect(daemon.last.requests).toMatchObject([{ type: 'watch', key: 'payments' }]);
  });

  test('of the client ends those who wait', async () => {
    const { client, payments } = discover();
    const ready = later(payments.ready());
    await client.close();
    expect(await outcome(ready)).toBe('closed');
    expect(() => client.discover('payments')).toThrow('the client is closed');
  });
});

test.each([
  [{ balance: 'fastest' }, 'bad_config'],
  [{ cache: '' }, 'bad_config'],
])('the options %j are refused', (options, code) => {
  const client = new WatchedDaemon().client();
  // What TypeScript would not let through, JavaScript may.
  const call: unknown = Reflect.get(client, 'discover');
  if (typeof call !== 'function') throw new Error('no such method');
  expect(() => call.call(client, 'payments', options)).toThrow(expect.objectContaining({ code }));
});
