import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readCheck } from '../src/check.js';

/** @returns its port. */
async function listen(server: Server | HttpServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A port where nothing listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function look(text: string, values = '', signal = new AbortController().signal): Promise<void> {
  return readCheck(text, values)(signal);
}

describe('the check tcp', () => {
  it('passes where something accepts connections', async () => {
    const port = await listen(createServer((socket) => socket.destroy()));
    await look(`tcp:127.0.0.1:${port}`);
    await look('tcp', `user:secret@127.0.0.1:${port}`);
  });

  it('fails where nothing does, and says where', async () => {
    const port = await deadPort();
    await expect(look('tcp', `127.0.0.1:${port}`)).rejects.toThrow(`no connection to 127.0.0.1:${port} (ECONNREFUSED)`);
  });

  it('is refused where the values say no address', () => {
    expect(() => readCheck('tcp', 'somewhere')).toThrow(expect.objectContaining({ code: 'usage' }));
    expect(() => readCheck('tcp:8080', '127.0.0.1:1')).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});

describe('the check of a URL', () => {
  it.each([
    [200, true],
    [204, true],
    [302, true],
    [404, false],
    [503, false],
  ])('with the answer %d passes: %s', async (status, passes) => {
    const port = await listen(createHttpServer((_, response) => response.writeHead(status).end('text')));
    const looked = look(`http://127.0.0.1:${port}/health`);
    if (passes) await looked;
    else await expect(looked).rejects.toThrow(`http://127.0.0.1:${port}/health answers ${status}`);
  });

  it('does not wait for the end of the answer', async () => {
    const port = await listen(createHttpServer((_, response) => void response.writeHead(200).write('more to come')));
    await look(`http://127.0.0.1:${port}/`);
  });

  it('fails where nobody answers', async () => {
    const port = await deadPort();
    await expect(look(`http://127.0.0.1:${port}/`)).rejects.toThrow(`no answer from 127.0.0.1:${port} (ECONNREFUSED)`);
  });

  it('is given up when its time is over', async () => {
    const asked = new AbortController();
    const port = await listen(createHttpServer(() => asked.abort()));
    await expect(look(`http://127.0.0.1:${port}/`, '', asked.signal)).rejects.toThrow('it took too long');
  });
});

describe('the check of a command', () => {
  it('passes where it exits with 0', async () => {
    await look('command:true && test 1 = 1');
  });

  it('fails otherwise, and says how it ended', async () => {
    await expect(look('command:exit 3')).rejects.toThrow('the command exits with 3');
    await expect(look('command:kill -TERM $$')).rejects.toThrow('the command was ended by SIGTERM');
  });

  it('is ended when its time is over, with all that it has started', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'regctl-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'pid');
    const controller = new AbortController();
    const looked = look(`command:sleep 60 & echo $! > ${file}; wait`, '', controller.signal);
    looked.catch(() => {});
    const read = () => readFileSync(file, 'utf8');
    await expect.poll(read).toMatch(/\n$/);
    const pid = Number(read());
    controller.abort();
    await expect(looked).rejects.toThrow('it took too long');
    await expect.poll(() => isRunning(pid)).toBe(false);
  });
});

function isRunning(pid: number): boolean {
  try {
    // What has ended, and whose parent is gone, may be listed until somebody has looked after it.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

it.each(['', 'udp', 'tcp:', 'http://', 'ftp://a/', 'command:', 'command: '])('is not %j', (text) => {
  expect(() => readCheck(text, '127.0.0.1:1')).toThrow(expect.objectContaining({ code: 'usage' }));
});
