/** regctl as the tests run it: in this process, against a registry in this process. */

import { createServer, type RegistryServer } from '@reg/server';
import { onTestFinished } from 'vitest';
import type { Host, Terminal } from '../src/host.js';
import { run } from '../src/main.js';

export const VERSION = '1.2.3';

export interface Screen extends Terminal {
  /** Everything written so far. */
  readonly text: string;
}

export function screen(isTTY = false, columns?: number): Screen {
  let text = '';
  return {
    isTTY,
    ...(columns !== undefined && { columns }),
    write(more) {
      text += more;
    },
    get text() {
      return text;
    },
  };
}

export interface Surroundings {
  readonly env?: Host['env'];
  readonly stdout?: Screen;
  readonly stderr?: Screen;
  /** What Ctrl-C aborts. */
  readonly signal?: AbortSignal;
}

export interface Finished {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line to its end. */
export async function regctl(args: readonly string[], surroundings: Surroundings = {}): Promise<Finished> {
  const { env = {}, stdout = screen(), stderr = screen(), signal = new AbortController().signal } = surroundings;
  const code = await run(args, VERSION, { env, stdout, stderr, interruption: () => signal });
  return { code, out: stdout.text, err: stderr.text };
}

/** A registry in memory that is stopped when the test is over. */
export async function startServer(): Promise<{ server: RegistryServer; addr: string }> {
  const server = createServer({ port: 0, storage: 'memory' });
  const { host, port } = await server.listen();
  onTestFinished(() => server.close());
  return { server, addr: `${host}:${port}` };
}

/** Runs command lines one after the other against a registry of their own, each written as words. */
export async function session(): Promise<(...args: string[]) => Promise<Finished>> {
  const { addr } = await startServer();
  return (...args) => regctl(args, { env: { REG_ADDR: addr } });
}

/** An address where nothing listens. */
export async function deadAddr(): Promise<string> {
  const server = createServer({ port: 0, storage: 'memory' });
  const { host, port } = await server.listen();
  await server.close();
  return `${host}:${port}`;
}
