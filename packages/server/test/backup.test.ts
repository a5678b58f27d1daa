/** The pages of a backup, as the wire has them; what becomes of them is in restore.test.ts. */

import { RegistryError } from '@reg/protocol';
import { expect, test } from 'vitest';
import { type Daemon, type Peer, type Received, startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { settle } from './settle.js';

const LARGE = 'x'.repeat(60_000);

interface Pages {
  readonly heads: object[];
  readonly records: Received[];
}

/** Reads on from a page to the last one. */
async function readOn(peer: Peer, first: Received, meanwhile: () => Promise<void> = async () => {}): Promise<Pages> {
  const pages: Pages = { heads: [], records: [] };
  for (let page = first; ; page = await peer.ask({ type: 'backup', after: page['next'] })) {
    const { ok, services, next, ...head } = page;
    expect(ok).toBe(true);
    pages.heads.push(head);
    pages.records.push(...(services as Received[]));
    if (next === undefined) return pages;
    await meanwhile();
  }
}

async function fill(daemon: Daemon, count: number): Promise<Peer> {
  const peer = daemon.connect();
  for (let i = 0; i < count; i += 1) {
    await peer.ask({ type: 'register', key: `s${i}`, values: LARGE, timeout: 60 });
  }
  return peer;
}

test('every page is of the moment of the first, whatever happens meanwhile', async () => {
  await using daemon = await startDaemon();
  const writer = await fill(daemon, 20);
  const reader = daemon.connect();
  const first = await reader.ask({ type: 'backup' });
  expect(first).toMatchObject({ revision: 20, instances: 20, taken: daemon.clock.wall() });
  let step = 0;
  const { heads, records } = await readOn(reader, first, async () => {
    step += 1;
    await writer.ask({ type: 'destruction', key: `s${20 - step}` });
    await writer.ask({ type: 'register', key: `s${15 - step}`, values: 'new', timeout: 60 });
    await writer.ask({ type: 'register', key: `new${step}`, values: 'new' });
    daemon.clock.advance(20);
  });
  expect(step).toBeGreaterThan(2);
  expect(new Set(heads.map((head) => JSON.stringify(head))).size).toBe(1);
  expect(records.map(({ key }) => key)).toEqual(Array.from({ length: 20 }, (_, i) => `s${i}`));
  for (const record of records) expect(record).toMatchObject({ values: LARGE, left: 60 });
});

test('what is told of an instance is what a restart needs: its owner, what it has left, when it was changed', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  const at = daemon.clock.wall();
  await peer.ask({ type: 'register', key: 'a', values: 1, owner: 'secret', linger: 5, timeout: 'never' });
  daemon.clock.advance(50);
  const { services } = await peer.ask({ type: 'backup' });
  expect(services).toEqual([
    {
      key: 'a',
      values: 1,
      timeout: 'never',
      linger: 5,
      revision: 1,
      generation: 1,
      registered: at,
      left: 'never',
      changed: at,
      owner: 'secret',
    },
  ]);
});

test('an empty registry has a backup of one page, and what has expired is in none', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  expect(await peer.ask({ type: 'backup' })).toMatchObject({ instances: 0, services: [] });
  await peer.ask({ type: 'register', key: 'a', values: 1, timeout: 0.05 });
  daemon.clock.advance(60);
  expect(await peer.ask({ type: 'backup' })).toMatchObject({ instances: 0, services: [] });
});

test('a page that does not follow the one before is refused, and so is one of a backup that nobody has begun', async () => {
  await using daemon = await startDaemon();
  const peer = await fill(daemon, 12);
  const refused = { ok: false, error: { code: 'unknown_backup' } };
  expect(await peer.ask({ type: 'backup', after: 3 })).toMatchObject(refused);
  const first = await peer.ask({ type: 'backup' });
  expect(await peer.ask({ type: 'backup', after: Number(first['next']) + 1 })).toMatchObject(refused);
  expect((await readOn(peer, first)).records).toHaveLength(12);
  expect(await peer.ask({ type: 'backup', after: 12 })).toMatchObject(refused);
});

test('a backup waits for what it shows to be durable, and ends where that is undone', async () => {
  const log = new HeldLog();
  await using daemon = await startDaemon({ log });
  const [writer, reader] = [daemon.connect(), daemon.connect()];
  for (let i = 0; i < 12; i += 1) writer.send({ type: 'register', key: `s${i}`, values: LARGE });
  await settle();
  reader.send({ type: 'backup' });
  await settle();
  expect(reader.waiting).toBe(0);
  log.undo(new RegistryError('storage_full'));
  expect(await reader.receive()).toMatchObject({ error: { code: 'storage_full' } });
  writer.send({ type: 'register', key: 'later', values: 1 });
  await settle();
  log.commit();
  expect(await reader.ask({ type: 'backup', after: 5 })).toMatchObject({ error: { code: 'unknown_backup' } });
  expect(await reader.ask({ type: 'backup' })).toMatchObject({ instances: 1, services: [{ key: 'later' }] });
});
