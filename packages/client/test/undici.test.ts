import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { DispatcherOptions } from '@reg/client/undici';
import {
  type Dispatcher,
  getGlobalDispatcher,
  interceptors,
  MockAgent,
  request,
  setGlobalDispatcher,
  fetch as undiciFetch,
  upgrade,
  WebSocket,
} from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CERTIFICATE, KEY } from './certificate.js';
import { dispatcherOf, HttpService } from './http-services.js';

describe.each([
  ['the fetch of the runtime', (url: string, init: object) => fetch(url, init)],
  ['the fetch of undici', (url: string, init: object) => undiciFetch(url, init)],
])('%s', (_, get) => {
  test('goes to the instances in turns', async () => {
    const { dispatcher, discovered } = dispatcherOf([await HttpService.start('a'), await HttpService.start('b')]);
    const names = [];
    for (let turn = 0; turn < 4; turn += 1) {
      names.push(await (await get('http://payments/accounts?of=7', { dispatcher })).text());
    }
    expect(names).toEqual(['a', 'b', 'a', 'b']);
    expect(discovered).toEqual(['payments']);
  });

  test('gets status, headers and body as they were sent, and sends what it is given', async () => {
    const service = await HttpService.start('a', (request, response) => {
      response.writeHead(201, 'Made', { 'set-cookie': ['one=1', 'two=2'], 'x-path': request.url });
      response.end(Buffer.alloc(300_000, 'x'));
    });
    const { dispatcher } = dispatcherOf([service]);
    const body = 'y'.repeat(200_000);
    const init = { method: 'POST', body, headers: { 'x-given': 'z' }, dispatcher };
    const response = await get('http://payments/accounts?of=7#here', init);
    expect(response).toMatchObject({ status: 201, statusText: 'Made' });
    expect(response.headers.getSetCookie()).toEqual(['one=1', 'two=2']);
    expect(response.headers.get('x-path')).toBe('/accounts?of=7');
    expect(await response.text()).toBe('x'.repeat(300_000));
    expect(service.bodies).toEqual([body]);
    expect(service.requests[0]).toMatchObject({ method: 'POST', headers: { 'x-given': 'z', host: 'payments' } });
  });

  test('takes informational responses for what they are', async () => {
    const service = await HttpService.start('a', (_, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      response.end('a');
    });
    const { dispatcher } = dispatcherOf([service]);
    expect(await (await get('http://payments/', { dispatcher })).text()).toBe('a');
  });

  test('can be aborted while there is no answer from the registry', async () => {
    const { dispatcher, view } = dispatcherOf([]);
    view.ready = () => new Promise(() => {});
    const abort = new AbortController();
    const response = get('http://payments/', { dispatcher, signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(response).rejects.toThrow('enough');
  });

  test('follows a redirect to another service', async () => {
    const a = await HttpService.start('a', (request, response) => {
      if (request.headers.host === 'payments') response.writeHead(302, { location: 'http://ledger/' });
      response.end(request.headers.host);
    });
    const { dispatcher, discovered } = dispatcherOf([a]);
    expect(await (await get('http://payments/', { dispatcher })).text()).toBe('ledger');
    expect(discovered).toEqual(['payments', 'ledger']);
  });
});

describe('which hosts are services', () => {
  function withFallback(services?: (hostname: string) => string | undefined) {
    const fallback = new MockAgent();
    fallback.disableNetConnect();
    const seen: string[] = [];
    const { dispatcher, discovered } = dispatcherOf([], { fallback, ...(services && { services }) });
    const visit = async (origin: string) => {
      fallback.get(origin).intercept({ path: '/' }).reply(200, 'fallback');
      await request(`${origin}/`, { dispatcher }).then(
        () => seen.push(origin),
        () => {},
      );
    };
    return { visit, seen, discovered };
  }

  test('those whose name has no dot, but for localhost', async () => {
    const { visit, seen, discovered } = withFallback();
    const others = [
      'http://localhost',
      'http://localhost:8080',
      'http://127.0.0.1',
      'http://[::1]',
      'http://a.example',
    ];
    for (const origin of [...others, 'http://payments', 'http://ledger:8080']) await visit(origin);
    expect(seen).toEqual(others);
    expect(discovered).toEqual(['payments', 'ledger']);
  });

  test('those that the option names', async () => {
    const { visit, seen, discovered } = withFallback((hostname) => /^(.*)\.svc$/.exec(hostname)?.[1]);
    for (const origin of ['http://payments', 'http://payments.svc']) await visit(origin);
    expect(seen).toEqual(['http://payments']);
    expect(discovered).toEqual(['payments']);
  });
});

describe('the host header', () => {
  const given: readonly (readonly [Dispatcher.DispatchOptions['headers'], string])[] = [
    [{}, 'payments:81'],
    [{ Host: 'mine' }, 'mine'],
    [['host', 'mine', 'x-a', 'host'], 'mine'],
    [['x-a', 'host'], 'payments:81'],
    [new Map([['HOST', 'mine']]), 'mine'],
    [new Headers({ 'x-a': 'b' }), 'payments:81'],
    [null, 'payments:81'],
  ];

  test.each(given)('of %o is %s', async (headers = null, host) => {
    const service = await HttpService.start('a');
    const { dispatcher } = dispatcherOf([service]);
    await request('http://payments:81/', { dispatcher, headers });
    expect(service.requests[0]?.headers.host).toBe(host);
  });
});

describe('when nothing can take the request', () => {
  test('a service without instances is an error with a code', async () => {
    const { dispatcher } = dispatcherOf([]);
    const error = { code: 'no_instance', message: 'the service payments has no instance', retryable: true };
    await expect(request('http://payments/', { dispatcher })).rejects.toMatchObject(error);
    await expect(fetch('http://payments/', { dispatcher })).rejects.toMatchObject({ cause: error });
  });

  test('so is one whose instances do not say where they are', async () => {
    const { dispatcher, view } = dispatcherOf([]);
    view.set({ generation: 1 }, { generation: 2, address: { host: 'no<host', port: 80 } });
    const error = { code: 'no_instance', message: expect.stringContaining('none of the 2 instances') };
    await expect(request('http://payments/', { dispatcher })).rejects.toMatchObject(error);
  });

  test('what the registry answers instead is passed on', async () => {
    const { dispatcher, view } = dispatcherOf([]);
    view.ready = () => Promise.reject(new Error('no registry'));
    await expect(request('http://payments/', { dispatcher })).rejects.toThrow('no registry');
  });

  test('a first answer is waited for', async () => {
    const service = await HttpService.start('a');
    const { dispatcher, view } = dispatcherOf([]);
    let answer = () => {};
    view.ready = () =>
      new Promise<void>((resolve) => {
        answer = resolve;
      });
    const response = request('http://payments/', { dispatcher });
    view.set(service.target());
    answer();
    expect(await (await response).body.text()).toBe('a');
  });
});

test('options that are none are refused at once', () => {
  const wrong: [DispatcherOptions, string][] = [
    [{ retries: -1 }, 'bad_config'],
    [{ retries: 1.5 }, 'bad_config'],
    [{ ejectAfter: 0 }, 'bad_config'],
    [{ ejectTime: { max: 0 } }, 'bad_config'],
    [{ headersTimeout: -1 }, 'bad_config'],
    [{ connectTimeout: 0 }, 'bad_config'],
    [{ pool: { connections: -1 } }, 'UND_ERR_INVALID_ARG'],
  ];
  for (const [options, code] of wrong) {
    expect(() => dispatcherOf([], options), JSON.stringify(options)).toThrow(expect.objectContaining({ code }));
  }
});

test('the key of a request decides where it goes', async () => {
  const services = [await HttpService.start('a'), await HttpService.start('b'), await HttpService.start('c')];
  const { dispatcher } = dispatcherOf(services, { key: ({ path }) => path });
  const names = [];
  for (const path of ['/2', '/1', '/2', '/0', '/0']) {
    names.push(await (await request(`http://payments${path}`, { dispatcher })).body.text());
  }
  expect(names.join('')).toBe('cbcaa');
});

test('the balancer is told how long a request is in flight', async () => {
  let finish = () => {};
  const service = await HttpService.start('a', (_, response) => {
    response.write('begun');
    finish = () => response.end();
  });
  const { dispatcher, view } = dispatcherOf([service]);
  const { body } = await request('http://payments/', { dispatcher });
  expect(view.inFlight).toEqual(['a']);
  finish();
  expect(await body.text()).toBe('begun');
  expect(view.inFlight).toEqual([]);
});

test('TLS expects a certificate of the name in the URL', async () => {
  const server = createTlsServer({ key: KEY, cert: CERTIFICATE }, (request, response) => {
    response.end(request.headers.host);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const { dispatcher, view } = dispatcherOf([], { pool: { connect: { ca: CERTIFICATE } }, retries: 0 });
  view.set({ generation: 1, address: { host: '127.0.0.1', port } });
  expect(await (await fetch('https://payments/', { dispatcher })).text()).toBe('payments');
  const refused = request('https://ledger/', { dispatcher });
  await expect(refused).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
});

test('a connection can be upgraded, and counts as in flight until it is closed', async () => {
  const server = await HttpService.start('a');
  server.onUpgrade((request, socket) => {
    socket.end(`HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: ${request.headers.upgrade}\r\n\r\nhello`);
  });
  const { dispatcher, view } = dispatcherOf([server]);
  const { socket } = await upgrade('http://payments/', { dispatcher, protocol: 'chat' });
  expect(view.inFlight).toEqual(['a']);
  expect(String(await socket.toArray())).toBe('hello');
  socket.destroy();
  await once(socket, 'close');
  expect(view.inFlight).toEqual([]);
});

test('interceptors of undici go on top of it', async () => {
  const service = await HttpService.start('a', (request, response) => {
    if (request.url === '/') response.writeHead(302, { location: '/there' });
    response.end(request.url);
  });
  const { dispatcher, view } = dispatcherOf([service]);
  const composed = dispatcher.compose(interceptors.redirect({ maxRedirections: 1 }));
  const { body } = await request('http://payments/', { dispatcher: composed });
  expect(await body.text()).toBe('/there');
  await composed.close();
  expect(view.closed).toBe(true);
});

test('a WebSocket goes to an instance', async () => {
  const server = await HttpService.start('a');
  server.onUpgrade(({ headers }, socket) => {
    const key = `${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    // One frame of text, which is the last of its message.
    socket.write(Buffer.from([0x81, 5, ...Buffer.from('hello')]));
  });
  const { dispatcher } = dispatcherOf([server]);
  const socket = new WebSocket('ws://payments/', { dispatcher });
  const message = await new Promise((resolve) => {
    socket.onmessage = ({ data }) => resolve(data);
  });
  expect(message).toBe('hello');
});

test('as the global dispatcher it leaves other hosts to the one before', async () => {
  const service = await HttpService.start('a');
  const before = getGlobalDispatcher();
  onTestFinished(() => setGlobalDispatcher(before));
  const { dispatcher } = dispatcherOf([service]);
  setGlobalDispatcher(dispatcher);
  expect(await (await undiciFetch('http://payments/')).text()).toBe('a');
  expect(await (await undiciFetch(`http://127.0.0.1:${service.port}/`)).text()).toBe('a');
  expect(service.requests.map(({ headers }) => headers.host)).toEqual(['payments', `127.0.0.1:${service.port}`]);
});

test('a request that undici itself does not take fails, and is nobody else’s fault', async () => {
  const { dispatcher, view } = dispatcherOf([await HttpService.start('a'), await HttpService.start('b')]);
  const tried: unknown[] = [];
  const track = view.track.bind(view);
  view.track = (target) => {
    tried.push(target);
    return track(target);
  };
  const wrong = { dispatcher, headers: { 'transfer-encoding': 'chunked' } };
  await expect(request('http://payments/', wrong)).rejects.toMatchObject({ code: 'UND_ERR_INVALID_ARG' });
  expect(tried).toHaveLength(1);
});
