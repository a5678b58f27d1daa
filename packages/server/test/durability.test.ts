import { RegistryError } from '@reg/protocol';
import { expect, test } from 'vitest';
import { changesAfter } from './changes.js';
import { startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { SharedLog, SharedStream } from './log/shared-log.js';
import { settle } from './settle.js';

test('a reply leaves when the change that it shows is durable, and replies keep their order', async () => {
  const log = new HeldLog();
  await using daemon = await startDaemon({ log });
  const peer = daemon.connect();
  peer.send({ type: 'register', key: 'a', values: 1 });
  peer.send({ type: 'ping', id: 'behind' });
  await settle();
  expect(peer.waiting).toBe(0);
  log.commit();
  expect(await peer.receive()).toMatchObject({ result: 'registered' });
  expect(await peer.receive()).toEqual({ ok: true, id: 'behind' });
});

test('who reads waits for what it would be shown, and for nothing else', async () => {
  const log = new HeldLog();
  await using daemon = await startDaemon({ log });
  const [writer, reader] = [daemon.connect(), daemon.connect()];
  writer.send({ type: 'register', key: 'durable', values: 1 });
  await settle();
  log.commit();
  writer.send({ type: 'register', key: 'fresh', values: 1 });
  await settle();
  expect(await reader.ask({ type: 'query', key: 'durable' })).toMatchObject({ services: [{ key: 'durable' }] });
  expect(await reader.ask({ type: 'register', key: 'durable', values: 1 })).toMatchObject({ result: 'renewed' });
  reader.send({ type: 'query', key: 'fresh' });
  await settle();
  expect(reader.waiting).toBe(0);
  log.commit();
  expect(await reader.receive()).toMatchObject({ services: [{ key: 'fresh' }] });
});

test('who finds nothing waits for the removal of what was there', async () => {
  const log = new HeldLog();
  await using daemon = await startDaemon({ log });
  const [writer, reader] = [daemon.connect(), daemon.connect()];
  writer.send({ type: 'register', key: 'a', values: 1 });
  await settle();
  log.commit();
  writer.send({ type: 'destruction', key: 'a' });
  await settle();
  for (const request of [
    { type: 'query', key: 'a' },
    { type: 'query', key: 'all' },
    { type: 'destruction', key: 'a' },
  ]) {
    reader.send(request);
  }
  await settle();
  expect(reader.waiting).toBe(0);
  log.commit();
  expect(await reader.receive()).toMatchObject({ services: [] });
  expect(await reader.receive()).toMatchObject({ services: [] });
  expect(await reader.receive()).toMatchObject({ removed: 0 });
});

test('when a commit fails, what waited for it fails and what did not is answered', async () => {
  const log = new HeldLog();
  await using daemon = await startDaemon({ log });
  const peer = daemon.connect();
  peer.send({ type: 'ping', id: 1 });
  peer.send({ type: 'register', key: 'a', values: 1, id: 2 });
  peer.send({ type: 'query', key: 'all', id: 3 });
  peer.send({ type: 'ping', id: 4 });
  await settle();
  log.undo(new RegistryError('storage_full'));
  expect(await peer.receive()).toEqual({ ok: true, id: 1 });
  expect(await peer.receive()).toMatchObject({ ok: false, id: 2, error: { code: 'storage_full' } });
  expect(await peer.receive()).toMatchObject({ ok: false, id: 3, error: { code: 'storage_full' } });
  expect(await peer.receive()).toEqual({ ok: true, id: 4 });
});

test('a log that orders elsewhere answers later, in the order of the requests', async () => {
  const stream = new SharedStream({ isHeld: true });
  await using daemon = await startDaemon({ log: new SharedLog(stream) });
  const peer = daemon.connect();
  peer.send({ type: 'register', key: 'a', values: 1, timeout: 'never' });
  peer.send({ type: 'ping', id: 'behind' });
  await settle();
  expect(peer.waiting).toBe(0);
  stream.deliver();
  expect(await peer.receive()).toMatchObject({ result: 'registered', revision: 1 });
  expect(await peer.receive()).toEqual({ ok: true, id: 'behind' });
  peer.send({ type: 'destruction', key: 'a', instance: '*' });
  await settle();
  stream.deliver();
  expect(await peer.receive()).toMatchObject({ removed: 1, left: 0 });

  // An expiry is proposed once, however long the order takes.
  peer.send({ type: 'register', key: 'b', values: 1, timeout: 1 });
  await settle();
  stream.deliver();
  await peer.receive();
  daemon.clock.advance(5000);
  stream.deliver();
  expect(changesAfter(daemon.server.registry.history, 3)).toMatchObject([{ kind: 'expire', key: 'b', revision: 4 }]);
});

test('a log that cannot be trusted any more stops the daemon, and says nothing to who waits', async () => {
  const log = new HeldLog();
  let told: Error | undefined;
  await using daemon = await startDaemon({ log, onFatal: (error) => (told = error) });
  const peer = daemon.connect();
  peer.send({ type: 'register', key: 'a', values: 1 });
  await settle();
  log.host?.onFatal(new RegistryError('storage_failed'));
  await settle();
  expect(peer.waiting).toBe(0);
  expect(daemon.server.connections).toBe(0);
  expect(told).toMatchObject({ code: 'storage_failed' });
});
