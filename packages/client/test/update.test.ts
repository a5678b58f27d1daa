import { expect, test } from 'vitest';
import { FakeDaemon, FakeRegistry, failure, later, onOwnTurn, outcome, settle } from './fake-daemon.js';

async function registered() {
  const daemon = new FakeDaemon();
  const registry = new FakeRegistry();
  daemon.script = registry.script;
  const client = daemon.client();
  const registration = await client.register('s', 1, { ttl: 3, instance: 'x', tags: ['a'], weight: 2 });
  return { daemon, registry, client, registration };
}

test('an update changes what is registered, now and after a reconnect; labels not given stay', async () => {
  const { daemon, registration } = await registered();
  await registration.update(2, { meta: { zone: 'b' }, weight: 3 });
  const changed = { values: 2, tags: ['a'], meta: { zone: 'b' }, weight: 3 };
  expect(daemon.requests.at(-1)).toMatchObject(changed);
  expect(registration).toMatchObject({ revision: 2, generation: 1 });
  daemon.last.close();
  await daemon.pass(500);
  expect(daemon.last.requests).toMatchObject([changed]);
});

test('updates made together end with the last, and all resolve', async () => {
  const { daemon, registration } = await registered();
  await Promise.all([registration.update(2), registration.update(3), registration.update(4)]);
  expect(daemon.requests.map(({ values }) => values)).toEqual([1, 2, 4]);
});

test('a refused update rejects and is taken back, without a loss', async () => {
  const { daemon, registry, registration } = await registered();
  const lost: string[] = [];
  registration.on('lost', ({ reason }) => lost.push(reason));
  daemon.script = (request, over) => (request['values'] === 2 ? 'value_too_large' : registry.script(request, over));
  expect(await failure(registration.update(2))).toMatchObject({ code: 'value_too_large' });
  await daemon.pass(5000);
  expect(daemon.requests.filter(({ values }) => values === 2)).toHaveLength(1);
  daemon.last.close();
  await daemon.pass(500);
  expect(daemon.last.requests).toMatchObject([{ values: 1, tags: ['a'] }]);
  expect(lost).toEqual([]);
});

test('an update in a disconnect goes out with the next connection, without a spread', async () => {
  const { daemon, registration } = await registered();
  daemon.last.close();
  await settle();
  const updated = later(registration.update(2));
  await daemon.pass(50);
  await updated;
  expect(daemon.last.requests).toMatchObject([{ values: 2 }]);
});

test('an update that nobody answers in time stays what is wanted', async () => {
  const { daemon, registry, registration } = await registered();
  daemon.script = () => undefined;
  const abort = new AbortController();
  const updated = later(registration.update(2, { signal: abort.signal }));
  await settle();
  abort.abort();
  expect(await outcome(updated)).toBe('aborted');
  daemon.script = registry.script;
  daemon.last.close();
  await daemon.pass(500);
  expect(daemon.last.requests).toMatchObject([{ values: 2 }]);
});

test('an update that was aborted beforehand changes nothing', async () => {
  const { daemon, registration } = await registered();
  const aborted = onOwnTurn(() => registration.update(2, { signal: AbortSignal.abort() }));
  expect(await failure(aborted)).toMatchObject({ code: 'aborted' });
  await daemon.pass(5000);
  expect(daemon.requests.map(({ values }) => values)).not.toContain(2);
});

test('the labels of a refused update do not go into those made meanwhile', async () => {
  const { daemon, registry, registration } = await registered();
  daemon.script = (request, over) => ('meta' in request ? 'meta_too_large' : registry.script(request, over));
  const refused = later(registration.update(2, { meta: { zone: 'b' }, tags: ['b'] }));
  const first = registration.update(3, { weight: 3 });
  const second = registration.update(4);
  expect(await outcome(refused)).toBe('meta_too_large');
  await Promise.all([first, second]);
  const { type, key, instance, timeout, linger, owner, generation, ...content } = daemon.requests.at(-1) ?? {};
  expect(content).toEqual({ values: 4, tags: ['a'], weight: 3 });
  await registration.update(5);
  expect(daemon.requests.at(-1)).toMatchObject({ values: 5, tags: ['a'], weight: 3 });
});

test('the labels of an update that found no connection go out with the next', async () => {
  const { daemon, registration } = await registered();
  daemon.last.close();
  await settle();
  const updates = [registration.update(2, { weight: 3 }), registration.update(3, { tags: ['b'] })];
  await daemon.pass(50);
  await Promise.all(updates);
  expect(daemon.last.requests).toMatchObject([{ values: 3, tags: ['b'], weight: 3 }]);
});

test('an update of a registration that is closed rejects', async () => {
  const { registration } = await registered();
  await registration.close();
  expect(await failure(registration.update(2))).toMatchObject({ name: 'ClosedError', code: 'closed' });
});

test('an update that waits when the registration is closed rejects', async () => {
  const { daemon, registration } = await registered();
  daemon.last.close();
  await settle();
  const updated = later(registration.update(2));
  later(registration.release());
  expect(await outcome(updated)).toBe('closed');
});

test('a status is said beside what is registered, and stays with updates', async () => {
  const { daemon, registration } = await registered();
  await registration.setStatus('critical');
  expect(daemon.requests.at(-1)).toMatchObject({ values: 1, tags: ['a'], weight: 2, status: 'critical' });
  await registration.update(2);
  expect(daemon.requests.at(-1)).toMatchObject({ values: 2, status: 'critical' });
  await registration.setStatus('passing');
  expect(daemon.requests.at(-1)).toMatchObject({ values: 2, status: 'passing' });
});
