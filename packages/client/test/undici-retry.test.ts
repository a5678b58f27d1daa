import type { RequestListener } from 'node:http';
import { Readable } from 'node:stream';
import { type Dispatcher, request } from 'undici';
import { describe, expect, test } from 'vitest';
import { dispatcherOf, HttpService } from './http-services.js';

const URL = 'http://payments/';

/** Breaks the connection instead of an answer. */
const reset: RequestListener = (incoming) => void incoming.socket.resetAndDestroy();

/** Takes the request and says nothing. */
const hang: RequestListener = () => {};

function status(code: number, headers = {}): RequestListener {
  return (_, response) => void response.writeHead(code, headers).end(String(code));
}

async function text({ body }: Dispatcher.ResponseData): Promise<string> {
  return body.text();
}

describe('an instance that nobody listens at any more', () => {
  test.each(['GET', 'POST', 'PUT'])('takes no %s from anybody', async (method) => {
    const [dead, alive] = [await HttpService.start('dead'), await HttpService.start('alive')];
    const { dispatcher } = dispatcherOf([dead, alive]);
    await dead.kill();
    const body = method === 'GET' ? null : Readable.from(['some', 'thing']);
    expect(await text(await request(URL, { dispatcher, method, body }))).toBe('alive');
    expect(alive.bodies).toEqual([method === 'GET' ? '' : 'something']);
  });

  test('is an error where there is no other, with one attempt', async () => {
    const service = await HttpService.start('a');
    const { dispatcher, view } = dispatcherOf([service]);
    await service.kill();
    const picked: unknown[] = [];
    const track = view.track.bind(view);
    view.track = (target) => {
      picked.push(target);
      return track(target);
    };
    await expect(request(URL, { dispatcher })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(picked).toHaveLength(1);
  });
});

describe('a connection that breaks before the answer', () => {
  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])('%s is sent to another instance', async (method) => {
    const [broken, sound] = [await HttpService.start('broken', reset), await HttpService.start('sound')];
    const { dispatcher } = dispatcherOf([broken, sound]);
    expect((await request(URL, { dispatcher, method })).statusCode).toBe(200);
    expect(broken.requests).toHaveLength(1);
    expect(sound.requests).toMatchObject([{ method }]);
  });

  test.each(['POST', 'PATCH'])('%s is not, it may have been done', async (method) => {
    const [broken, sound] = [await HttpService.start('broken', reset), await HttpService.start('sound')];
    const { dispatcher, clock } = dispatcherOf([broken, sound]);
    await expect(request(URL, { dispatcher, method, body: 'x' })).rejects.toThrow();
    expect(sound.requests).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  test('the caller may say what is idempotent, and what is not', async () => {
    const [broken, sound] = [await HttpService.start('broken', reset), await HttpService.start('sound')];
    const { dispatcher } = dispatcherOf([broken, sound]);
    const safe = { dispatcher, method: 'POST', body: 'x', idempotent: true } as const;
    expect(await text(await request(URL, safe))).toBe('sound');
    await expect(request(URL, { dispatcher, idempotent: false })).rejects.toThrow();
    expect(sound.requests).toHaveLength(1);
  });

  test('the only instance is asked once more: it may have closed a connection for its age', async () => {
    const service = await HttpService.start('a');
    service.listener = (incoming, response) => {
      if (service.requests.length === 1) incoming.socket.resetAndDestroy();
      else response.end('a');
    };
    const { dispatcher } = dispatcherOf([service]);
    expect(await text(await request(URL, { dispatcher }))).toBe('a');
  });

  test('after as many retries as are allowed it is an error', async () => {
    const services = await Promise.all(['a', 'b', 'c', 'd'].map((name) => HttpService.start(name, reset)));
    const { dispatcher } = dispatcherOf(services);
    await expect(request(URL, { dispatcher })).rejects.toThrow();
    expect(services.map(({ requests }) => requests.length)).toEqual([1, 1, 1, 0]);
    const { dispatcher: resolute } = dispatcherOf(services, { retries: 0 });
    await expect(request(URL, { dispatcher: resolute })).rejects.toThrow();
    expect(services.map(({ requests }) => requests.length)).toEqual([2, 1, 1, 0]);
  });

  test('once a part of the answer is there it is an error', async () => {
    const broken = await HttpService.start('broken', (_, response) => {
      response.write('begun', () => response.socket?.resetAndDestroy());
    });
    const sound = await HttpService.start('sound');
    const { dispatcher, view } = dispatcherOf([broken, sound]);
    const { body } = await request(URL, { dispatcher });
    await expect(body.text()).rejects.toThrow();
    expect(sound.requests).toEqual([]);
    expect(view.inFlight).toEqual([]);
  });
});

describe('an answer of a gateway', () => {
  test.each([502, 503, 504])('%d leads to another instance', async (code) => {
    const [failing, sound] = [await HttpService.start('failing', status(code)), await HttpService.start('sound')];
    const { dispatcher, view } = dispatcherOf([failing, sound]);
    expect(await text(await request(URL, { dispatcher }))).toBe('sound');
    expect(view.inFlight).toEqual([]);
    expect(await text(await request(URL, { dispatcher, method: 'POST', body: 'x' }))).toBe(String(code));
  });

  test.each([500, 501, 429, 404])('%d is an answer as any other', async (code) => {
    const [one, other] = [await HttpService.start('one', status(code)), await HttpService.start('other')];
    const { dispatcher } = dispatcherOf([one, other]);
    expect((await request(URL, { dispatcher })).statusCode).toBe(code);
  });

  test('is what the caller gets where all give it, and each was asked once', async () => {
    const services = [await HttpService.start('a', status(503)), await HttpService.start('b', status(503))];
    const { dispatcher } = dispatcherOf(services);
    const response = await request(URL, { dispatcher });
    expect(response.statusCode).toBe(503);
    expect(await response.body.text()).toBe('503');
    expect(services.map(({ requests }) => requests.length)).toEqual([1, 1]);
  });

  test('is not read to its end where that is far away', async () => {
    const endless = await HttpService.start('endless', (_, response) => {
      response.writeHead(503);
      const chunk = Buffer.alloc(16_384);
      const more = () => {
        while (response.write(chunk));
      };
      response.on('drain', more);
      more();
    });
    const { dispatcher } = dispatcherOf([endless, await HttpService.start('sound')]);
    const deserted = endless.arrival().then(() => endless.deserted());
    expect(await text(await request(URL, { dispatcher }))).toBe('sound');
    await deserted;
  });

  test('is waited for no longer than a second where its end does not come', async () => {
    const stuck = await HttpService.start('stuck', (_, response) => void response.writeHead(503).write('and'));
    const { dispatcher, view, clock } = dispatcherOf([stuck, await HttpService.start('sound')]);
    expect(await text(await request(URL, { dispatcher }))).toBe('sound');
    expect(view.inFlight).toEqual(['stuck']);
    const closing = dispatcher.close();
    clock.advance(1000);
    await closing;
    expect(view.inFlight).toEqual([]);
    expect(clock.timers).toBe(0);
  });
});

describe('an instance that hangs', () => {
  test('is given up after the headers timeout, and another is asked', async () => {
    const [hanging, sound] = [await HttpService.start('hanging', hang), await HttpService.start('sound')];
    const { dispatcher, clock, view } = dispatcherOf([hanging, sound], { headersTimeout: 5000 });
    const response = request(URL, { dispatcher });
    await hanging.arrival();
    clock.advance(4999);
    expect(view.inFlight).toEqual(['hanging']);
    clock.advance(1);
    expect(await text(await response)).toBe('sound');
    expect(view.inFlight).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  test('is an error that says so where nothing else can be done', async () => {
    const hanging = await HttpService.start('hanging', hang);
    const { dispatcher, clock } = dispatcherOf([hanging, await HttpService.start('sound')]);
    const posted = request(URL, { dispatcher, method: 'POST', body: 'x' });
    const failed = expect(posted).rejects.toMatchObject({ code: 'UND_ERR_HEADERS_TIMEOUT' });
    await hanging.arrival();
    clock.advance(10_000);
    await failed;
  });

  test('the only one is not asked again', async () => {
    const hanging = await HttpService.start('hanging', hang);
    const { dispatcher, clock } = dispatcherOf([hanging]);
    const failed = expect(request(URL, { dispatcher })).rejects.toMatchObject({ code: 'UND_ERR_HEADERS_TIMEOUT' });
    await hanging.arrival();
    clock.advance(10_000);
    await failed;
    expect(hanging.requests).toHaveLength(1);
  });

  test('a request may have a time of its own, or none', async () => {
    const hanging = await HttpService.start('hanging', hang);
    const { dispatcher, clock } = dispatcherOf([hanging]);
    const patient = request(URL, { dispatcher, headersTimeout: 0 });
    patient.catch(() => {});
    await hanging.arrival();
    expect(clock.timers).toBe(0);
    const hasty = expect(request(URL, { dispatcher, headersTimeout: 50 })).rejects.toThrow();
    await hanging.arrival();
    clock.advance(50);
    await hasty;
  });

  test('a long answer may take its time once it has begun', async () => {
    let finish = () => {};
    const slow = await HttpService.start('slow', (_, response) => {
      response.write('begun');
      finish = () => response.end(' ended');
    });
    const { dispatcher, clock } = dispatcherOf([slow]);
    const response = await request(URL, { dispatcher });
    clock.advance(60_000);
    finish();
    expect(await text(response)).toBe('begun ended');
  });
});

describe('a request that its caller aborts', () => {
  test('is not made anywhere else', async () => {
    const [hanging, sound] = [await HttpService.start('hanging', hang), await HttpService.start('sound')];
    const { dispatcher, view } = dispatcherOf([hanging, sound], { ejectAfter: 1 });
    const abort = new AbortController();
    const failed = expect(request(URL, { dispatcher, signal: abort.signal })).rejects.toThrow('enough');
    await hanging.arrival();
    const deserted = hanging.deserted();
    // Not even where the reason looks as if the instance had failed.
    abort.abort(Object.assign(new Error('enough'), { code: 'ECONNRESET' }));
    await failed;
    expect(view.inFlight).toEqual([]);
    await deserted;
    expect(await text(await request(URL, { dispatcher }))).toBe('sound');
    expect(sound.requests).toHaveLength(1);
  });

  test('ends at once where it waits for a connection', async () => {
    const hanging = await HttpService.start('hanging', hang);
    const { dispatcher, view } = dispatcherOf([hanging], { pool: { connections: 1 } });
    request(URL, { dispatcher }).catch(() => {});
    await hanging.arrival();
    const abort = new AbortController();
    const failed = expect(request(URL, { dispatcher, signal: abort.signal })).rejects.toThrow('enough');
    abort.abort(new Error('enough'));
    await failed;
    expect(view.inFlight).toEqual(['hanging', 'hanging']);
    await hanging.kill();
  });
});
