import type { Clock } from '@reg/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FakeDaemon, FakeRegistry, later, outcome, settle } from './fake-daemon.js';

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
  registration.on('lost', ({ reason, since, error, blockedFor }) => {
    const why = { ...(error && { code: error.code }), ...(blockedFor !== undefined && { blockedFor }) };
    told.push({ lost: reason, at: at(), since: since - start, ...why });
    expect(registration.state).toBe(reason === 'destroyed' || reason === 'superseded' ? 'closed' : 'lost');
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
  daemon.last.reply({ held: 1 });
  await daemon.pass(0.1);
  daemon.mode = 'silent';
  daemon.last.close();
  await daemon.pass(2500);
  expect(told).toEqual([{ lost: 'expired', at: 3500, since: 3500 }]);
  later(registration.close());
  later(client.close());
});

test('blocked: a process that stood still for longer than its ttl tells that first', async () => {
  const { daemon, client, told } = await registered();
  client.on('lag', ({ blockedFor }) => told.push({ lag: blockedFor }));
  daemon.clock.stall(10_000);
  expect(told).toEqual([{ lag: 9750 }, { lost: 'blocked', at: 10_000, since: 3000, blockedFor: 9750 }]);
  await daemon.pass(1000);
  expect(told.slice(2)).toEqual([{ recovered: 10_000, lostFor: 7000 }]);
});

/** A registration with a ttl of 3 s, and a clock that can go on while no timer fires and nothing is read. */
async function skewed() {
  const daemon = new FakeDaemon();
  daemon.script = new FakeRegistry().script;
  let skew = 0;
  const clock: Clock = {
    monotonic: () => daemon.clock.monotonic() + skew,
    wall: () => daemon.clock.wall() + skew,
    after: (ms, action) => daemon.clock.after(ms, action),
  };
  const standStill = (ms: number) => {
    skew += ms;
  };
  const client = daemon.client({ clock });
  const told: string[] = [];
  client.on('lag', ({ blockedFor }) => told.push(`lag ${blockedFor}`));
  const registration = await client.register('s', 1, { ttl: 3 });
  registration.on('lost', ({ reason }) => told.push(reason));
  return { daemon, client, registration, told, standStill };
}

test('blocked is told by whatever the client is asked next, before any timer', async () => {
  const { client, told, standStill } = await skewed();
  standStill(10_000);
  later(client.ping());
  expect(told).toEqual(['lag 9750', 'blocked']);
});

test('a process that stood still is not lost while a reply that came meanwhile may say otherwise', async () => {
  const { daemon, client, told, standStill } = await skewed();
  daemon.script = () => undefined;
  await daemon.pass(500);
  standStill(2900);
  later(client.ping());
  expect(told).toEqual(['lag 2650']);
  daemon.last.reply({ held: 1 });
  await daemon.pass(50);
  expect(told).toEqual(['lag 2650']);
});

test('a process that stood still has lost nothing that the reply which tells so has saved', async () => {
  const { daemon, registration, told, standStill } = await skewed();
  daemon.script = () => undefined;
  await daemon.pass(300);
  later(registration.update(2));
  await daemon.pass(50);
  standStill(2750);
  daemon.last.reply({ result: 'updated', revision: 2, generation: 1, registered: 1 });
  await settle();
  expect(told).toEqual(['lag 2550']);
});

test('a registration that a listener closes when the process stood still is destroyed, and stays closed', async () => {
  const { daemon, client, standStill } = await skewed();
  const { script } = daemon;
  const answers: (() => void)[] = [];
  daemon.script = (request, over) => {
    const answer = script(request, over);
    if (typeof answer === 'object') answers.push(() => over.reply(answer));
    return undefined;
  };
  const registration = await client.register('s', 1, { instance: 'x', background: true });
  await settle();
  client.once('lag', () => later(registration.close()));
  standStill(2000);
  daemon.script = script;
  for (const answer of answers) answer();
  await settle();
  expect(registration.state).toBe('closed');
  expect(daemon.words().at(-1)).toBe('destruction s x');
});

test('a listener of lag that throws ends no heartbeats', async () => {
  const { daemon, registry, client, registration } = await registered();
  const thrown = takeUncaught();
  client.on('lag', () => {
    throw new Error('a mistake');
  });
  daemon.clock.stall(2000);
  await settle();
  expect(thrown).toEqual([expect.objectContaining({ message: 'a mistake' })]);
  registry.forget();
  await daemon.pass(3000);
  expect(registration.state).toBe('registered');
  expect(registry.instances.size).toBe(1);
});

test('a listener of a discovery that throws when the connection breaks ends no registration, and no other discovery', async () => {
  const { daemon, registry, client, told } = await registered();
  let watch = 0;
  daemon.script = (request, over) => {
    if (request['type'] !== 'watch') return registry.script(request, over);
    watch += 1;
    over.reply({ watch, epoch: 'e', progress: 10 });
    over.raw(`${JSON.stringify({ type: 'synced', watch, epoch: 'e', revision: 1 })}\r\n`);
    return undefined;
  };
  const discovery = client.discover('s', { cache: false });
  client.discover('t', { cache: false });
  await discovery.ready();
  discovery.once('source', () => {
    throw new Error('a mistake');
  });
  const thrown = takeUncaught();
  daemon.last.close();
  await daemon.pass(10_000);
  expect(thrown).toHaveLength(1);
  expect(told).toEqual([]);
  expect(daemon.last.requests.filter(({ type }) => type === 'watch')).toMatchObject([{ key: 's' }, { key: 't' }]);
  expect(daemon.dials).toBe(2);
});

/** What nobody catches, until the test is over. */
function takeUncaught(): unknown[] {
  const thrown: unknown[] = [];
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => thrown.push(error));
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException');
    for (const other of others) process.on('uncaughtException', other);
  });
  return thrown;
}

test('a short pause is no lag', async () => {
  const { daemon, client, told } = await registered();
  client.on('lag', () => told.push({ lag: true }));
  daemon.clock.stall(1200);
  await daemon.pass(1000);
  expect(told).toEqual([]);
});

test('forgotten: what a heartbeat says has expired is registered again at once', async () => {
  const { daemon, registry, told, registration } = await registered();
  await daemon.pass(1000);
  registry.forget();
  await daemon.pass(1000);
  expect(told).toEqual([
    { lost: 'forgotten', at: 1450, since: 500 },
    { recovered: 1450, lostFor: 950 },
  ]);
  expect(registration.generation).toBe(2);
  expect(daemon.requests.filter(({ type }) => type === 'register')).toMatchObject([{}, { generation: 1 }]);
});

test('forgotten: where the registry holds less than it ought to, everything is registered again', async () => {
  const { daemon, registry, client, told } = await registered();
  await client.register('s', 1, { ttl: 3, instance: 'y' });
  registry.end('s/x', 'expired', true);
  await daemon.pass(1000);
  expect(told).toMatchObject([{ lost: 'forgotten', since: 0 }, { recovered: 500 }]);
  expect(daemon.words()).toEqual(['register s x', 'register s y', 'heartbeat', 'register s x', 'register s y']);
});

test('forgotten: another generation tells it where the reply that would have was lost', async () => {
  const { daemon, told, registration } = await registered();
  daemon.script = () => ({ result: 'renewed', revision: 7, generation: 7, registered: 1 });
  daemon.last.close();
  await daemon.pass(500);
  expect(told).toMatchObject([{ lost: 'forgotten' }, { recovered: expect.any(Number) }]);
  expect(registration.generation).toBe(7);
});

describe.each(['destroyed', 'superseded'] as const)('%s', (reason) => {
  test('is told by the next heartbeat, and is for good', async () => {
    const { daemon, registry, told, registration } = await registered();
    await daemon.pass(600);
    registry.end('s/x', reason);
    await daemon.pass(1000);
    expect(told).toEqual([{ lost: reason, at: 1450, since: 500, code: reason }]);
    expect(registration.state).toBe('closed');
    const requests = daemon.requests.length;
    await daemon.pass(20_000);
    expect(daemon.requests).toHaveLength(requests);
    expect(daemon.clock.timers).toBe(0);
    expect(await outcome(registration.update(2))).toBe('closed');
    await registration.close();
  });

  test('is found out by an update', async () => {
    const { registry, told, registration } = await registered();
    registry.end('s/x', reason, true);
    expect(await outcome(registration.update(2))).toBe(reason);
    expect(told).toMatchObject([{ lost: reason, code: reason }]);
    expect(registration.error?.code).toBe(reason);
  });

  test('is found out after a reconnect, also by one that is lost already', async () => {
    const { daemon, registry, told } = await registered();
    daemon.mode = 'refusing';
    daemon.last.close();
    await daemon.pass(4000);
    registry.end('s/x', reason);
    daemon.mode = 'up';
    await daemon.pass(6000);
    expect(told).toMatchObject([
      { lost: 'expired', since: 3000 },
      { lost: reason, since: 3000 },
    ]);
  });
});

test('forgotten without a ttl, when the daemon comes back empty', async () => {
  const { daemon, registry, told } = await registered('never');
  registry.forget();
  daemon.last.close();
  await daemon.pass(2000);
  expect(told).toMatchObject([{ lost: 'forgotten', since: 0 }, { recovered: expect.any(Number) }]);
});

test.each(['x', '*'])('destroyed: what the same client ended as %s is told at once', async (instance) => {
  const { daemon, client, told, registration } = await registered();
  const other = await client.register('t', 1, { instance: 'x' });
  expect(await client.destroy('s', { instance })).toEqual({ removed: 1, left: 0 });
  await daemon.pass(1);
  expect(told).toMatchObject([{ lost: 'destroyed' }]);
  expect([registration.state, other.state]).toEqual(['closed', 'registered']);
});

test('destroyed: also where nobody waited for the reply, and the connection holds what was released', async () => {
  const { daemon, registry, client, told, registration } = await registered();
  const released = await client.register('t', 1, { ttl: 3 });
  await released.release();
  const answers: (() => void)[] = [];
  daemon.script = (request, over) => {
    const answer = registry.script(request, over);
    if (request['type'] !== 'destruction') return answer;
    if (typeof answer === 'object') answers.push(() => over.reply(answer));
    return undefined;
  };
  const given = later(client.request('destruction', { key: 's', instance: 'x' }, { timeout: 100 }));
  await daemon.pass(150);
  expect(await outcome(given)).toBe('timed_out');
  for (const answer of answers) answer();
  await daemon.pass(1);
  expect(told).toMatchObject([{ lost: 'destroyed' }]);
  expect(registration.state).toBe('closed');
});

test('refused: told once, tried again after a third of the ttl, recovered when it passes', async () => {
  const { daemon, registry, told, registration } = await registered();
  daemon.script = () => 'value_too_large';
  daemon.last.close();
  await daemon.pass(4000);
  expect(told).toEqual([{ lost: 'refused', at: 200, since: 200, code: 'value_too_large' }]);
  expect(registration.error?.code).toBe('value_too_large');
  expect(daemon.last.requests).toHaveLength(5);
  daemon.script = registry.script;
  await daemon.pass(1000);
  expect(told.slice(1)).toEqual([{ recovered: 4950, lostFor: 4750 }]);
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
