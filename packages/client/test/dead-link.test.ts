import type { Clock, Timer } from '@reg/protocol';
import { describe, expect, test } from 'vitest';
import { settle } from './fake-daemon.js';
import { record, WatchedDaemon } from './fake-watches.js';

/** A daemon that promises to say something every 10 s, and a client with a live discovery. */
async function live(makeClock = (clock: Clock) => clock) {
  const daemon = new WatchedDaemon();
  daemon.other = () => undefined;
  const client = daemon.client({ clock: makeClock(daemon.clock) });
  const payments = client.discover('payments', { cache: false });
  const sources: string[] = [];
  payments.on('source', ({ source }) => sources.push(source));
  await settle();
  daemon.tellState([record('a')]);
  await settle();
  return { daemon, client, payments, sources };
}

describe('a daemon that has gone silent', () => {
  test('is asked after one and a half times what it promised, and the view is stale', async () => {
    const { daemon, payments } = await live();
    await daemon.pass(14_900, 100);
    expect(daemon.requestsOf('ping')).toEqual([]);
    expect(payments.source).toBe('live');
    await daemon.pass(200, 100);
    expect(daemon.requestsOf('ping')).toHaveLength(1);
    expect(payments.source).toBe('stale');
    expect(payments.age).toBeGreaterThanOrEqual(15_000);
    expect(payments.pick()?.instance).toBe('a');
  });

  test('is given up half as long later, and the watch resumes elsewhere', async () => {
    const { daemon, payments, sources } = await live();
    await daemon.pass(19_900, 100);
    expect(daemon.dials).toBe(1);
    await daemon.pass(300, 50);
    expect(daemon.dials).toBe(2);
    expect(daemon.watches).toMatchObject([{ epoch: 'one', after: 100 }]);
    daemon.tell({ type: 'synced', watch: 1, epoch: 'one', revision: 100 });
    await settle();
    expect(sources).toEqual(['live', 'stale', 'live']);
    expect(payments.age).toBe(0);
  });

  test('that answers after all keeps its connection', async () => {
    const { daemon, payments } = await live();
    await daemon.pass(15_500, 100);
    daemon.last.reply({});
    await settle();
    expect(payments.source).toBe('live');
    await daemon.pass(14_000, 100);
    expect(daemon.dials).toBe(1);
    expect(daemon.requestsOf('ping')).toHaveLength(1);
    await daemon.pass(1500, 100);
    expect(daemon.requestsOf('ping')).toHaveLength(2);
  });

  test.each([
    ['an event', { type: 'change', watch: 1, revision: 101, at: 1, change: 'registered', service: record('b') }],
    ['progress', { type: 'progress', revision: 101 }],
  ])('that says %s after all is live again', async (_, event) => {
    const { daemon, payments, sources } = await live();
    await daemon.pass(15_500, 100);
    daemon.tell(event);
    await settle();
    expect(sources).toEqual(['live', 'stale', 'live']);
    expect(payments.revision).toBe(101);
  });
});

test('progress every few seconds keeps a connection for ever', async () => {
  const { daemon, payments, sources } = await live();
  for (let second = 0; second < 120; second += 5) {
    await daemon.pass(5000, 1000);
    daemon.tell({ type: 'progress', revision: 100 });
    await settle();
  }
  expect(daemon.requestsOf('ping')).toEqual([]);
  expect(sources).toEqual(['live']);
  expect(payments.age).toBe(0);
});

test('a process that was stopped reads what has come before it takes the daemon for dead', async () => {
  // As in Node: due timers come before what there is to be read, and a timer that they set comes after it.
  const { daemon, sources } = await live((clock) => ({
    monotonic: () => clock.monotonic(),
    wall: () => clock.wall(),
    after: (ms, action) => (ms > 0 ? clock.after(ms, action) : afterTurn(action)),
  }));
  daemon.clock.stall(60_000);
  daemon.tell({ type: 'progress', revision: 100 });
  await settle();
  await settle();
  expect(sources).toEqual(['live']);
  expect(daemon.requestsOf('ping')).toEqual([]);
});

test('a daemon that does not even answer the watch is given up after requestTimeout', async () => {
  const daemon = new WatchedDaemon();
  daemon.script = () => undefined;
  daemon.client().discover('payments', { cache: false });
  await daemon.pass(4900, 100);
  expect(daemon.dials).toBe(1);
  await daemon.pass(300, 50);
  expect(daemon.dials).toBe(2);
});

test('without a watch nobody listens for a silence', async () => {
  const { daemon, payments } = await live();
  payments.close();
  daemon.last.reply({});
  await daemon.pass(60_000, 1000);
  expect(daemon.requestsOf('ping')).toEqual([]);
  expect(daemon.clock.timers).toBe(0);
});

function afterTurn(action: () => void): Timer {
  const immediate = setImmediate(action);
  return { cancel: () => clearImmediate(immediate), ref: () => {} };
}
