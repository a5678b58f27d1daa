import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const REGCTL = join(ROOT, 'packages/cli/bin/regctl.js');

/** A folder that is gone when the test is over. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'reg-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs regctl to its end. */
export function regctl(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  return run(process.execPath, [REGCTL, ...args], { env });
}

export async function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; input?: string } = {},
): Promise<Finished> {
  const child = spawn(command, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    stdio: 'pipe',
  });
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** A daemon as a process of its own. */
export interface DaemonProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly port: number;
  readonly address: string;
  /** What it has printed, by lines. */
  readonly output: string[];
  /** Ends it and waits until it is gone. @returns its exit code; `null` where a signal ended it. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

/**
 * Starts `regctl serve` on a free port, and waits for it to say that it is ready.
 *
 * @param prefix a command that takes another, and becomes it.
 */
export async function startDaemon(
  args: readonly string[],
  port = 0,
  prefix: readonly string[] = [],
): Promise<DaemonProcess> {
  const serve = [process.execPath, REGCTL, 'serve', '--port', String(port), '--log-level', 'warn', ...args];
  const [command = '', ...rest] = [...prefix, ...serve];
  const child = spawn(command, rest, {
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const output: string[] = [];
  const listening = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      output.push(line);
      if (line.includes('listening on ')) resolve(line);
    });
    child.once('exit', (code) => reject(new Error(`the daemon ended with ${code} before it was ready`)));
  });
  const stop = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return (await exited)[0];
  };
  const address = listening.replace(/.*listening on /, '');
  return {
    child,
    address,
    port: Number(address.replace(/.*:/, '')),
    output,
    stop,
    async [Symbol.asyncDispose]() {
      await stop('SIGKILL');
    },
  };
}

/** A bare connection: lines in, lines out, no client in between. */
export class Wire {
  readonly socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  static async open(port: number): Promise<Wire> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.on('error', () => {});
    return new Wire(socket);
  }

  async ask(request: object | string): Promise<Record<string, unknown>> {
    this.send(request);
    return this.next();
  }

  send(request: object | string): void {
    this.socket.write(`${typeof request === 'string' ? request : JSON.stringify(request)}\r\n`);
  }

  /** The next line that comes: a reply or an event. */
  async next(): Promise<Record<string, unknown>> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the connection has ended');
    return JSON.parse(value) as Record<string, unknown>;
  }
}
