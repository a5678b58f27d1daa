import { once } from 'node:events';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { request, FormData as UndiciFormData } from 'undici';
import { describe, expect, test } from 'vitest';
import { makeSendable } from '../src/undici/body.js';
import { dispatcherOf, HttpService } from './http-services.js';

/** One that breaks the connection when it has read the body, and one that takes it. */
async function services() {
  const broken = await HttpService.start('broken', (incoming) => void incoming.socket.resetAndDestroy());
  const sound = await HttpService.start('sound');
  return { broken, sound };
}

async function* pieces(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text);
}

describe('a body is sent again as it was', () => {
  const bodies: [string, () => NonNullable<RequestInit['body']>][] = [
    ['a text', () => 'one two'],
    ['bytes', () => new TextEncoder().encode('one two')],
    ['a buffer', () => new TextEncoder().encode('one two').buffer],
    ['a blob', () => new Blob(['one', ' two'])],
    ['a stream', () => Readable.toWeb(Readable.from(pieces('one', ' two')))],
  ];
  test.each(bodies)('by fetch: %s', async (_, body) => {
    const { broken, sound } = await services();
    const { dispatcher } = dispatcherOf([broken, sound]);
    const response = await fetch('http://payments/', { method: 'PUT', body: body(), duplex: 'half', dispatcher });
    expect(response.status).toBe(200);
    expect(broken.bodies).toEqual(['one two']);
    expect(sound.bodies).toEqual(['one two']);
  });

  test.each([
    ['a text', () => 'one two'],
    ['a buffer', () => Buffer.from('one two')],
    ['a stream', () => Readable.from(pieces('one', ' two'))],
  ])('by request: %s', async (_, body) => {
    const { broken, sound } = await services();
    const { dispatcher } = dispatcherOf([broken, sound]);
    await request('http://payments/', { method: 'PUT', body: body(), dispatcher });
    expect(broken.bodies).toEqual(['one two']);
    expect(sound.bodies).toEqual(['one two']);
  });

  test('by request: a form', async () => {
    const { broken, sound } = await services();
    const { dispatcher } = dispatcherOf([broken, sound]);
    const body = new UndiciFormData();
    body.set('one', 'two');
    await request('http://payments/', { method: 'PUT', body, dispatcher });
    expect(sound.bodies[0]).toContain('name="one"');
  });
});

test('a stream that is longer than what is kept is not sent again', async () => {
  const { broken, sound } = await services();
  const { dispatcher } = dispatcherOf([broken, sound], { maxReplay: 10 });
  const put = (body: Readable) => request('http://payments/', { method: 'PUT', body, dispatcher });
  await expect(put(Readable.from(pieces('one two', ' three')))).rejects.toThrow();
  expect(broken.bodies).toEqual(['one two three']);
  expect(sound.bodies).toEqual([]);
});

test('a slow upload is not taken for an instance that hangs', async () => {
  const service = await HttpService.start('a');
  const { dispatcher, clock } = dispatcherOf([service], { headersTimeout: 1000 });
  async function* slowly() {
    for (let piece = 0; piece < 5; piece += 1) {
      clock.advance(900);
      yield Buffer.from(String(piece));
    }
  }
  const body = Readable.from(slowly());
  const response = await request('http://payments/', { method: 'POST', body, dispatcher });
  expect(response.statusCode).toBe(200);
  expect(service.bodies).toEqual(['01234']);
});

test('a body that fails by itself is the caller’s fault, whatever its error looks like', async () => {
  const services = [await HttpService.start('a'), await HttpService.start('b')];
  const { dispatcher } = dispatcherOf(services, { ejectAfter: 1 });
  async function* failing() {
    yield Buffer.from('one');
    throw Object.assign(new Error('no more'), { code: 'ECONNRESET' });
  }
  const put = request('http://payments/', { method: 'PUT', body: Readable.from(failing()), dispatcher });
  await expect(put).rejects.toThrow('no more');
  const names = new Set<string>();
  for (let turn = 0; turn < 4; turn += 1) {
    names.add(await (await request('http://payments/', { dispatcher })).body.text());
  }
  expect(names.size).toBe(2);
});

test('the rest of a body that the instance does not want is not read', async () => {
  const service = await HttpService.start('a', (_, response) => void response.writeHead(413).end());
  service.reads = false;
  const { dispatcher } = dispatcherOf([service]);
  const body = new Readable({ read() {} });
  body.push('some');
  const closed = once(body, 'close');
  const response = await request('http://payments/', { method: 'POST', body, dispatcher });
  expect(response.statusCode).toBe(413);
  await response.body.dump();
  await closed;
});

test('a stream is closed when nothing of it will be sent any more', async () => {
  for (const isRead of [true, false]) {
    const stream = Readable.from(pieces('one', 'two', 'three'));
    const sendable = makeSendable(stream, 1000);
    const attempt = sendable.open(() => {});
    if (isRead && attempt instanceof Readable) for await (const _ of attempt) break;
    const closed = once(stream, 'close');
    sendable.close();
    await closed;
  }
});

test('each attempt sends the whole, wherever those before it were given up', async () => {
  const chunks = fc.array(fc.string({ minLength: 0, maxLength: 5 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(chunks, fc.array(fc.nat(8), { maxLength: 3 }), async (texts, stops) => {
      const sendable = makeSendable(Readable.from(pieces(...texts)), 1000);
      for (const stop of stops) {
        const attempt = sendable.open(() => {});
        if (!(attempt instanceof Readable)) throw new Error('not a stream');
        let read = 0;
        for await (const _ of attempt) {
          read += 1;
          if (read >= stop) break;
        }
        expect(sendable.repeatable).toBe(true);
      }
      const last = sendable.open(() => {});
      if (!(last instanceof Readable)) throw new Error('not a stream');
      expect(Buffer.concat(await last.toArray()).toString()).toBe(texts.join(''));
    }),
  );
});

test('an attempt that is given up while it waits loses nothing of the body', async () => {
  let give = (_: string) => {};
  async function* source() {
    yield 'one';
    yield await new Promise<string>((resolve) => {
      give = resolve;
    });
    yield 'three';
  }
  const sendable = makeSendable(Readable.from(source()), 1000);
  const first = sendable.open(() => {});
  if (!(first instanceof Readable)) throw new Error('not a stream');
  const reading = first[Symbol.asyncIterator]();
  await reading.next();
  reading.next().catch(() => {});
  const second = sendable.open(() => {});
  if (!(second instanceof Readable)) throw new Error('not a stream');
  const whole = second.toArray();
  await new Promise(setImmediate);
  give('two');
  expect(Buffer.concat(await whole).toString()).toBe('onetwothree');
});

test('an attempt that was answered too early takes nothing of the body away from the next', async () => {
  const texts = Array.from({ length: 10 }, () => 'piece');
  const sendable = makeSendable(Readable.from(pieces(...texts)), 10);
  const first = sendable.open(() => {});
  if (!(first instanceof Readable)) throw new Error('not a stream');
  const reading = first[Symbol.asyncIterator]();
  await reading.next();
  expect(sendable.repeatable).toBe(true);
  const second = sendable.open(() => {});
  if (!(second instanceof Readable)) throw new Error('not a stream');
  // As an instance does that goes on to read what it has refused.
  await expect(async () => {
    while (!(await reading.next()).done);
  }).rejects.toThrow();
  expect(Buffer.concat(await second.toArray()).toString()).toBe(texts.join(''));
});
