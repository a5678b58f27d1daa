import { setImmediate as nextTurn } from 'node:timers/promises';
import { type InstanceRecord, RegistryError } from '@reg/protocol';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { type Client, defineServices, InvalidValuesError, type Services, type StandardSchema } from '../src/index.js';
import { FakeRegistry, failure, later, outcome, settle } from './fake-daemon.js';
import { record, WatchedDaemon } from './fake-watches.js';

/** A port, or the text of one; whoever reads it gets the number. */
const Port = v.pipe(v.union([v.number(), v.string()]), v.transform(Number), v.integer(), v.maxValue(65_535));

const payments = {
  values: v.object({ host: v.string(), port: Port }),
  meta: v.object({ zone: v.optional(v.picklist(['a', 'b']), 'a') }),
};

/** By hand, and in its own time: it answers when `release` is called. */
function slowSchema() {
  const waiting: (() => void)[] = [];
  const schema: StandardSchema<string, { text: string }> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) =>
        new Promise((resolve) => {
          waiting.push(() =>
            resolve(typeof value === 'string' ? { value: { text: value } } : { issues: [{ message: 'no text' }] }),
          );
        }),
    },
  };
  return { schema, waiting, release: () => waiting.shift()?.() };
}

function setup(services: Services = { payments }) {
  const daemon = new WatchedDaemon();
  const client = daemon.client({ services });
  const invalid: string[] = [];
  client.on('invalid', ({ service, error }) => invalid.push(`${service.instance}: ${error.message}`));
  return { daemon, client, invalid };
}

const GOOD = { host: 'h', port: '80' };
const BAD = { host: 'h', port: 'eighty' };

describe('what is registered', () => {
  async function registering(services?: Services) {
    const { daemon, client } = setup(services);
    daemon.other = new FakeRegistry().script;
    return { daemon, client };
  }

  test('is sent as it was given where it fits', async () => {
    const { daemon, client } = await registering();
    await client.register('payments', GOOD, { meta: { zone: 'b' } });
    expect(daemon.requests).toMatchObject([{ type: 'register', values: GOOD, meta: { zone: 'b' } }]);
  });

  test('is an error that says what is wrong where it does not, and nothing is sent', async () => {
    const { daemon, client } = await registering();
    const error = await failure(client.register('payments', { port: 70_000 }, { meta: { zone: 'c' } }));
    expect(error).toBeInstanceOf(InvalidValuesError);
    expect(error).toMatchObject({ code: 'invalid_values', retryable: false });
    expect(error.message).toMatch(
      /^not what payments is said to have: values\.host: .*; values\.port: .*; meta\.zone: /,
    );
    expect(error).toMatchObject({ issues: [{ part: 'values' }, { part: 'values' }, { part: 'meta' }] });
    expect(error.stack).toContain('contracts.test.ts');
    expect(daemon.dials).toBe(0);
  });

  test('is checked again with each update; metadata only where it is given', async () => {
    const { daemon, client } = await registering();
    const registration = await client.register('payments', GOOD, { meta: { zone: 'b' } });
    expect(await outcome(registration.update(BAD))).toBe('invalid_values');
    expect(await outcome(registration.update(GOOD, { meta: { zone: 'c' } }))).toBe('invalid_values');
    expect(daemon.requests).toHaveLength(1);
    await registration.update({ host: 'i', port: 81 });
    expect(daemon.requests.at(-1)).toMatchObject({ values: { host: 'i', port: 81 }, meta: { zone: 'b' } });
  });

  test('is not checked where nothing was said of the service', async () => {
    const { daemon, client } = await registering();
    await client.register('ledger', BAD);
    await client.register('constructor', BAD);
    expect(daemon.requests).toHaveLength(2);
  });

  test('may be checked in its own time; of two updates the later one wins', async () => {
    const { schema, waiting } = slowSchema();
    const { daemon, client } = await registering({ payments: { values: schema } });
    const registered = client.register('payments', 'one');
    await settle();
    expect(daemon.dials).toBe(0);
    waiting.shift()?.();
    const registration = await registered;
    const updates = [registration.update('two'), registration.update('three')];
    waiting.pop()?.();
    await settle();
    expect(daemon.requests).toHaveLength(1);
    waiting.pop()?.();
    await Promise.all(updates);
    expect(daemon.requests.at(-1)).toMatchObject({ values: 'three' });
  });

  test('an update that does not fit fails by itself, while the one before it is still checked', async () => {
    const { schema, waiting } = slowSchema();
    const { daemon, client } = await registering({ payments: { values: schema } });
    const registered = client.register('payments', 'one');
    waiting.shift()?.();
    const registration = await registered;
    const [sound, wrong] = [registration.update('two'), later(registration.update(3))];
    waiting.pop()?.();
    await settle();
    waiting.pop()?.();
    await settle();
    expect(daemon.requests.at(-1)).toMatchObject({ values: 'two' });
    expect([await outcome(sound), await outcome(wrong)]).toEqual(['ok', 'invalid_values']);
  });

  test('is not registered where the client was closed while it was checked', async () => {
    const { schema, release } = slowSchema();
    const { daemon, client } = await registering({ payments: { values: schema } });
    const registered = later(client.register('payments', 'one'));
    await client.close();
    release();
    expect(await outcome(registered)).toBe('closed');
    expect(daemon.dials).toBe(0);
  });

  test('a validator that fails is an error too', async () => {
    const cause = new Error('no database');
    const fail = (how: () => never | Promise<never>): StandardSchema => ({
      '~standard': { version: 1, vendor: 'test', validate: how },
    });
    const throwing = fail(() => {
      throw cause;
    });
    const rejecting = fail(() => Promise.reject(cause));
    const { client } = await registering({ throwing: { values: throwing }, rejecting: { values: rejecting } });
    for (const key of ['throwing', 'rejecting']) {
      const error = await failure(client.register(key, 1));
      expect(error).toMatchObject({ code: 'invalid_values', cause });
      expect(error.message).toContain('no database');
    }
  });
});

describe('what is read', () => {
  const good = record('good', { values: GOOD, meta: { zone: 'b', rack: '7' } });
  const bad = record('bad', { values: BAD });
  const other = record('other', { key: 'ledger', values: BAD });

  test('a query has what the validators make of it, and leaves out what does not fit', async () => {
    const { daemon, client, invalid } = setup();
    daemon.other = () => ({ revision: 7, services: [good, bad, other] });
    const reply = await client.queryAll();
    expect(reply).toMatchObject({ revision: 7, services: [{ instance: 'good' }, other] });
    expect(reply.services[0]).toMatchObject({ values: { host: 'h', port: 80 }, meta: { zone: 'b', rack: '7' } });
    expect(invalid).toEqual([expect.stringMatching(/^bad: not what payments is said to have: values\.port: /)]);
  });

  test('metadata that is absent is checked as if it were empty', async () => {
    const { daemon, client } = setup();
    daemon.other = () => ({ revision: 7, services: [record('x', { values: GOOD })] });
    expect((await client.query('payments')).services).toMatchObject([{ meta: { zone: 'a' } }]);
  });

  test('a watch tells what fits, and what does not fit any more as gone', async () => {
    const { daemon, client, invalid } = setup();
    const events = client.watch('payments')[Symbol.asyncIterator]();
    const first = events.next();
    await settle();
    daemon.tellState([good, bad]);
    daemon.tellChange(101, record('bad', { values: BAD, generation: 5 }), 'updated');
    daemon.tellChange(102, { key: 'payments', instance: 'good', generation: 1 }, 'expired');
    expect((await first).value).toMatchObject({
      type: 'state',
      services: [{ instance: 'good', values: { port: 80 } }],
    });
    expect((await events.next()).value).toMatchObject({ type: 'synced' });
    const gone = { key: 'payments', instance: 'bad', generation: 5 };
    expect((await events.next()).value).toMatchObject({ change: 'destroyed', revision: 101, service: gone });
    expect((await events.next()).value).toMatchObject({ change: 'expired', revision: 102 });
    expect(invalid).toHaveLength(2);
    await client.close();
  });

  test('a discovery has what fits, and what its validators make of it', async () => {
    const { daemon, client, invalid } = setup();
    const discovery = client.discover('payments', { cache: false, zone: 'b' });
    await settle();
    daemon.tellState([good, bad]);
    await discovery.ready();
    expect(discovery.instances).toMatchObject([
      { instance: 'good', values: { port: 80 }, meta: { zone: 'b', rack: '7' }, address: { host: 'h', port: 80 } },
    ]);
    daemon.tellChange(101, record('good', { values: BAD }), 'updated');
    await settle();
    expect(discovery.all).toEqual([]);
    expect(invalid).toHaveLength(2);
    await client.close();
  });

  test('who drains does not wait for those who left it out', async () => {
    const { daemon, client } = setup();
    client.discover('payments', { cache: false });
    await settle();
    daemon.tellState([{ ...bad, status: 'draining' }]);
    await settle();
    daemon.tellChange(101, { ...bad, status: 'draining' }, 'updated');
    await settle();
    expect(daemon.requestsOf('ack').map(({ revision }) => revision)).toEqual([100, 101]);
    await client.close();
  });
});

test('an address is what was registered, whatever the validator makes of it', async () => {
  const { daemon, client } = setup({ payments: { values: v.pipe(v.string(), v.length(4), v.transform(Number)) } });
  const discovery = client.discover('payments', { cache: false });
  await settle();
  daemon.tellState([record('a', { values: 'h:80' })]);
  await discovery.ready();
  expect(discovery.pick()).toMatchObject({ values: Number.NaN, address: { host: 'h', port: 80 } });
  await client.close();
});

describe('a validator that takes its time', () => {
  function discovering() {
    const { schema, waiting, release } = slowSchema();
    const { daemon, client, invalid } = setup({ payments: { values: schema } });
    const discovery = client.discover('payments', { cache: false });
    const seen: unknown[] = [];
    discovery.on('change', () => seen.push(discovery.all.map(({ values }) => values)));
    discovery.on('source', ({ source }) => seen.push(source));
    return { daemon, client, discovery, seen, waiting, release, invalid };
  }

  test('delays events, and never changes their order', async () => {
    const { daemon, client, seen, waiting } = discovering();
    await settle();
    daemon.tellState([record('a', { values: 'one' })]);
    daemon.tellChange(101, record('a', { values: 'two' }), 'updated');
    daemon.tellChange(102, { key: 'payments', instance: 'a', generation: 1 }, 'expired');
    await settle();
    waiting[1]?.();
    await settle();
    expect(seen).toEqual([]);
    waiting[0]?.();
    await settle();
    expect(seen).toEqual([[{ text: 'one' }], 'live', [{ text: 'two' }], []]);
    await client.close();
  });

  test('tells nothing to a discovery that was closed meanwhile', async () => {
    const { daemon, discovery, seen, release } = discovering();
    await settle();
    daemon.tellState([record('a', { values: 'one' })]);
    await settle();
    release();
    await settle();
    daemon.tellChange(101, record('a', { values: 'two' }), 'updated');
    await settle();
    discovery.close();
    release();
    await settle();
    expect(seen).toEqual([[{ text: 'one' }], 'live']);
    expect(discovery.all).toMatchObject([{ values: { text: 'one' } }]);
  });

  test('does not hold up a query for longer than the slowest', async () => {
    const { schema, waiting } = slowSchema();
    const { daemon, client } = setup({ payments: { values: schema } });
    daemon.other = () => ({ revision: 1, services: [record('a', { values: 'one' }), record('b', { values: 2 })] });
    const reply = client.query('payments');
    await settle();
    expect(waiting).toHaveLength(2);
    for (const answer of waiting) answer();
    expect((await reply).services).toMatchObject([{ instance: 'a', values: { text: 'one' } }]);
  });
});

test('the last-known-good file holds what was registered, and what it holds is checked', async ({ onTestFinished }) => {
  const { mkdtemp, readdir, readFile, rm } = await import('node:fs/promises');
  const folder = await mkdtemp(`${(await import('node:os')).tmpdir()}/contracts-`);
  onTestFinished(() => rm(folder, { recursive: true }));
  const first = setup();
  const discovery = first.client.discover('payments', { cache: folder });
  await settle();
  first.daemon.tellState([record('a', { values: GOOD })]);
  await discovery.ready();
  await first.client.close();
  const [file = ''] = await readdir(folder);
  const saved: { services: InstanceRecord[] } = JSON.parse(await readFile(`${folder}/${file}`, 'utf8'));
  expect(saved.services).toMatchObject([{ values: GOOD }]);
  const second = setup();
  second.daemon.mode = 'refusing';
  const stale = second.client.discover('payments', { cache: folder });
  while (stale.source === 'none') await nextTurn();
  expect(stale).toMatchObject({ source: 'file', instances: [{ values: { port: 80 } }] });
  await second.client.close();
});

describe('defining services', () => {
  test('is refused where a name is none, or something is no validator', () => {
    const code = (services: Services) => {
      try {
        defineServices(services);
        return 'ok';
      } catch (error) {
        return error instanceof RegistryError ? error.code : String(error);
      }
    };
    expect(code({ payments })).toBe('ok');
    expect(code({ 'a/b': payments })).toBe('invalid_name');
    expect(code({ all: payments })).toBe('reserved_name');
    const wrong: unknown[] = [
      {},
      { values: 1 },
      { values: payments.values, meta: {} },
      { values: { '~standard': {} } },
    ];
    for (const contract of wrong) expect(code({ payments: contract as Services[string] })).toBe('bad_config');
  });

  test('costs nothing where there are none', async () => {
    const daemon = new WatchedDaemon();
    const reply = { revision: 1, services: [record('a', { values: BAD })] };
    daemon.other = () => reply;
    const client: Client = daemon.client();
    expect(await client.query('payments')).toEqual(reply);
  });
});
