import { expect, test } from 'vitest';
import { FakeDaemon, FakeRegistry, settle } from './fake-daemon.js';

test('a background registration is there before the daemon is', async () => {
  const daemon = new FakeDaemon();
  daemon.mode = 'refusing';
  const registry = new FakeRegistry();
  daemon.script = registry.script;
  const client = daemon.client();
  const registration = await client.register('s', 1, { background: true, ttl: 3 });
  const told: string[] = [];
  for (const event of ['registered', 'lost', 'recovered'] as const) registration.on(event, () => told.push(event));
  expect(registration).toMatchObject({ state: 'pending', revision: undefined, generation: undefined });
  await daemon.pass(20_000);
  expect(told).toEqual([]);
  daemon.mode = 'up';
  await daemon.pass(3000);
  expect(told).toEqual(['registered']);
  expect(registration).toMatchObject({ state: 'registered', revision: 1, generation: 1 });
  await daemon.pass(10_000);
  expect(told).toEqual(['registered']);
});

test('a refusal of what was never registered is told each time, and tried again', async () => {
  const daemon = new FakeDaemon();
  daemon.script = () => 'value_too_large';
  const registration = await daemon.client().register('s', 1, { background: true, ttl: 3 });
  const told: string[] = [];
  registration.on('refused', ({ error }) => told.push(error.code));
  registration.on('lost', () => told.push('lost'));
  await daemon.pass(2000);
  expect(told).toEqual(['value_too_large', 'value_too_large', 'value_too_large']);
  expect(registration).toMatchObject({ state: 'pending', error: { code: 'value_too_large' } });
});

test('an update while pending resolves when the registry has it', async () => {
  const daemon = new FakeDaemon();
  daemon.mode = 'refusing';
  daemon.script = new FakeRegistry().script;
  const registration = await daemon.client().register('s', 1, { background: true });
  const updated = registration.update(2);
  await daemon.pass(100);
  daemon.mode = 'up';
  await daemon.pass(3000);
  await updated;
  expect(daemon.requests).toMatchObject([{ values: 2 }]);
});

test('closing one that was never sent asks nobody', async () => {
  const daemon = new FakeDaemon();
  daemon.mode = 'refusing';
  const registration = await daemon.client().register('s', 1, { background: true });
  await settle();
  await registration.close();
  await daemon.pass(6000);
  expect(daemon.requests).toEqual([]);
  expect(daemon.clock.timers).toBe(0);
});
