import type { ServerResponse } from 'node:http';
import type { Target } from '@reg/client/undici';
import { request } from 'undici';
import { describe, expect, test } from 'vitest';
import { dispatcherOf, HttpService } from './http-services.js';

const URL = 'http://payments/';

/** A server that answers when it is told to, and one that answers at once. */
async function setup() {
  const responses: ServerResponse[] = [];
  const leaving = await HttpService.start('leaving', (_, response) => void responses.push(response));
  const staying = await HttpService.start('staying');
  const made = dispatcherOf([leaving, staying], { pool: { keepAliveTimeout: 600_000 } });
  const get = async () => (await request(URL, { dispatcher: made.dispatcher })).body.text();
  return { ...made, leaving, staying, responses, get };
}

test('an instance that is gone gets no new requests, and finishes what it has', async () => {
  const { view, leaving, staying, responses, get } = await setup();
  const last = get();
  await leaving.arrival();
  view.set(staying.target());
  expect([await get(), await get()]).toEqual(['staying', 'staying']);
  const deserted = leaving.deserted();
  responses[0]?.end('leaving');
  expect(await last).toBe('leaving');
  await deserted;
});

test('idle connections to an instance that is gone are closed at once', async () => {
  const { view, leaving, staying, get } = await setup();
  leaving.listener = (_, response) => void response.end('leaving');
  await get();
  expect(leaving.sockets.size).toBe(1);
  const deserted = leaving.deserted();
  view.set(staying.target());
  await deserted;
});

test('an instance that changes keeps its connections, and is known as it is now', async () => {
  const { view, leaving, staying, get } = await setup();
  leaving.listener = (_, response) => void response.end('leaving');
  await get();
  const [socket] = leaving.sockets;
  const changed = [leaving.target(), staying.target()];
  view.set(...changed);
  const tracked: Target[] = [];
  const track = view.track.bind(view);
  view.track = (target) => {
    tracked.push(target);
    return track(target);
  };
  expect(new Set([await get(), await get()])).toEqual(new Set(['leaving', 'staying']));
  expect([...leaving.sockets]).toEqual([socket]);
  for (const target of tracked) expect(changed).toContain(target);
});

test('a request whose instance goes and breaks it off is made elsewhere', async () => {
  const { view, leaving, staying, get } = await setup();
  const last = get();
  await leaving.arrival();
  view.set(staying.target());
  await leaving.kill();
  expect(await last).toBe('staying');
});

describe('closing', () => {
  test('waits for what is under way, refuses what is new, and closes view and connections', async () => {
    const { dispatcher, view, leaving, responses, get } = await setup();
    const last = get();
    await leaving.arrival();
    let closed = false;
    const closing = dispatcher.close().then(() => {
      closed = true;
    });
    await expect(get()).rejects.toMatchObject({ code: 'UND_ERR_CLOSED' });
    expect(closed).toBe(false);
    const deserted = leaving.deserted();
    responses[0]?.end('leaving');
    expect(await last).toBe('leaving');
    await closing;
    await deserted;
    expect(view.closed).toBe(true);
    await dispatcher.close();
  });

  test('waits for those too that wait for the registry', async () => {
    const { dispatcher, view, staying, get } = await setup();
    let answer = () => {};
    view.ready = () =>
      new Promise<void>((resolve) => {
        answer = resolve;
      });
    view.set();
    const last = get();
    const closing = dispatcher.close();
    await new Promise(setImmediate);
    expect(view.closed).toBe(false);
    view.set(staying.target());
    answer();
    expect(await last).toBe('staying');
    const deserted = staying.deserted();
    await closing;
    await deserted;
  });

  test('takes a callback, as all dispatchers do', async () => {
    const { dispatcher, get } = await setup();
    await new Promise<void>((resolve) => dispatcher.close(resolve));
    await new Promise<void>((resolve) => dispatcher.destroy(resolve));
    await expect(get()).rejects.toMatchObject({ code: 'UND_ERR_DESTROYED' });
  });

  test('by force fails what is under way, and retries nothing', async () => {
    const { dispatcher, leaving, staying, get, view } = await setup();
    const failed = expect(get()).rejects.toThrow('that is it');
    await leaving.arrival();
    const deserted = leaving.deserted();
    await dispatcher.destroy(Object.assign(new Error('that is it'), { code: 'ECONNRESET' }));
    await failed;
    await deserted;
    expect(staying.requests).toEqual([]);
    expect(view.closed).toBe(true);
  });

  test('and then, for it takes too long, by force, ends both', async () => {
    const { dispatcher, leaving, get } = await setup();
    const failed = expect(get()).rejects.toThrow();
    await leaving.arrival();
    const closing = dispatcher.close();
    await dispatcher.destroy();
    await failed;
    await closing;
  });

  test('does not wait for a request whose caller has thrown when it began', async () => {
    const { dispatcher, leaving, staying } = await setup();
    const errors: unknown[] = [];
    const handler = {
      onRequestStart: () => {
        throw new Error('not now');
      },
      onResponseError: (_: unknown, error: Error) => void errors.push(error),
    };
    dispatcher.dispatch({ origin: URL, path: '/', method: 'GET' }, handler);
    expect(errors).toEqual([new Error('not now')]);
    await dispatcher.close();
    expect([...leaving.requests, ...staying.requests]).toEqual([]);
  });
});
