/** Peers that hold on to what they get. `tests/hostile.test.ts` has the same over sockets, and how much memory it takes. */

import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { startDaemon } from './harness.js';
import { settle } from './settle.js';

test('slowloris: lines that come byte by byte are ended after 30 s, and nobody else notices', async () => {
  await using daemon = await startDaemon();
  const other = daemon.connect();
  await other.ask({ type: 'register', key: 'web', values: 1, timeout: 5 });
  const slow = Array.from({ length: 200 }, () => daemon.connect());
  const line = '{"type":"register","key":"web","values":"and so on, for as long as nobody minds"}';
  for (let second = 0; second < 33; second += 1) {
    for (const peer of slow) if (!peer.far.destroyed) peer.send(line.charAt(second));
    await settle(2);
    daemon.clock.advance(1000);
    expect(await other.ask({ type: 'heartbeat' })).toMatchObject({ held: 1 });
  }
  for (const peer of slow) expect(await peer.receive()).toMatchObject({ ok: false, error: { code: 'slow_peer' } });
  await settle();
  // Those do not leave by themselves either.
  daemon.clock.advance(6000);
  await settle();
  expect(daemon.server.connections).toBe(1);
});

/** The end of a connection whose other end is gone, and nobody has said so: nothing written to it ever arrives. */
function halfOpen(...lines: readonly string[]): Duplex {
  const stream = new Duplex({ read() {}, write() {} });
  stream.push(lines.map((line) => `${line}\n`).join(''));
  return stream;
}

test('half-open: a peer that is gone without a word is found by what it does not read, a watcher by its progress', async () => {
  await using daemon = await startDaemon();
  const gone = [
    halfOpen('{"type":"ping"}'),
    halfOpen('{"type":"watch","key":"all"}'),
    halfOpen('{"type":"heartbeat"}'),
  ];
  for (const stream of gone) daemon.server.handle(stream);
  const bound = halfOpen('{"type":"register","key":"web","values":1,"timeout":"never","linger":2}');
  daemon.server.handle(bound);
  await settle();
  const other = daemon.connect();
  expect((await other.ask({ type: 'query', key: 'web' }))['services']).toHaveLength(1);
  daemon.clock.advance(32_000);
  await settle();
  expect(daemon.server.connections).toBe(1);
  daemon.clock.advance(3000);
  expect((await other.ask({ type: 'query', key: 'web', status: 'any' }))['services']).toEqual([]);
});

test('a watcher of everything that stops reading is closed after 30 s, and told to nobody else', async () => {
  await using daemon = await startDaemon();
  const [deaf, watcher, writer] = [daemon.connect(), daemon.connect(), daemon.connect()];
  for (const peer of [deaf, watcher]) {
    await peer.ask({ type: 'watch', key: 'all' });
    await peer.receive();
  }
  deaf.stream.pause();
  for (let second = 0; second < 40; second += 1) {
    for (let n = 0; n < 20; n += 1) {
      await writer.ask({ type: 'register', key: 'web', instance: `${n}`, values: `${second}${'x'.repeat(5000)}` });
      expect(await watcher.receive()).toMatchObject({ type: 'change', service: { instance: `${n}` } });
    }
    expect(deaf.far.writableLength).toBeLessThan(200_000);
    daemon.clock.advance(1000);
  }
  await settle();
  expect(deaf.far.destroyed).toBe(true);
  expect(await writer.ask({ type: 'status' })).toMatchObject({ connections: 2, watches: 1, behind: 0 });
});

test('connections that say nothing are closed where that was asked for, and make room', async () => {
  await using daemon = await startDaemon({ idleTimeout: 60, maxConnections: 500 });
  const silent = Array.from({ length: 500 }, () => daemon.connect());
  expect(await daemon.connect().receive()).toMatchObject({ error: { limit: 'maxConnections' } });
  daemon.clock.advance(62_000);
  for (const peer of silent) expect(await peer.receive()).toMatchObject({ error: { limit: 'idleTimeout' } });
  await settle();
  daemon.clock.advance(6000);
  await settle();
  expect(daemon.server.connections).toBe(0);
  expect(await daemon.connect().ask({ type: 'ping' })).toEqual({ ok: true });
});
