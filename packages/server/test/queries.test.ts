import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Daemon, type Peer, startDaemon } from './harness.js';
import { turn } from './settle.js';

interface Record {
  key: string;
  instance?: string;
  generation: number;
}

async function fill(daemon: Daemon, count: number, values: unknown = 'x'): Promise<Peer> {
  const peer = daemon.connect();
  peer.send(
    Array.from({ length: count }, (_, n) => `${JSON.stringify({ type: 'register', key: `s${n}`, values })}\n`).join(''),
  );
  while (peer.waiting < count) await turn();
  for (let n = 0; n < count; n += 1) await peer.line();
  return peer;
}

async function walk(peer: Peer, key: string, limit: number, between: () => Promise<unknown>): Promise<Record[]> {
  const records: Record[] = [];
  for (let after: unknown = 0; after !== undefined; ) {
    const reply = await peer.ask({ type: 'query', key, limit, after });
    expect((reply['services'] as Record[]).length).toBeLessThanOrEqual(limit);
    records.push(...(reply['services'] as Record[]));
    after = reply['next'];
    await between();
  }
  return records;
}

test('pages give each instance that is there throughout exactly once, whatever comes and goes', async () => {
  const disturbance = fc.record({ put: fc.boolean(), name: fc.integer({ min: 0, max: 30 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(disturbance, { maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      async (changes, limit) => {
        await using daemon = await startDaemon();
        const peer = await fill(daemon, 25);
        const disturbed = new Set<string>();
        const queue = [...changes];
        const seen = await walk(peer, 'all', limit, async () => {
          for (const { put, name } of queue.splice(0, 6)) {
            disturbed.add(`s${name}`);
            await peer.ask({ type: put ? 'register' : 'destruction', key: `s${name}`, values: name });
          }
        });
        expect(seen.map(({ generation }) => generation)).toEqual(
          seen.map(({ generation }) => generation).toSorted((a, b) => a - b),
        );
        for (let n = 0; n < 25; n += 1) {
          if (!disturbed.has(`s${n}`)) expect(seen.filter(({ key }) => key === `s${n}`)).toHaveLength(1);
        }
      },
    ),
    { numRuns: 40 },
  );
});

test('the instances of one service can be paged too', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  for (let n = 0; n < 10; n += 1) await peer.ask({ type: 'register', key: 's', instance: `i${n}`, values: n });
  const seen = await walk(peer, 's', 3, async () => {});
  expect(seen.map(({ instance }) => instance)).toEqual(Array.from({ length: 10 }, (_, n) => `i${n}`));
});

test('a reply over the limit is refused with the way out, and a page is cut short instead', async () => {
  await using daemon = await startDaemon({ maxReplyBytes: 262_144 });
  const peer = await fill(daemon, 100, 'x'.repeat(4000));
  expect(await peer.ask({ type: 'query', key: 'all', id: 1 })).toMatchObject({
    ok: false,
    id: 1,
    error: { code: 'too_large', message: expect.stringMatching(/"limit".*"after"/) as unknown },
  });
  const page = await peer.ask({ type: 'query', key: 'all', limit: 1000 });
  expect((page['services'] as Record[]).length).toBeGreaterThan(40);
  expect(JSON.stringify(page).length).toBeLessThanOrEqual(262_144);
  expect(await walk(peer, 'all', 1000, async () => {})).toHaveLength(100);
});

test('a long reply is one consistent line, although it is made in pieces while others write', async () => {
  await using daemon = await startDaemon();
  const peer = await fill(daemon, 20_000);
  const other = daemon.connect();
  peer.send({ type: 'query', key: 'all' });
  peer.send({ type: 'ping', id: 'after' });
  for (let n = 0; n < 50; n += 1) await other.ask({ type: 'destruction', key: `s${n}` });
  const reply = await peer.receive();
  expect(reply['services']).toHaveLength(20_000);
  expect(reply['revision']).toBe(20_000);
  expect(await peer.receive()).toEqual({ ok: true, id: 'after' });
});
