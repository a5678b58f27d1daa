import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TcpProxy } from './proxy.js';

/** One end of a connection, and what came and became of it. */
class End {
  readonly socket: Socket;
  text = '';
  ended = false;
  closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.text += String(bytes);
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }
}

let server: Server;
let proxy: TcpProxy;
const accepted: End[] = [];
const opened: End[] = [];

beforeEach(async () => {
  server = createServer((socket) => accepted.push(new End(socket)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await TcpProxy.open((server.address() as AddressInfo).port);
});

afterEach(async () => {
  for (const { socket } of [...accepted.splice(0), ...opened.splice(0)]) socket.destroy();
  await proxy[Symbol.asyncDispose]();
  server.close();
});

/** A connection through the proxy: its near end and its far end. */
async function open(): Promise<{ near: End; far: End }> {
  const near = new End(connect(proxy.port, '127.0.0.1'));
  opened.push(near);
  const count = accepted.length;
  await expect.poll(() => accepted.length).toBe(count + 1);
  const far = accepted[count];
  if (far === undefined) throw new Error('nothing was accepted');
  return { near, far };
}

/** Long enough for what would come to have come. */
const moment = (): Promise<void> => sleep(30);

test('it passes bytes both ways, and the end of either side to the other', async () => {
  const { near, far } = await open();
  near.socket.write('ask');
  await expect.poll(() => far.text).toBe('ask');
  far.socket.write('answer');
  await expect.poll(() => near.text).toBe('answer');
  near.socket.end('bye');
  await expect.poll(() => far.ended).toBe(true);
  expect(far.text).toBe('askbye');
  await expect.poll(() => near.closed && proxy.flows === 0).toBe(true);
});

test('a reset of one side is a reset of the other', async () => {
  const { near, far } = await open();
  const failed = once(near.socket, 'error');
  far.socket.resetAndDestroy();
  expect((await failed)[0]).toMatchObject({ code: 'ECONNRESET' });
});

test('hold keeps everything, the end too, and lets it through afterwards', async () => {
  const { near, far } = await open();
  proxy.set('hold');
  near.socket.end('ask');
  await moment();
  expect(far).toMatchObject({ text: '', ended: false });
  proxy.set('pass');
  await expect.poll(() => far.ended).toBe(true);
  expect(far.text).toBe('ask');
});

test('delay brings everything late and in order, also after it is over', async () => {
  const { near, far } = await open();
  proxy.set('delay', 60);
  const start = performance.now();
  near.socket.write('a');
  await sleep(10);
  near.socket.write('b');
  await sleep(10);
  proxy.set('pass');
  near.socket.end('c');
  await expect.poll(() => far.ended).toBe(true);
  expect(far.text).toBe('abc');
  expect(performance.now() - start).toBeGreaterThan(60);
});

test('reset ends what is open and who dials', async () => {
  const { near, far } = await open();
  proxy.set('reset');
  await expect.poll(() => near.closed && far.closed).toBe(true);
  const late = new End(connect(proxy.port, '127.0.0.1'));
  await expect.poll(() => late.closed).toBe(true);
  proxy.set('pass');
  const { near: again, far: after } = await open();
  again.socket.write('x');
  await expect.poll(() => after.text).toBe('x');
});

test('a blackhole swallows bytes and ends; what has lost something is reset when it is used again', async () => {
  const { near, far } = await open();
  const { near: idle, far: other } = await open();
  const { near: killed, far: widow } = await open();
  proxy.set('blackhole');
  near.socket.write('lost');
  killed.socket.destroy();
  await moment();
  expect(far).toMatchObject({ text: '', closed: false });
  expect(widow.closed).toBe(false);
  proxy.set('pass');
  await expect.poll(() => widow.closed).toBe(true);
  await moment();
  expect(near.closed || far.closed).toBe(false);
  far.socket.write('anybody?');
  await expect.poll(() => near.closed && far.closed).toBe(true);
  expect(near.text).toBe('');
  idle.socket.write('well');
  await expect.poll(() => other.text).toBe('well');
});

const HALVES = [
  { mode: 'ghost', gone: 'near', left: 'far' },
  { mode: 'orphan', gone: 'far', left: 'near' },
] as const;
test.each(HALVES)('$mode ends the $gone end at once, the $left end later, and lets others pass', async (half) => {
  const { mode, gone, left } = half;
  const flow = await open();
  proxy.set(mode);
  await expect.poll(() => flow[gone].closed).toBe(true);
  flow[left].socket.write('anybody?');
  const { near, far } = await open();
  near.socket.write('x');
  await expect.poll(() => far.text).toBe('x');
  expect(flow[left].closed).toBe(false);
  proxy.set('pass');
  await expect.poll(() => flow[left].closed).toBe(true);
  expect(near.closed).toBe(false);
});

test('who does not read is not read for', async () => {
  const { near, far } = await open();
  far.socket.pause();
  near.socket.write(Buffer.alloc(64 * 1024 * 1024));
  await sleep(100);
  expect(near.socket.writableLength).toBeGreaterThan(0);
});
