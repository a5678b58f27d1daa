import { Duplex } from 'node:stream';
import { DEFAULT_LIMITS, decodeRequest, RegistryError, RequestError } from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { createServer } from '@reg/server';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LogHost } from '../src/log/log.js';
import { MemoryLog } from '../src/log/memory.js';
import { PLAIN, startDaemon } from './harness.js';
import { settle, turn } from './settle.js';

describe('any bytes', () => {
  const line = fc.oneof(
    fc.constantFrom(
      '{"type":"ping"}',
      '{"type":"register","key":"a","values":"x"}',
      '{"type":"register","key":"é","values":"日本"}',
      '{"type":"query","key":"all"}',
      '{"type":"destruction","key":"a"}',
      '{"__proto__":{"type":"ping"}}',
      '{"type":"constructor"}',
      '[]',
      'null',
      '{}',
      '\u0000',
      `{"type":"register","key":"a","values":${'['.repeat(5000)}${']'.repeat(5000)}}`,
    ),
    fc.json(),
    fc.string(),
  );
  const lineBytes = fc.oneof(
    line.map((text) => Buffer.from(text.replaceAll('\n', ' '), 'utf8')),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 10))),
  );

  test('give exactly one reply for each line that is not blank, in order, however they are split', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(lineBytes, fc.constantFrom('\r\n', '\n')), { maxLength: 20 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 30 })),
        async (lines, sizes) => {
          await using daemon = await startDaemon();
          const peer = daemon.connect();
          const bytes = Buffer.concat(lines.flatMap(([text, end]) => [text, Buffer.from(end)]));
          for (let offset = 0; offset < bytes.length; ) {
            const size = sizes.next().value ?? 1;
            peer.send(bytes.subarray(offset, offset + size));
            offset += size;
            if (size % 5 === 0) await turn();
          }
          peer.send('\n{"type":"ping","id":"last"}\n');
          const expected = lines.map(([text]) => text).filter((text) => /[^ \t\r]/.test(text.toString('latin1')));
          for (const text of expected) {
            const reply = await peer.receive();
            expect(typeof reply.ok).toBe('boolean');
            if (!accepts(text)) expect(reply.ok).toBe(false);
          }
          expect(await peer.receive()).toEqual({ ok: true, id: 'last' });
        },
      ),
      { numRuns: 150 },
    );
  });

  /** What the line says, with the CR that belongs to its ending taken off. */
  function accepts(text: Buffer): boolean {
    try {
      decodeRequest(text, DEFAULT_LIMITS);
      return true;
    } catch (error) {
      expect(error).toBeInstanceOf(RequestError);
      return false;
    }
  }

  test('that never end a line are not held in memory, and the connection goes on after them', async () => {
    await using daemon = await startDaemon({ maxLineBytes: 4096, maxValueBytes: 1024, maxMetaBytes: 1024 });
    const peer = daemon.connect();
    for (let n = 0; n < 2000; n += 1) peer.send(Buffer.alloc(4096, 0x61));
    await settle();
    peer.send('\r\n{"type":"ping"}\r\n');
    expect(await peer.receive()).toMatchObject({ ok: false, error: { code: 'line_too_long' } });
    expect(await peer.receive()).toEqual({ ok: true });
  });
});

describe('a peer that does not read', () => {
  test('stops the daemon from reading, loses nothing, and goes on when it reads', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ type: 'register', key: 'a', values: 'x'.repeat(60_000) });
    peer.stream.pause();
    let isDrained = true;
    let sent = 0;
    while (isDrained && sent < 5000) {
      isDrained = peer.stream.write(`{"type":"query","key":"a","id":${sent}}\n`);
      sent += 1;
      await turn();
    }
    expect(sent).toBeLessThan(5000);
    peer.stream.resume();
    for (let id = 0; id < sent; id += 1) expect(await peer.receive()).toMatchObject({ ok: true, id });
  });

  test('is closed after 30 s', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ type: 'register', key: 'a', values: 'x'.repeat(60_000), timeout: 'never' });
    peer.stream.pause();
    for (let n = 0; n < 20; n += 1) peer.send({ type: 'query', key: 'a' });
    await settle();
    daemon.clock.advance(29_000);
    expect(daemon.server.connections).toBe(1);
    daemon.clock.advance(3000);
    await settle();
    expect(daemon.server.connections).toBe(0);
  });

  test('is closed too where only a little waits for it, whether it has ended its side or not', async () => {
    await using daemon = await startDaemon();
    for (const isEnded of [false, true]) {
      const deaf = new Duplex({ read() {}, write() {} });
      daemon.server.handle(deaf);
      deaf.push('{"type":"ping"}\n');
      if (isEnded) deaf.push(null);
    }
    await settle();
    expect(daemon.server.connections).toBe(2);
    daemon.clock.advance(32_000);
    await settle();
    expect(daemon.server.connections).toBe(0);
  });

  test('is left alone as long as it reads something now and then', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ type: 'register', key: 'a', values: 'x'.repeat(60_000), timeout: 'never' });
    for (let n = 0; n < 20; n += 1) peer.send({ type: 'query', key: 'a', id: n });
    for (let id = 0; id < 20; id += 1) {
      peer.stream.resume();
      expect(await peer.receive()).toMatchObject({ ok: true, id });
      peer.stream.pause();
      await settle();
      daemon.clock.advance(20_000);
    }
    expect(daemon.server.connections).toBe(1);
  });
});

test('a line that is not finished within 30 s gets its error and the connection is closed', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  const idle = daemon.connect();
  peer.send('{"type":');
  await settle();
  for (let n = 0; n < 31; n += 1) {
    daemon.clock.advance(1000);
    peer.send(' ');
    await settle(2);
  }
  expect(await peer.receive()).toMatchObject({ ok: false, error: { code: 'slow_peer' } });
  await expect(peer.line()).rejects.toThrow('the connection has ended');
  daemon.clock.advance(3_600_000);
  expect(await idle.ask({ type: 'ping' })).toEqual({ ok: true });
});

test('who ends its side after the last request still gets every reply', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  peer.stream.end('{"type":"register","key":"a","values":1}\n{"type":"query","key":"a"}\n{"type":"pi');
  expect(await peer.receive()).toMatchObject({ result: 'registered' });
  expect(await peer.receive()).toMatchObject({ services: [{ key: 'a' }] });
  await expect(peer.line()).rejects.toThrow('the connection has ended');
});

test('a shutdown answers what was read and ends every connection', async () => {
  const daemon = await startDaemon();
  const peer = daemon.connect();
  peer.send('{"type":"ping","id":1}\n{"type":"ping","id":2}\n');
  await settle();
  const closed = daemon.server.close();
  expect(await peer.receive()).toEqual({ ok: true, id: 1 });
  expect(await peer.receive()).toEqual({ ok: true, id: 2 });
  await expect(peer.line()).rejects.toThrow('the connection has ended');
  peer.hangUp();
  await closed;
});

test('a shutdown does not wait for a peer that never reads', async () => {
  const daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask({ type: 'register', key: 'a', values: 'x'.repeat(60_000) });
  peer.stream.pause();
  for (let n = 0; n < 50; n += 1) peer.send({ type: 'query', key: 'a' });
  await settle();
  const closed = daemon.server.close();
  await settle();
  daemon.clock.advance(700);
  await closed;
  await settle();
  expect(daemon.server.connections).toBe(0);
});

/** A clock on which everything takes time: each look at it costs half a millisecond. */
class SlowClock extends ManualClock {
  #looks = 0;

  override monotonic(): number {
    this.#looks += 1;
    return super.monotonic() + this.#looks / 2;
  }
}

describe('what is asked behind a long reply', () => {
  // Both above what a long reply is, and below it: a stream that takes all of it at once never drains.
  test.each([16 * 1024, 1024 * 1024])(
    'is answered too, on a stream that takes %i bytes at once',
    async (writableHighWaterMark) => {
      await using daemon = await startDaemon();
      const setter = daemon.connect();
      for (let n = 0; n < 600; n += 1) await setter.ask({ type: 'register', key: 's', instance: `i-${n}`, values: n });
      const peer = daemon.connect({ writableHighWaterMark });
      const lines = Array.from({ length: 5 }, (_, id) => `{"type":"query","key":"s","id":${id}}\n{"type":"ping"}\n`);
      peer.stream.end(lines.join(''));
      for (let id = 0; id < 5; id += 1) {
        expect((await peer.receive())['services']).toHaveLength(600);
        expect(await peer.receive()).toEqual({ ok: true });
      }
      await expect(peer.line()).rejects.toThrow('the connection has ended');
      setter.hangUp();
      await settle();
      expect(daemon.server.connections).toBe(0);
    },
  );
});

test('many sessions with much to answer give way to the others together, and none of them stands still', async () => {
  await using daemon = await startDaemon({}, new SlowClock());
  const peers = Array.from({ length: 100 }, () => daemon.connect());
  for (const peer of peers) peer.send('{"type":"ping"}\n'.repeat(100));
  const counts = [0];
  const answered = (): number => peers.reduce((sum, { waiting }) => sum + waiting, 0);
  for (let count = 0; count < 1000 && answered() < 10_000; count += 1) {
    await turn();
    counts.push(answered());
  }
  expect(answered()).toBe(10_000);
  const most = Math.max(...counts.map((count, turn) => count - (counts[turn - 1] ?? 0)));
  expect(most).toBeGreaterThanOrEqual(100);
  // Each look takes half a ms of a turn of 20, and is followed by 16 requests; who comes too late has one.
  expect(most).toBeLessThan(40 * 16 + 100);
});

test('a session with much to answer gives way to the others, and loses nothing', async () => {
  await using daemon = await startDaemon({}, new SlowClock());
  const busy = daemon.connect();
  const other = daemon.connect();
  busy.send(Array.from({ length: 1000 }, (_, id) => `{"type":"ping","id":${id}}\n`).join(''));
  await turn();
  other.send({ type: 'ping' });
  expect(await other.receive()).toEqual({ ok: true });
  expect(busy.waiting).toBeLessThan(500);
  for (let id = 0; id < 1000; id += 1) expect(await busy.receive()).toEqual({ ok: true, id });
});

test('a server that is closed while it starts does not listen', async () => {
  const server = createServer({ port: 0, storage: 'memory' });
  const listening = server.listen();
  await server.close();
  await expect(listening).rejects.toMatchObject({ code: 'shutting_down' });
});

test('a server that is closed does not start again, and one that could not start closes', async () => {
  const closed = createServer({ port: 0, storage: 'memory' });
  await closed.close();
  await expect(closed.listen()).rejects.toMatchObject({ code: 'shutting_down' });

  class FailingLog extends MemoryLog {
    override async open(host: LogHost): Promise<void> {
      host.registry.restore(
        {
          kind: 'register',
          revision: 1,
          key: 'a',
          instance: '',
          generation: 1,
          at: 0,
          registered: 0,
          ttl: 1,
          body: '',
          ...PLAIN,
          expiresAt: 0,
        },
        1,
      );
      throw new RegistryError('data_damaged');
    }
  }
  const failed = createServer({ port: 0, log: new FailingLog() });
  await expect(failed.listen()).rejects.toMatchObject({ code: 'data_damaged' });
  await failed.close();
});

test('limits that contradict each other are refused: what is registered must fit a reply', () => {
  expect(() => createServer({ maxValueBytes: 200_000 })).toThrow(/maxLineBytes must be at least/);
  expect(() => createServer({ maxReplyBytes: 65_536 })).toThrow(/maxReplyBytes must be at least/);
});
