import { describe, expect, test } from 'vitest';
import { FakeDaemon, failure, later, outcome, settle } from './fake-daemon.js';

const found = (revision: number) => ({ revision, services: [] });

describe('when the connection breaks', () => {
  test('what was sent and changes nothing is sent again, in order and ahead of later requests', async () => {
    const daemon = new FakeDaemon();
    const client = daemon.client();
    const requests = [client.query('a'), client.ping(), client.hello()];
    await settle();
    daemon.last.close();
    await settle();
    requests.push(client.query('b'));
    await daemon.pass(50);
    expect(daemon.last.requests.map(({ type }) => type)).toEqual(['query', 'ping', 'hello', 'query']);
    const hello = { server: 'reg', version: '1', protocol: 1, epoch: 'e', revision: 3 };
    daemon.last.reply(found(1), {}, hello, found(4));
    expect(await Promise.all(requests)).toEqual([found(1), undefined, hello, found(4)]);
  });

  test('what was not sent yet stays behind what was', async () => {
    const daemon = new FakeDaemon();
    const client = daemon.client();
    daemon.script = () => {
      daemon.last.pause();
      return undefined;
    };
    const keys = Array.from({ length: 10 }, (_, i) => `${i}${'x'.repeat(40_000)}`);
    const queries = keys.map((key) => client.query(key));
    await settle();
    expect(daemon.last.requests.length).toBeLessThan(10);
    daemon.script = () => found(1);
    daemon.last.close();
    await daemon.pass(50);
    await Promise.all(queries);
    expect(daemon.last.requests.map(({ key }) => key)).toEqual(keys);
  });

  test('what was sent and changes something rejects, and is not sent again', async () => {
    const daemon = new FakeDaemon();
    const client = daemon.client();
    const register = later(client.request('register', { key: 'a', values: 1 }));
    const destroy = later(client.destroy('b'));
    await settle();
    daemon.last.close();
    const error = await failure(register);
    expect(error).toMatchObject({ name: 'ConnectionError', code: 'connection_lost' });
    expect(error.message).toBe(
      'the connection to daemon.test:1 broke before the reply: the daemon closed the connection',
    );
    expect(error.cause).toBeInstanceOf(Error);
    expect(await outcome(destroy)).toBe('connection_lost');
    await daemon.pass(1000);
    expect(daemon.dials).toBe(1);
  });

  test('what was not sent yet survives, whatever it is', async () => {
    const daemon = new FakeDaemon();
    daemon.mode = 'refusing';
    const client = daemon.client();
    const destroy = later(client.destroy('a'));
    await daemon.pass(500);
    daemon.mode = 'up';
    await daemon.pass(1000);
    daemon.last.reply({ removed: 1, left: 0 });
    expect(await destroy).toEqual({ removed: 1, left: 0 });
  });

  test('half a reply is not mixed with the next connection’s', async () => {
    const daemon = new FakeDaemon();
    const client = daemon.client();
    const query = later(client.query('a'));
    await settle();
    daemon.last.raw('{"ok":true,"revision":1,"serv');
    await settle();
    daemon.last.close();
    await daemon.pass(50);
    daemon.last.reply(found(2));
    expect(await query).toEqual(found(2));
  });

  test('nobody dials while nothing is wanted', async () => {
    const daemon = new FakeDaemon();
    const client = daemon.client();
    const ping = client.ping();
    await settle();
    daemon.last.reply({});
    await ping;
    daemon.last.close();
    await daemon.pass(10_000, 500);
    expect(daemon.dials).toBe(1);
    expect(daemon.clock.timers).toBe(0);
  });
});

describe('while the daemon is unreachable', () => {
  test('a request waits for its timeout, then says why there was no connection', async () => {
    const daemon = new FakeDaemon();
    daemon.mode = 'refusing';
    const query = later(daemon.client().query('a'));
    await daemon.pass(4990, 10);
    expect(await outcome(query)).toBe('pending');
    await daemon.pass(10);
    const error = await failure(query);
    expect(error).toMatchObject({ name: 'ConnectionError', code: 'connect_failed', cause: { code: 'ECONNREFUSED' } });
    expect(error.message).toBe('cannot connect to the daemon at daemon.test:1: connect ECONNREFUSED');
  });

  test('attempts come at random within a bound that doubles', async () => {
    const daemon = new FakeDaemon();
    daemon.mode = 'refusing';
    const randoms = [0.1, 0.9, 0.5, 0.25, 0.5, 0.5, 0.5, 0.5];
    const client = daemon.client({ random: () => randoms.shift() ?? 0.5, requestTimeout: 60_000 });
    const delays: number[] = [];
    client.on('retry', ({ delay }) => delays.push(delay));
    later(client.ping());
    await daemon.pass(12_000, 10);
    expect(delays.slice(0, 8)).toEqual([10, 180, 200, 200, 800, 1600, 2500, 2500]);
  });

  test('a daemon that is full is asked less and less often, and says why when nothing was asked of it', async () => {
    const daemon = new FakeDaemon();
    const client = daemon.client();
    const errors: Error[] = [];
    client.on('disconnect', ({ error }) => errors.push(error));
    const dialled: number[] = [];
    const refusal = '{"ok":false,"error":{"code":"over_limit","message":"full","limit":"maxConnections"}}\r\n';
    await client.register('web', 1, { background: true });
    for (let ms = 0; ms < 8000; ms += 10) {
      await daemon.pass(10);
      if (daemon.dials === dialled.length) continue;
      dialled.push(daemon.clock.monotonic());
      daemon.last.raw(refusal);
      daemon.last.close();
      await settle();
    }
    const pauses = dialled.slice(1).map((at, index) => at - (dialled[index] ?? at));
    expect(pauses.length).toBeLessThan(15);
    expect(Math.max(...pauses)).toBeGreaterThanOrEqual(1000);
    const idle = daemon.client();
    idle.on('disconnect', ({ error }) => errors.push(error));
    const ping = idle.ping();
    await settle();
    daemon.last.reply({});
    await ping;
    daemon.last.raw(refusal);
    await settle();
    expect(errors.at(-1)).toMatchObject({ code: 'over_limit', limit: 'maxConnections' });
  });

  test('an attempt that hangs is given up after connectTimeout', async () => {
    const daemon = new FakeDaemon();
    daemon.mode = 'silent';
    const client = daemon.client({ connectTimeout: 300 });
    const errors: Error[] = [];
    client.on('retry', ({ error }) => errors.push(error));
    const ping = client.ping();
    await daemon.pass(299);
    expect(errors).toEqual([]);
    daemon.mode = 'up';
    await daemon.pass(1);
    expect(errors).toMatchObject([{ message: 'no connection within 300 ms' }]);
    await daemon.pass(50);
    daemon.last.reply({});
    await ping;
  });

  test('an attempt that takes its time is not given up once it succeeded', async () => {
    const daemon = new FakeDaemon();
    daemon.mode = 'slow';
    const client = daemon.client({ connectTimeout: 300 });
    const ping = client.ping();
    await daemon.pass(200);
    expect(daemon.requests).toEqual([]);
    daemon.last.accept();
    await daemon.pass(200);
    daemon.last.reply({});
    await ping;
    expect(daemon.last.closed).toBe(false);
    expect(daemon.clock.timers).toBe(0);
  });

  test('a daemon that takes connections and answers none is given more time from one to the next', async () => {
    const daemon = new FakeDaemon();
    const client = daemon.client({ requestTimeout: 1000, random: () => 0 });
    const droppedAt: number[] = [];
    client.on('disconnect', () => droppedAt.push(daemon.clock.monotonic()));
    await client.register('web', 1, { ttl: 60, background: true });
    await daemon.pass(12_000, 10);
    expect(droppedAt).toEqual([1000, 3000, 7000, 11_000]);
  });

  test('a daemon that accepts and hangs up is not dialled without a pause', async () => {
    const daemon = new FakeDaemon();
    const client = daemon.client({ requestTimeout: 20_000 });
    later(client.ping());
    for (let ms = 0; ms < 10_000; ms += 50) {
      await daemon.pass(50);
      if (!daemon.last.closed) daemon.last.close();
    }
    expect(daemon.dials).toBeGreaterThan(3);
    expect(daemon.dials).toBeLessThan(10);
  });

  test('a reply starts the backoff anew', async () => {
    const daemon = new FakeDaemon();
    daemon.mode = 'refusing';
    const client = daemon.client({ requestTimeout: 60_000 });
    const delays: number[] = [];
    client.on('retry', ({ delay }) => delays.push(delay));
    const ping = client.ping();
    await daemon.pass(1000);
    daemon.mode = 'up';
    await daemon.pass(3000);
    daemon.last.reply({});
    await ping;
    delays.length = 0;
    daemon.mode = 'refusing';
    daemon.last.close();
    later(client.ping());
    // The first wait, after the connection broke, is no failed attempt; the bound of the second is 200.
    await daemon.pass(50);
    expect(delays).toEqual([100]);
  });
});

describe('with reconnect: false', () => {
  test('a request that finds no daemon fails at once, and the next dials again', async () => {
    const daemon = new FakeDaemon();
    daemon.mode = 'refusing';
    const client = daemon.client({ reconnect: false });
    expect(await failure(client.ping())).toMatchObject({ code: 'connect_failed', cause: { code: 'ECONNREFUSED' } });
    expect(await outcome(client.ping())).toBe('connect_failed');
    expect(daemon.dials).toBe(2);
    daemon.mode = 'up';
    const ping = client.ping();
    await settle();
    daemon.last.reply({});
    await ping;
  });

  test('a registration that finds no daemon fails at once', async () => {
    const daemon = new FakeDaemon();
    daemon.mode = 'refusing';
    expect(await outcome(daemon.client({ reconnect: false }).register('a', 1))).toBe('connect_failed');
    expect(daemon.clock.timers).toBe(0);
  });

  test('what was sent when the connection broke is lost', async () => {
    const daemon = new FakeDaemon();
    const query = later(daemon.client({ reconnect: false }).query('a'));
    await settle();
    daemon.last.close();
    expect(await outcome(query)).toBe('connection_lost');
  });
});

test('connect and disconnect are told, once per connection', async () => {
  const daemon = new FakeDaemon();
  const client = daemon.client();
  const told: string[] = [];
  client.on('connect', () => told.push('connect'));
  client.on('disconnect', ({ error }) => told.push(`disconnect: ${error.message}`));
  const ping = client.ping();
  await settle();
  daemon.last.close();
  await daemon.pass(50);
  daemon.last.reply({});
  await ping;
  await client.close();
  await settle();
  expect(told).toEqual(['connect', 'disconnect: the daemon closed the connection', 'connect']);
});

test('what is asked while others are told that the connection broke goes over the one connection that follows', async () => {
  const daemon = new FakeDaemon();
  const client = daemon.client();
  const payments = client.discover('payments', { cache: false });
  await settle();
  daemon.last.reply({ watch: 1, epoch: 'one', progress: 10 });
  daemon.last.raw(`{"type":"synced","watch":1,"epoch":"one","revision":1}\r\n`);
  await settle();
  const asked: Promise<unknown>[] = [];
  payments.on('source', () => asked.push(client.ping()));
  daemon.last.close();
  await daemon.pass(1000);
  expect(daemon.dials).toBe(2);
  expect(daemon.last.requests.map(({ type }) => type)).toEqual(['ping', 'watch']);
  daemon.last.reply({});
  await Promise.all(asked);
});
