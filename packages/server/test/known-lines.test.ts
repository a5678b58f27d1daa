import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it, test, vi } from 'vitest';
import { Outbox } from '../src/outbox.js';
import type { Instance } from '../src/registry/instance.js';
import { type Again, KnownLines, MAX_REPLY_BYTES, SPARE_BYTES, UNKNOWN } from '../src/registry/known-lines.js';
import { instanceOf, PLAIN, startDaemon } from './harness.js';
import { HeldLog } from './held-log.js';
import { settle } from './settle.js';

const LINE = queryOf('web');

function queryOf(key: string): Buffer {
  return Buffer.from(`{"type":"query","key":"${key}"}\r\n`);
}

function makeInstance(): Instance {
  const change = {
    kind: 'register',
    revision: 1,
    key: 'web',
    instance: '',
    generation: 1,
    at: 0,
    registered: 0,
  } as const;
  return instanceOf({ ...change, ...PLAIN, ttl: 1000, body: '"values":1', expiresAt: 1000 });
}

function until(time: number): Again {
  return { service: 'web', renewed: undefined, time };
}

function renewing(renewed: Instance, time: number): Again {
  return { service: 'web', renewed, time };
}

/** The reply that is known to a line, as it would be written. */
function replyTo(known: KnownLines, chunk: Buffer, start = 0): string | undefined {
  const place = known.find(chunk, start);
  if (place === UNKNOWN) return undefined;
  const target = new DataView(new ArrayBuffer(MAX_REPLY_BYTES + SPARE_BYTES));
  return Buffer.from(target.buffer, 0, known.copyReply(place, target, 0)).toString();
}

describe('a line that is known', () => {
  it('is found wherever it stands in a chunk, with its reply', () => {
    const known = new KnownLines();
    known.keep(LINE, '{"ok":true}\r\n', until(10));
    const chunk = Buffer.concat([queryOf('other'), LINE, LINE]);
    expect(replyTo(known, chunk)).toBeUndefined();
    expect(replyTo(known, chunk, chunk.length - LINE.length)).toBe('{"ok":true}\r\n');
    expect(replyTo(known, chunk, chunk.length - 2 * LINE.length)).toBe('{"ok":true}\r\n');
    expect(known.lineLengthOf(known.find(LINE, 0))).toBe(LINE.length);
  });

  it('is not found where it is not whole, or ends otherwise', () => {
    const known = new KnownLines();
    known.keep(LINE, 'x', until(10));
    for (let length = 0; length < LINE.length; length += 1) {
      expect(known.find(LINE.subarray(0, length), 0)).toBe(UNKNOWN);
    }
    expect(known.find(Buffer.from(LINE.toString().replace('\r', '')), 0)).toBe(UNKNOWN);
    expect(known.find(LINE, 1)).toBe(UNKNOWN);
  });

  it('is found although others differ from it only far behind its beginning', () => {
    const known = new KnownLines();
    const lineOf = (n: number): Buffer => queryOf(`${'a'.repeat(100)}${n}`);
    for (let n = 0; n < 4; n += 1) known.keep(lineOf(n), `reply ${n}`, until(10));
    for (let n = 0; n < 4; n += 1) expect(replyTo(known, lineOf(n))).toBe(`reply ${n}`);
    known.keep(lineOf(4), 'reply 4', until(10));
    expect([0, 1, 2, 3, 4].map((n) => replyTo(known, lineOf(n)))).toEqual([
      undefined,
      ...[1, 2, 3, 4].map((n) => `reply ${n}`),
    ]);
  });

  it('has one reply, the last that was kept', () => {
    const known = new KnownLines();
    const place = known.keep(LINE, 'first', until(10));
    expect(known.keep(LINE, 'second, and longer', until(10))).toBe(place);
    expect(replyTo(known, LINE)).toBe('second, and longer');
  });

  it('holds until its time where it is a query', () => {
    const known = new KnownLines();
    const place = known.keep(LINE, 'x', until(10));
    expect(known.renewedBy(place)).toBeUndefined();
    expect([9.5, 10, 11].map((now) => known.holds(place, now))).toEqual([true, false, false]);
    expect(known.holds(known.keep(LINE, 'x', until(Number.POSITIVE_INFINITY)), 1e15)).toBe(true);
  });

  it('holds while the instance is there that it renews', () => {
    const known = new KnownLines();
    const instance = makeInstance();
    const place = known.keep(LINE, 'x', renewing(instance, 1000));
    expect(known.renewedBy(place)).toBe(instance);
    expect(known.timeOf(place)).toBe(1000);
    expect(known.holds(place, 0)).toBe(false);
  });

  it('is gone when it is forgotten, and when all is', () => {
    const known = new KnownLines();
    known.forget(known.keep(LINE, 'x', renewing(makeInstance(), 10)));
    expect(known.find(LINE, 0)).toBe(UNKNOWN);
    known.keep(LINE, 'x', renewing(makeInstance(), 10));
    known.clear();
    expect(known.find(LINE, 0)).toBe(UNKNOWN);
    known.forget(UNKNOWN);
  });

  it('is not kept where it or its reply is long', () => {
    const known = new KnownLines();
    expect(known.keep(queryOf('a'.repeat(600)), 'x', until(10))).toBe(UNKNOWN);
    expect(known.keep(LINE, 'é'.repeat(1025), until(10))).toBe(UNKNOWN);
    expect(known.keep(LINE, 'é'.repeat(1024), until(10))).not.toBe(UNKNOWN);
    expect(replyTo(known, LINE)).toBe('é'.repeat(1024));
  });
});

test('the latest lines are known, as far as the ring reaches, and never one with the reply of another', () => {
  const known = new KnownLines();
  const replyOf = (n: number): string => `reply ${n} ${'x'.repeat((n * 7) % 2000)}`;
  const count = 60_000;
  for (let n = 0; n < count; n += 1) known.keep(queryOf(`service-${n}`), replyOf(n), until(10));
  let found = 0;
  for (let n = 0; n < count; n += 1) {
    const reply = replyTo(known, queryOf(`service-${n}`));
    if (reply === undefined) continue;
    expect(reply).toBe(replyOf(n));
    found += 1;
  }
  expect(replyTo(known, queryOf(`service-${count - 1}`))).toBe(replyOf(count - 1));
  // Of 1,030 bytes on average, 8,000 fill the ring.
  expect(found).toBeGreaterThan(6000);
  expect(found).toBeLessThan(8500);
});

const LINES = ['a', 'b'].flatMap((key) => [
  `{"type":"query","key":"${key}"}\r\n`,
  `{"type":"query","key":"${key}"}\n`,
  `\n{"key":"${key}", "type":"query"}\r\n`,
  `{"type":"query","key":"${key}","id":1}\r\n`,
  ...['x', 'é"\\\\'].map(
    (value) => `{"type":"register","key":"${key}","values":${JSON.stringify(value)},"timeout":2}\r\n`,
  ),
  `{"type":"register","key":"${key}","values":"x","timeout":"3"}\r\n`,
  `{"type":"register","key":"${key}","instance":"i","values":"x","timeout":2}\r\n`,
  `{"type":"register","key":"${key}","values":"x","timeout":2,"linger":0.5}\r\n`,
  `{"type":"register","key":"${key}","values":"x","timeout":2,"owner":"o"}\r\n`,
  `{"type":"destruction","key":"${key}"}\r\n`,
]);

test('a daemon that knows lines answers as one that does not, however they come', async () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        at: fc.nat(2),
        lines: fc.array(fc.constantFrom(...LINES), { minLength: 1, maxLength: 8 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ pass: fc.constantFrom(10, 400, 900, 2000, 3000) }) },
    { weight: 1, arbitrary: fc.record({ hangUp: fc.nat(2) }) },
  );
  const cuts = fc.array(fc.nat(200), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(step, cuts), { maxLength: 25 }), async (steps) => {
      await using knowing = await startDaemon();
      await using plain = await startDaemon();
      vi.spyOn(plain.server.registry.known, 'find').mockReturnValue(UNKNOWN);
      const peers = [knowing, plain].map((daemon) => [daemon.connect(), daemon.connect(), daemon.connect()]);
      for (const [what, at] of steps) {
        for (const [index, daemon] of [knowing, plain].entries()) {
          const own = peers[index] ?? [];
          if ('pass' in what) daemon.clock.advance(what.pass);
          if ('hangUp' in what) own.splice(what.hangUp, 1, daemon.connect())[0]?.hangUp();
          if ('lines' in what) for (const piece of cut(what.lines.join(''), at)) own[what.at]?.send(piece);
          await settle(4);
        }
        if ('lines' in what) {
          const [ours, theirs] = peers.map((own) => own[what.at]);
          for (const _ of what.lines) expect(await ours?.line()).toBe(await theirs?.line());
        }
        expect(knowing.server.registry.revision).toBe(plain.server.registry.revision);
        expect(knowing.server.registry.all().map(({ expiresAt }) => expiresAt)).toEqual(
          plain.server.registry.all().map(({ expiresAt }) => expiresAt),
        );
      }
    }),
    { numRuns: 100 },
  );
}, 60_000);

/** A text in pieces, as bytes. */
function cut(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const ends = [...cuts.filter((at) => at < bytes.length), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

test('a line that is known counts as a request where requests are bounded, and is read when it is refused', async () => {
  await using daemon = await startDaemon({ maxRequestsPerSecond: 3 });
  const peer = daemon.connect();
  await peer.ask({ type: 'register', key: 'web', values: 1, timeout: 30 });
  for (let n = 0; n < 2; n += 1) expect(await peer.ask(`${LINE.toString().trim()}\r\n`)).toMatchObject({ ok: true });
  const find = vi.spyOn(daemon.server.registry.known, 'find');
  peer.send(Buffer.concat([LINE, LINE, Buffer.from('{"type":"query","key":"none"}\r\n')]));
  for (let n = 0; n < 3; n += 1)
    expect(await peer.receive()).toMatchObject({ error: { limit: 'maxRequestsPerSecond' } });
  expect(find.mock.results[0]?.value).not.toBe(UNKNOWN);
  await settle();
  expect(peer.waiting).toBe(0);
});

test('nothing is known of what can still be undone', async () => {
  const log = new HeldLog();
  await using daemon = await startDaemon({ log });
  const [writer, reader] = [daemon.connect(), daemon.connect()];
  writer.send({ type: 'register', key: 'web', values: 1, timeout: 30 });
  reader.send(LINE);
  await settle();
  expect(daemon.server.registry.known.find(LINE, 0)).toBe(UNKNOWN);
  log.commit();
  await settle();
  reader.send(LINE);
  await settle();
  expect(daemon.server.registry.known.find(LINE, 0)).not.toBe(UNKNOWN);
});

const REGISTER = '{"type":"register","key":"web","values":1,"timeout":30}\r\n';

test('a line that came in pieces is not known by its end', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask(REGISTER);
  const [beginning, end] = [LINE.subarray(0, -5), LINE.subarray(-5)];
  for (const piece of [beginning, end]) {
    peer.send(piece);
    await settle();
  }
  expect(await peer.receive()).toMatchObject({ ok: true });
  expect(await peer.ask(end.toString())).toMatchObject({ error: { code: 'bad_json' } });
});

test('what stands behind the beginning of a line belongs to that, also where it is known', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask(REGISTER);
  await peer.ask(LINE.toString());
  peer.send('x');
  await settle();
  expect(await peer.ask(LINE.toString())).toMatchObject({ error: { code: 'bad_json' } });
  expect(await peer.ask(LINE.toString())).toMatchObject({ ok: true });
});

test('a reply that is known, others and events leave in their order, in one write', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask(REGISTER);
  await peer.ask(LINE.toString());
  await peer.ask({ type: 'watch', key: 'web', id: 'w' });
  await settle();
  while (peer.waiting > 0) await peer.receive();
  const write = vi.spyOn(peer.far, 'write');
  const ping = '{"type":"ping"}\r\n';
  peer.send(`${ping}${LINE}${ping}${LINE}`);
  await settle();
  expect(write).toHaveBeenCalledTimes(1);
  const isQuery = [];
  while (peer.waiting > 0) isQuery.push('services' in (await peer.receive()));
  expect(isQuery).toEqual([false, true, false, true]);
  peer.send(`${LINE}${REGISTER.replace('1', '2')}${LINE}`);
  await settle();
  const types = [];
  while (peer.waiting > 0)
    types.push(
      Object.keys(await peer.receive())
        .slice(0, 2)
        .join(),
    );
  expect(types).toEqual(['ok,revision', 'ok,result', 'ok,revision', 'type,watch']);
});

test('replies of two that are put together at the same time do not mix, nor do events lose them', () => {
  const known = new KnownLines();
  const place = known.keep(LINE, 'known\r\n', until(10));
  const streams = [new PassThrough(), new PassThrough()];
  const [one, other] = streams.map(
    (stream) =>
      new Outbox(
        stream,
        () => 0,
        () => {},
      ),
  ) as [Outbox, Outbox];
  one.addKnown(known, place);
  other.addKnown(known, place);
  other.addEvents('event\r\n');
  one.addKnown(known, place);
  one.add(undefined, 0, { id: undefined, shows: 0, line: 'é\r\n' });
  one.addKnown(known, place);
  for (const outbox of [one, other]) outbox.send();
  expect(streams.map((stream) => String(stream.read()))).toEqual([
    'known\r\nknown\r\né\r\nknown\r\n',
    'known\r\nevent\r\n',
  ]);
});

test('an answer is forgotten when something of its service is to expire sooner', async () => {
  await using daemon = await startDaemon();
  const peer = daemon.connect();
  await peer.ask(REGISTER);
  await peer.ask(LINE.toString());
  const { registry } = daemon.server;
  expect(registry.known.find(LINE, 0)).not.toBe(UNKNOWN);
  for (const instance of registry.all()) registry.hasten(instance, instance.expiresAt - 1);
  expect(registry.known.find(LINE, 0)).toBe(UNKNOWN);
});
