/**
 * Fuzzing of the wire: what peers send after accidents, cut into chunks anywhere. `REG_FUZZ_RUNS` says how many inputs;
 * where many, they go to one daemon after the other, so that what is measured at the end is what leaks.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Daemon, startDaemon } from './harness.js';
import { settle } from './settle.js';

const RUNS = Number(process.env['REG_FUZZ_RUNS'] ?? 1500);
/** After so many inputs a daemon is stopped, and what it has registered goes with it. */
const RUNS_PER_DAEMON = 500;
/** What the heap may hold more after all inputs than after the first thousand. */
const MAX_GROWTH_BYTES = 16 * 1024 * 1024;

/** A line of every command, with every field that it knows: what accidents happen to. */
const CORPUS: readonly string[] = [
  '{"type":"register","key":"redis","values":"123456@127.0.0.1:6379","timeout":"30"}',
  '{"id":1,"type":"register","key":"web","instance":"w-1","values":{"host":"::1","port":80},"timeout":0.5,"tags":["a"],"meta":{"zone":"eu"},"weight":3,"status":"draining"}',
  '{"id":"x","type":"register","key":"web","instance":"w-2","values":[1,null],"timeout":"never","linger":5,"owner":"s3cret","takeover":true}',
  '{"type":"register","key":"web","instance":"w-2","values":1,"owner":"s3cret","generation":2}',
  '{"type":"query","key":"redis"}',
  '{"type":"query","key":"all","limit":2,"after":1,"detail":true,"status":"any","tags":["a"],"meta":{"zone":"eu"}}',
  '{"type":"destruction","key":"web","instance":"*","owner":"s3cret"}',
  '{"type":"heartbeat"}',
  '{"type":"watch","key":"redis","ack":true}',
  '{"type":"watch","prefix":"w","epoch":"0000000000000000","after":0}',
  '{"type":"unwatch","watch":1}',
  '{"type":"ack","watch":1,"revision":1}',
  '{"type":"acks","key":"redis","revision":1}',
  '{"type":"explain","key":"web","instance":"w-1"}',
  '{"type":"backup"}',
  '{"type":"backup","after":1}',
  '{"type":"status"}',
  '{"type":"ping","id":7}',
  '{"type":"hello"}',
];

/** Bytes and texts that parsers stumble over. */
const FRAGMENTS = [
  '\r\n',
  '\n',
  '\r',
  '"',
  '\\',
  '\\u0000',
  '{"__proto__":',
  '[[[[[[',
  '}}',
  ',',
  '1e999',
  '-0',
  'null',
  '\u0000',
  '\ufeff',
  '\ud83d\ude00',
  '9007199254740993',
  'x'.repeat(2000),
].map((text) => Buffer.from(text));
const INVALID = [Buffer.from([0xff]), Buffer.from([0xc3]), Buffer.from([0xed, 0xa0, 0x80])];

const accident = fc.record({
  at: fc.nat(),
  gone: fc.oneof(fc.nat(3), fc.nat(200)),
  put: fc.oneof(
    fc.constantFrom(...FRAGMENTS, ...INVALID),
    fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(...CORPUS).map((line) => Buffer.from(line)),
  ),
});

/** What one connection sends: some lines, some accidents, and where the chunks are cut. */
const inputs = fc.record({
  lines: fc.array(fc.constantFrom(...CORPUS), { minLength: 1, maxLength: 6 }),
  accidents: fc.array(accident, { maxLength: 5 }),
  cuts: fc.array(fc.nat(), { maxLength: 4 }),
});

type Input = typeof inputs extends fc.Arbitrary<infer T> ? T : never;

function chunksOf({ lines, accidents, cuts }: Input): Buffer[] {
  let bytes = Buffer.from(lines.map((line) => `${line}\r\n`).join(''));
  for (const { at, gone, put } of accidents) {
    const start = at % (bytes.length + 1);
    bytes = Buffer.concat([bytes.subarray(0, start), put, bytes.subarray(start + gone)]);
  }
  const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...places].map((start, index) => bytes.subarray(start, places[index]));
}

/** Sends an input, and takes every line that comes until the last request of all is answered. */
async function send(daemon: Daemon, input: Input): Promise<void> {
  const peer = daemon.connect();
  for (const chunk of chunksOf(input)) if (chunk.length > 0) peer.send(chunk);
  peer.send('\r\n{"type":"ping","id":"the last"}\r\n');
  for (;;) {
    const message = await peer.receive();
    if ('ok' in message) {
      expect(typeof message.ok).toBe('boolean');
      // Which is what the daemon answers where it has met with what it does not know of.
      if (!message.ok) expect(message['error']).not.toMatchObject({ code: 'internal' });
      if (message['id'] === 'the last') break;
    } else {
      expect(message).toHaveProperty('type');
    }
  }
  peer.hangUp();
}

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** What is only weakly held, or waits to be finalised, takes more than one collection. */
async function heapUsed(): Promise<number> {
  for (let round = 0; round < 3; round += 1) {
    await settle();
    collect();
  }
  return process.memoryUsage().heapUsed;
}

it(
  `whatever a peer sends, it is answered, and others are: ${RUNS} inputs`,
  async () => {
    let before: number | undefined;
    for (let sent = 0; sent < RUNS; sent += RUNS_PER_DAEMON) {
      // fast-check keeps something of every input of a property.
      if (sent >= 2 * RUNS_PER_DAEMON) before ??= await heapUsed();
      await using daemon = await startDaemon({ maxLineBytes: 1500, maxValueBytes: 512, maxMetaBytes: 256 });
      const property = fc.asyncProperty(inputs, (input) => send(daemon, input));
      await fc.assert(property, { numRuns: Math.min(RUNS_PER_DAEMON, RUNS - sent) });
    }
    const grown = (await heapUsed()) - (before ?? 0);
    process.stdout.write(`wire: ${RUNS} inputs, the heap has grown by ${Math.round(grown / 1024)} KiB\n`);
    expect(grown).toBeLessThan(MAX_GROWTH_BYTES);
  },
  60_000 + RUNS * 20,
);
