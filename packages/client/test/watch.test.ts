import type { Clock } from '@reg/protocol';
import { describe, expect, test } from 'vitest';
import type { Watch, WatchEvent } from '../src/index.js';
import { failure, later, outcome, settle } from './fake-daemon.js';
import { record, WatchedDaemon } from './fake-watches.js';

/** Reads on and on, as `for await` does, and keeps what it has read. */
function follow(watch: Watch): { readonly events: WatchEvent[]; readonly end: Promise<void> } {
  const events: WatchEvent[] = [];
  const read = async () => {
    for await (const event of watch) events.push(event);
  };
  return { events, end: later(read()) };
}

/** An event as a short word. */
function word(event: WatchEvent): string {
  if (event.type === 'reset') return `reset ${event.reason}`;
  if (event.type === 'state') return `state ${event.services.length}`;
  if (event.type === 'synced') return `synced ${event.epoch} ${event.revision}`;
  return `${event.change} ${event.service.instance} ${event.revision}`;
}

const gone = (instance: string) => ({ key: 'payments', instance, generation: 1 });

describe('a watch', () => {
  test('tells the state, synced and each change, without the numbers of the wire', async () => {
    const daemon = new WatchedDaemon();
    const { events } = follow(daemon.client().watch('payments'));
    await settle();
    const a = record('a');
    daemon.tellState([a]);
    daemon.tellChange(101, gone('a'), 'expired');
    await settle();
    expect(daemon.watches).toEqual([{ type: 'watch', key: 'payments' }]);
    expect(events).toEqual([
      { type: 'state', services: [a] },
      { type: 'synced', epoch: 'one', revision: 100 },
      { type: 'change', revision: 101, at: 1, change: 'expired', service: gone('a') },
    ]);
  });

  test('tells also what arrives in one piece with the reply', async () => {
    const daemon = new WatchedDaemon();
    daemon.script = () => undefined;
    const { events } = follow(daemon.client().watch('all'));
    await settle();
    const reply = JSON.stringify({ ok: true, watch: 7, epoch: 'one', progress: 10 });
    daemon.last.raw(`${reply}\r\n${JSON.stringify({ type: 'synced', watch: 7, epoch: 'one', revision: 3 })}\r\n`);
    await settle();
    expect(events.map(word)).toEqual(['synced one 3']);
  });

  test('asks for nothing before it is read', async () => {
    const daemon = new WatchedDaemon();
    daemon.client().watch('payments');
    await daemon.pass(1000);
    expect(daemon.dials).toBe(0);
  });

  test.each([
    ['all', { key: 'all' }],
    [{ prefix: 'pay' }, { prefix: 'pay' }],
  ])('of %j is asked for as the wire has it', async (target, asked) => {
    const daemon = new WatchedDaemon();
    follow(daemon.client().watch(target));
    await settle();
    expect(daemon.watches).toEqual([{ type: 'watch', ...asked }]);
  });

  test.each([
    ['a/b', 'invalid_name'],
    ['*', 'reserved_name'],
    [{ prefix: '' }, 'bad_request'],
  ])('of %j cannot be made', (target, code) => {
    expect(() => new WatchedDaemon().client().watch(target)).toThrow(expect.objectContaining({ code }));
  });

  test('several on one connection are told apart', async () => {
    const daemon = new WatchedDaemon();
    const client = daemon.client();
    const [one, two] = [follow(client.watch('payments')), follow(client.watch('payments'))];
    await settle();
    daemon.tellState([], {}, 2);
    daemon.tellState([], { revision: 7 }, 1);
    daemon.tellState([], {}, 3);
    await settle();
    expect(one.events.map(word)).toEqual(['state 0', 'synced one 7']);
    expect(two.events.map(word)).toEqual(['state 0', 'synced one 100']);
    expect(daemon.connections).toHaveLength(1);
  });

  test('that ends with its loop is ended at the daemon', async () => {
    const daemon = new WatchedDaemon();
    const client = daemon.client();
    const first = (async () => {
      for await (const event of client.watch('payments')) return word(event);
      return undefined;
    })();
    await settle();
    daemon.tellState([]);
    expect(await first).toBe('state 0');
    await settle();
    expect(daemon.requestsOf('unwatch')).toEqual([{ type: 'unwatch', watch: 1 }]);
  });

  test('that is ended before the daemon has answered is ended when it does', async () => {
    const daemon = new WatchedDaemon();
    daemon.script = () => undefined;
    const watch = daemon.client().watch('payments');
    const next = later(watch.next());
    await settle();
    await watch.return();
    expect(await next).toEqual({ done: true, value: undefined });
    daemon.last.reply({ watch: 4, epoch: 'one', progress: 10 });
    await settle();
    expect(daemon.requestsOf('unwatch')).toEqual([{ type: 'unwatch', watch: 4 }]);
  });
});

describe('a watch over reconnects', () => {
  async function began(options = {}) {
    const daemon = new WatchedDaemon();
    const client = daemon.client();
    const followed = follow(client.watch('payments', options));
    await settle();
    return { daemon, client, ...followed };
  }

  test('goes on from the last change that it was told', async () => {
    const { daemon, events } = await began();
    daemon.tellState([record('a')]);
    daemon.tellChange(105, record('b'));
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    expect(daemon.watches).toEqual([{ type: 'watch', key: 'payments', epoch: 'one', after: 105 }]);
    daemon.tellChange(106, gone('a'), 'destroyed');
    daemon.tell({ type: 'synced', watch: 1, epoch: 'one', revision: 110 });
    await settle();
    expect(events.map(word)).toEqual([
      'state 1',
      'synced one 100',
      'registered b 105',
      'destroyed a 106',
      'synced one 110',
    ]);
  });

  test('goes on from where the daemon said that it was quiet', async () => {
    const { daemon } = await began();
    daemon.tellState([]);
    daemon.tell({ type: 'progress', revision: 5000 });
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    expect(daemon.watches).toMatchObject([{ epoch: 'one', after: 5000 }]);
  });

  test('does not take progress for its own before it has its state', async () => {
    const { daemon } = await began();
    daemon.tell({ type: 'state', watch: 1, services: [] }, { type: 'progress', revision: 5000 });
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    expect(daemon.watches).toEqual([{ type: 'watch', key: 'payments' }]);
  });

  test('does not take progress for its own before it was told what it missed', async () => {
    const { daemon } = await began();
    daemon.tellState([]);
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    daemon.tell({ type: 'progress', revision: 5000 });
    await settle();
    daemon.last.close();
    await daemon.pass(200);
    expect(daemon.watches).toMatchObject([{ epoch: 'one', after: 100 }]);
  });

  test('passes a reset on, and goes on from the new state', async () => {
    const { daemon, events } = await began();
    daemon.tellState([]);
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    daemon.tell({ type: 'reset', watch: 1, reason: 'epoch' });
    daemon.tellState([record('a')], { epoch: 'two', revision: 3 });
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    expect(events.map(word)).toEqual(['state 0', 'synced one 100', 'reset epoch', 'state 1', 'synced two 3']);
    expect(daemon.watches).toEqual([{ type: 'watch', key: 'payments', epoch: 'two', after: 3 }]);
  });

  test('a state that was cut off begins anew, after a reset', async () => {
    const { daemon, events } = await began();
    daemon.tell({ type: 'state', watch: 1, services: [record('a')] });
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    expect(daemon.watches).toEqual([{ type: 'watch', key: 'payments' }]);
    daemon.tellState([]);
    await settle();
    expect(events.map(word)).toEqual(['state 1', 'reset interrupted', 'state 0', 'synced one 100']);
  });

  test('a reset that was cut off is not repeated where nothing had followed it', async () => {
    const { daemon, events } = await began();
    daemon.tellState([]);
    daemon.tell({ type: 'reset', watch: 1, reason: 'compacted' });
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    expect(daemon.watches).toEqual([{ type: 'watch', key: 'payments' }]);
    daemon.tellState([record('a')]);
    await settle();
    expect(events.map(word)).toEqual(['state 0', 'synced one 100', 'reset compacted', 'state 1', 'synced one 100']);
  });

  test('resumes where the caller says', async () => {
    const { daemon, events } = await began({ from: { epoch: 'one', revision: 40 } });
    expect(daemon.watches).toEqual([{ type: 'watch', key: 'payments', epoch: 'one', after: 40 }]);
    daemon.tellChange(41, record('a'));
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    expect(daemon.watches).toMatchObject([{ epoch: 'one', after: 41 }]);
    expect(events.map(word)).toEqual(['registered a 41']);
  });

  test('is asked for once on each connection, also where the one before broke before it was sent', async () => {
    const daemon = new WatchedDaemon();
    const client = daemon.client();
    daemon.other = () => ({ revision: 1, services: [] });
    await client.query('payments');
    // Nothing more can be written.
    daemon.last.pause();
    for (let query = 0; query < 10; query += 1) later(client.query('x'.repeat(40_000)));
    follow(client.watch('payments'));
    await settle();
    daemon.last.close();
    await daemon.pass(200);
    expect(daemon.dials).toBe(2);
    expect(daemon.watches).toHaveLength(1);
  });

  test('what was to be said about a watch of the old connection is not said on the new one', async () => {
    const daemon = new WatchedDaemon();
    const client = daemon.client();
    const stays = follow(client.watch('payments'));
    const ends = client.watch('orders');
    later(ends.next());
    await settle();
    daemon.tellState([]);
    await settle();
    // Nothing more can be written.
    daemon.last.pause();
    for (let query = 0; query < 10; query += 1) later(client.query('x'.repeat(40_000)));
    await settle();
    await ends.return();
    daemon.last.close();
    daemon.other = () => ({ revision: 1, services: [] });
    await daemon.pass(50);
    expect(daemon.watches).toHaveLength(1);
    expect(daemon.requestsOf('query')).toHaveLength(10);
    expect(daemon.requestsOf('unwatch')).toEqual([]);
    expect(stays.events).toHaveLength(2);
  });
});

describe('a watch that the daemon refuses', () => {
  test('says so to its reader', async () => {
    const daemon = new WatchedDaemon();
    daemon.refusals.push('too_many_watches');
    const { end } = follow(daemon.client().watch('payments'));
    expect(await failure(end)).toMatchObject({ code: 'too_many_watches', name: 'ReplyError' });
    await daemon.pass(10_000, 1000);
    expect(daemon.watches).toHaveLength(1);
  });

  test('goes on where it had begun and it may pass, a little later each time', async () => {
    const daemon = new WatchedDaemon();
    const { events, end } = follow(daemon.client().watch('payments'));
    await settle();
    daemon.tellState([]);
    await settle();
    daemon.last.close();
    daemon.refusals.push('too_many_watches', 'too_many_watches');
    await daemon.pass(50);
    expect(daemon.watches).toHaveLength(1);
    await daemon.pass(50);
    expect(daemon.watches).toHaveLength(2);
    await daemon.pass(50);
    expect(daemon.watches).toHaveLength(2);
    await daemon.pass(50);
    expect(daemon.watches).toHaveLength(3);
    daemon.tellChange(101, record('a'));
    await settle();
    expect(events.map(word)).toEqual(['state 0', 'synced one 100', 'registered a 101']);
    expect(await outcome(end)).toBe('pending');
  });

  test('ends also later where it would be refused again', async () => {
    const daemon = new WatchedDaemon();
    const { end } = follow(daemon.client().watch('payments'));
    await settle();
    daemon.tellState([]);
    await settle();
    daemon.last.close();
    daemon.refusals.push('unknown_type');
    await daemon.pass(50);
    expect(await outcome(end)).toBe('unknown_type');
  });

  test('ends where its right is taken, and another goes on', async () => {
    const daemon = new WatchedDaemon();
    const client = daemon.client();
    const { end } = follow(client.watch('payments'));
    const stays = follow(client.watch('mail'));
    await settle();
    daemon.tellState([]);
    daemon.tellState([], {}, 2);
    daemon.tell({ type: 'ended', watch: 1, error: { code: 'forbidden', message: 'no right to watch' } });
    daemon.tellChange(101, record('a'), 'registered', 2);
    await settle();
    expect(await outcome(end)).toBe('forbidden');
    expect(stays.events.map(word)).toEqual(['state 0', 'synced one 100', 'registered a 101']);
    expect(daemon.requestsOf('unwatch')).toEqual([]);
  });

  test('and, with reconnect: false, one without a daemon', async () => {
    const daemon = new WatchedDaemon();
    daemon.mode = 'refusing';
    const { end } = follow(daemon.client({ reconnect: false }).watch('payments'));
    expect(await outcome(end)).toBe('connect_failed');
  });
});

describe('a slow reader', () => {
  const COUNT = 1000;

  async function overflowing(count = COUNT) {
    const daemon = new WatchedDaemon();
    const watch = daemon.client().watch('payments');
    const first = later(watch.next());
    await settle();
    daemon.tellState([]);
    await first;
    for (let change = 1; change <= count; change += 1) daemon.tellChange(100 + change, record('a'));
    await settle();
    return { daemon, watch };
  }

  test('makes the registry stop telling, and go on from there when it has caught up', async () => {
    const { daemon, watch } = await overflowing();
    expect(daemon.requestsOf('unwatch')).toHaveLength(1);
    daemon.tellChange(2000, record('not told any more'));
    await settle();
    expect(word((await watch.next()).value ?? fail())).toBe('synced one 100');
    for (let change = 1; change <= COUNT; change += 1) {
      expect((await watch.next()).value).toMatchObject({ revision: 100 + change });
    }
    await settle();
    expect(daemon.watches).toMatchObject([{}, { epoch: 'one', after: 100 + COUNT }]);
    daemon.tellChange(2000, record('b'), 'registered', 2);
    expect((await watch.next()).value).toMatchObject({ revision: 2000 });
  });

  test('stays stopped over a reconnect', async () => {
    const { daemon, watch } = await overflowing();
    daemon.last.close();
    await daemon.pass(200);
    expect(daemon.dials).toBe(2);
    expect(daemon.watches).toEqual([]);
    for (let event = 0; event <= COUNT; event += 1) await watch.next();
    await daemon.pass(200);
    expect(daemon.watches).toMatchObject([{ after: 100 + COUNT }]);
  });

  test('is not shown what a reset has made void', async () => {
    const daemon = new WatchedDaemon();
    const watch = daemon.client().watch('payments');
    const first = later(watch.next());
    await settle();
    daemon.tellState([]);
    daemon.tellChange(101, record('a'));
    daemon.tell({ type: 'reset', watch: 1, reason: 'compacted' });
    daemon.tellState([record('b')], { revision: 200 });
    await settle();
    const seen = [await first, await watch.next(), await watch.next(), await watch.next()];
    expect(seen.map(({ value }) => word(value ?? fail()))).toEqual([
      'state 0',
      'reset compacted',
      'state 1',
      'synced one 200',
    ]);
  });

  test('is counted anew from a reset on', async () => {
    const { daemon, watch } = await overflowing(COUNT - 1);
    daemon.tell({ type: 'reset', watch: 1, reason: 'compacted' });
    daemon.tellState([], { revision: 5000 });
    daemon.tellChange(5001, record('a'));
    await settle();
    expect(daemon.requestsOf('unwatch')).toEqual([]);
    expect(word((await watch.next()).value ?? fail())).toBe('reset compacted');
  });
});

describe('the end of a watch', () => {
  test('by its signal rejects what waits, once, with the reason as the cause', async () => {
    const daemon = new WatchedDaemon();
    const abort = new AbortController();
    const watch = daemon.client().watch('payments', { signal: abort.signal });
    const next = later(watch.next());
    await settle();
    abort.abort('enough');
    expect(await failure(next)).toMatchObject({ code: 'aborted', cause: 'enough' });
    expect(await watch.next()).toEqual({ done: true, value: undefined });
    await settle();
    expect(daemon.clock.timers).toBe(0);
  });

  test('by its signal while nobody waits drops what was not read', async () => {
    const daemon = new WatchedDaemon();
    const abort = new AbortController();
    const watch = daemon.client().watch('payments', { signal: abort.signal });
    const first = later(watch.next());
    await settle();
    daemon.tellState([record('a')]);
    await first;
    abort.abort();
    expect(await outcome(watch.next())).toBe('aborted');
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  test('a signal that has fired already makes none', () => {
    expect(() => new WatchedDaemon().client().watch('a', { signal: AbortSignal.abort() })).toThrow(
      'the caller gave up',
    );
  });

  test('by the end of the client is an ordinary end', async () => {
    const daemon = new WatchedDaemon();
    const client = daemon.client();
    const { end } = follow(client.watch('payments'));
    const unread = client.watch('payments');
    await settle();
    await client.close();
    expect(await outcome(end)).toBe('ok');
    expect(await outcome(unread.next())).toBe('closed');
    expect(() => client.watch('payments')).toThrow('the client is closed');
    expect(daemon.clock.timers).toBe(0);
  });

  test('wakes all that wait', async () => {
    const daemon = new WatchedDaemon();
    const watch = daemon.client().watch('payments');
    const waits = [later(watch.next()), later(watch.next())];
    await settle();
    daemon.refusals.push('never asked for');
    await watch.return();
    expect(await Promise.all(waits)).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
  });
});

describe('acknowledgements', () => {
  const draining = (instance: string) => record(instance, { status: 'draining' });

  test('of what drains are sent when the reader asks for the next', async () => {
    const daemon = new WatchedDaemon();
    const watch = daemon.client().watch('payments', { ack: true });
    const first = later(watch.next());
    await settle();
    expect(daemon.watches).toEqual([{ type: 'watch', key: 'payments', ack: true }]);
    daemon.tellState([record('a'), record('b')]);
    daemon.tellChange(101, record('a'));
    daemon.tellChange(102, draining('b'));
    await first;
    for (let event = 0; event < 3; event += 1) await watch.next();
    await settle();
    expect(daemon.requestsOf('ack')).toEqual([]);
    later(watch.next());
    await settle();
    expect(daemon.requestsOf('ack')).toEqual([{ type: 'ack', watch: 1, revision: 102 }]);
  });

  test('are sent once for all that was read in one turn, and for a state that shows it', async () => {
    const daemon = new WatchedDaemon();
    follow(daemon.client().watch('payments', { ack: true }));
    await settle();
    daemon.tellState([draining('a')]);
    await settle();
    expect(daemon.requestsOf('ack')).toEqual([{ type: 'ack', watch: 1, revision: 100 }]);
  });

  test('are repeated on the next connection, which does not know of them', async () => {
    const daemon = new WatchedDaemon();
    follow(daemon.client().watch('payments', { ack: true }));
    await settle();
    daemon.tellState([]);
    daemon.tellChange(101, draining('a'));
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    expect(daemon.requestsOf('ack')).toEqual([{ type: 'ack', watch: 1, revision: 101 }]);
  });

  test('are not for what was before a reset', async () => {
    const daemon = new WatchedDaemon();
    follow(daemon.client().watch('payments', { ack: true }));
    await settle();
    daemon.tellState([]);
    daemon.tellChange(101, draining('a'));
    daemon.tell({ type: 'reset', watch: 1, reason: 'epoch' });
    daemon.tellState([], { epoch: 'two', revision: 1 });
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    expect(daemon.requestsOf('ack')).toEqual([]);
  });
});

test('the process stays while an event is waited for, and not otherwise', async () => {
  const daemon = new WatchedDaemon();
  const holding = new Set<object>();
  const clock: Clock = {
    monotonic: () => daemon.clock.monotonic(),
    wall: () => daemon.clock.wall(),
    after: (ms, action) => {
      const timer = daemon.clock.after(ms, () => {
        holding.delete(timer);
        action();
      });
      return {
        cancel: () => {
          holding.delete(timer);
          timer.cancel();
        },
        ref: () => void holding.add(timer),
      };
    },
  };
  const client = daemon.client({ clock });
  client.discover('orders', { cache: false });
  const watch = client.watch('payments');
  await settle();
  expect(holding.size).toBe(0);
  const next = later(watch.next());
  await settle();
  expect(holding.size).toBe(1);
  // Longer than a timer of Node's can be.
  daemon.clock.advance(2 ** 31);
  expect(holding.size).toBe(1);
  await daemon.pass(10_000, 500);
  daemon.tellState([], {}, 2);
  await next;
  expect(holding.size).toBe(0);
});

function fail(): never {
  throw new Error('the watch has ended');
}
