import { expect, test } from 'vitest';
import { FakeDaemon, FakeRegistry, later } from './fake-daemon.js';

/** A registration with a ttl of 3 s, and all that it tells, with when in ms since it was registered. */
async function registered(ttl: number | 'never' = 3) {
  const daemon = new FakeDaemon();
  const registry = new FakeRegistry();
  daemon.script = registry.script;
  const client = daemon.client();
  const start = daemon.clock.wall();
  const registration = await client.register('s', 1, { ttl, instance: 'x' });
  const told: object[] = [];
  const at = () => daemon.clock.wall() - start;
  registration.on('registered', () => told.push({ registered: at() }));
  registration.on('lost', ({ reason, since, error }) => {
    told.push({ lost: reason, at: at(), since: since - start, ...(error && { code: error.code }) });
    expect(registration.state).toBe('lost');
  });
  registration.on('recovered', ({ lostFor }) => {
    told.push({ recovered: at(), lostFor });
    expect(registration.state).toBe('registered');
  });
  return { daemon, registry, client, registration, told };
}

test('nothing is told while all is well', async () => {
  const { daemon, told } = await registered();
  await daemon.pass(30_000);
  expect(told).toEqual([]);
});

test('a disconnect that ends before the ttl does is not told', async () => {
  const { daemon, told } = await registered();
  daemon.mode = 'refusing';
  daemon.last.close();
  await daemon.pass(1500);
  daemon.mode = 'up';
  await daemon.pass(10_000);
  expect(daemon.dials).toBeGreaterThan(2);
  expect(told).toEqual([]);
});

test('expired: a whole ttl after the last confirmed renewal was sent, then recovered', async () => {
  const { daemon, told, registration } = await registered();
  daemon.mode = 'refusing';
  daemon.last.close();
  await daemon.pass(2999);
  expect(told).toEqual([]);
  await daemon.pass(1);
  expect(told).toEqual([{ lost: 'expired', at: 3000, since: 3000 }]);
  await daemon.pass(4000);
  daemon.mode = 'up';
  await daemon.pass(6000);
  expect(told).toHaveLength(2);
  const recovered = told[1];
  expect(recovered).toMatchObject({ recovered: expect.any(Number), lostFor: expect.any(Number) });
  if (recovered && 'recovered' in recovered && 'lostFor' in recovered) {
    expect(recovered.lostFor).toBe(Number(recovered.recovered) - 3000);
  }
  expect(registration.state).toBe('registered');
});

test('expired counts from when the renewal was sent, not from when it was answered', async () => {
  const { daemon, told, registration, client } = await registered();
  daemon.script = () => undefined;
  await daemon.pass(500);
  // The heartbeat of 500 ms is answered at 1000 ms; then the daemon falls silent.
  await daemon.pass(500);
  daemon.last.reply({ result: 'renewed', revision: 1, generation: 1, registered: 1 });
  await daemon.pass(0.1);
  daemon.mode = 'silent';
  daemon.last.close();
  await daemon.pass(2500);
  expect(told).toEqual([{ lost: 'expired', at: 3500, since: 3500 }]);
  registration.release();
  await client.close();
});

test('a process that was stopped longer than the ttl tells that it expired', async () => {
  const { daemon, told } = await registered();
  daemon.clock.stall(10_000);
  await daemon.pass(1000);
  expect(told).toEqual([
    { lost: 'expired', at: 10_000, since: 3000 },
    { recovered: 10_000, lostFor: 7000 },
  ]);
});

test('forgotten: a renewal answered as a new registration is lost, and recovered at once', async () => {
  const { daemon, registry, told, registration } = await registered();
  await daemon.pass(1000);
  registry.forget();
  await daemon.pass(1000);
  expect(told).toEqual([
    { lost: 'forgotten', at: 1450, since: 500 },
    { recovered: 1450, lostFor: 950 },
  ]);
  expect(registration.generation).toBe(2);
});

test('forgotten: another generation tells it where the reply that would have was lost', async () => {
  const { daemon, told, registration } = await registered();
  daemon.script = () => ({ result: 'renewed', revision: 7, generation: 7, registered: 1 });
  await daemon.pass(1000);
  expect(told).toMatchObject([{ lost: 'forgotten' }, { recovered: 500 }]);
  expect(registration.generation).toBe(7);
});

test('forgotten without a ttl, when the daemon comes back empty', async () => {
  const { daemon, registry, told } = await registered('never');
  registry.forget();
  daemon.last.close();
  await daemon.pass(2000);
  expect(told).toMatchObject([{ lost: 'forgotten', since: 0 }, { recovered: expect.any(Number) }]);
});

test('refused: told once, tried at each heartbeat, recovered when it passes', async () => {
  const { daemon, registry, told, registration } = await registered();
  daemon.script = () => 'value_too_large';
  await daemon.pass(5000);
  expect(told).toEqual([{ lost: 'refused', at: 500, since: 500, code: 'value_too_large' }]);
  expect(registration.error?.code).toBe('value_too_large');
  expect(daemon.requests).toHaveLength(6);
  daemon.script = registry.script;
  await daemon.pass(1000);
  expect(told.slice(1)).toEqual([{ recovered: 5250, lostFor: 4750 }]);
  expect(registration.error).toBeUndefined();
});

test('an error that may pass is not told before the ttl is over', async () => {
  const { daemon, told } = await registered();
  daemon.script = () => 'internal';
  await daemon.pass(2999);
  expect(told).toEqual([]);
  await daemon.pass(1);
  expect(told).toMatchObject([{ lost: 'expired' }]);
});

test.each(['close', 'release'] as const)('nothing is told after %s', async (method) => {
  const { daemon, registration, told } = await registered();
  daemon.mode = 'silent';
  daemon.last.close();
  await daemon.pass(1000);
  later(Promise.resolve(registration[method]()));
  await daemon.pass(10_000);
  expect(told).toEqual([]);
  expect(registration.state).toBe('closed');
});

test('a listener that closes the registration when it was forgotten hears no recovery', async () => {
  const { daemon, registry, registration, told } = await registered();
  registration.on('lost', () => registration.release());
  registry.forget();
  await daemon.pass(1000);
  expect(told).toMatchObject([{ lost: 'forgotten' }]);
  const requests = daemon.requests.length;
  await daemon.pass(10_000);
  expect(daemon.requests).toHaveLength(requests);
});
