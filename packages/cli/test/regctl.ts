/** regctl as the tests run it: in this process, against a registry in this process. */

import { type Client, connect, type InstanceRecord } from '@reg/client';
import { createServer, type RegistryServer, type ServerOptions } from '@reg/server';
import { startRegistry, type TestRegistry, type TestRegistryOptions } from '@reg/server/testing';
import { onTestFinished } from 'vitest';
import { resolveAddress } from '../src/address.js';
import type { ChildContext } from '../src/commands/run.js';
import type { Host, Terminal } from '../src/host.js';
import { run } from '../src/main.js';
import { Output } from '../src/output.js';

export const VERSION = '1.2.3';

export interface Screen extends Terminal {
  /** Everything written so far. */
  readonly text: string;
  /** Gives the terminal another size, and tells who listens. */
  resize(columns: number, rows: number): void;
}

export function screen(isTTY = false, columns?: number, rows?: number): Screen {
  let text = '';
  let size = { columns: columns ?? 0, rows: rows ?? 0 };
  const listeners = new Set<() => void>();
  return {
    isTTY,
    get columns() {
      return size.columns;
    },
    get rows() {
      return size.rows;
    },
    write(more) {
      text += more;
    },
    on: (_, listener) => listeners.add(listener),
    off: (_, listener) => listeners.delete(listener),
    resize(columns, rows) {
      size = { columns, rows };
      for (const listener of listeners) listener();
    },
    get text() {
      return text;
    },
  };
}

/** What a run has of a process that nobody signals. */
export function makeHost(host: Partial<Host> = {}): Host {
  return {
    env: {},
    stdout: screen(),
    stderr: screen(),
    foreground: false,
    readInput: async () => '',
    interruption: () => new AbortController().signal,
    takeSignals: () => {},
    ...host,
  };
}

export interface Surroundings {
  readonly env?: Host['env'];
  /** What is on standard input. */
  readonly input?: string;
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
  const { env = {}, input = '', stdout = screen(), stderr = screen() } = surroundings;
  const { signal = new AbortController().signal } = surroundings;
  const readInput = async () => input;
  const code = await run(args, VERSION, makeHost({ env, stdout, stderr, readInput, interruption: () => signal }));
  return { code, out: stdout.text, err: stderr.text };
}

/** A registry in memory that is stopped when the test is over. */
export async function startServer(options: ServerOptions = {}): Promise<{ server: RegistryServer; addr: string }> {
  const server = createServer({ port: 0, storage: 'memory', grace: 0, ...options });
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

/** A command beside a registry whose time the test moves. */
export interface Bench {
  readonly registry: TestRegistry;
  readonly context: ChildContext;
  readonly stdout: Screen;
  readonly stderr: Screen;
  /** Ctrl-C, as long as the command has not taken the signals. */
  interrupt(): void;
  /** A signal, once the command has taken them. */
  signal(name: NodeJS.Signals): void;
  /** Somebody else, who is connected to the same registry. */
  connect(): Client;
  /** What the registry has of a service, whatever its status. */
  find(key: string): Promise<readonly InstanceRecord[]>;
}

export interface BenchOptions extends TestRegistryOptions {
  readonly args?: readonly string[];
  readonly stdout?: Screen;
  readonly foreground?: boolean;
}

export async function makeBench(options: BenchOptions = {}): Promise<Bench> {
  const { args = [], stdout = screen(), foreground = false, ...rest } = options;
  const registry = await startRegistry({ grace: 0, ...rest });
  onTestFinished(() => registry.close());
  const stderr = screen();
  const controller = new AbortController();
  let listener: (signal: NodeJS.Signals) => void = () => {};
  const { url, dial, clock } = registry;
  const makeClient = () => connect(url, { dial, clock, random: () => 0 });
  const context: ChildContext = {
    address: resolveAddress(url, {}),
    timeout: 5000,
    output: new Output(makeHost({ stdout, stderr }), args),
    clock,
    signal: controller.signal,
    foreground,
    connect: (given) => connect(url, { ...given, dial, clock, random: () => 0 }),
    takeSignals: (taken) => {
      listener = taken;
    },
  };
  return {
    registry,
    context,
    stdout,
    stderr,
    interrupt: () => controller.abort(),
    signal: (name) => listener(name),
    connect: makeClient,
    find: async (key) => {
      const client = makeClient();
      const { services } = await client.query(key, { status: 'any' });
      await client.close();
      return services;
    },
  };
}
