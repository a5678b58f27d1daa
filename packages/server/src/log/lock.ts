import { randomBytes } from 'node:crypto';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { codeOf, RegistryError } from '@reg/protocol';

/** With the pid, for whoever has to find the process; the lock does not go by it. */
const NAME = /^lock\.\d+\.[0-9a-f]{12}(\.tmp)?$/;
const DRAFT_END = '.tmp';
/** How a socket fails to connect that nobody listens on any more. Any other failure says nothing about that. */
const LEFTOVER = new Set(['ECONNREFUSED', 'ENOENT', 'ENOTSOCK']);
/** Longest path of a Unix socket that every supported system takes, its end included. */
const MAX_SOCKET_PATH = 103;

/** Whether a name in the data folder is that of a lock, or of one that is about to be. */
export function isLockName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Holds a folder for one process. Node has no flock, and a file with a pid lies across containers and reboots,
 * so the lock is a listening Unix socket: the kernel lets go of it however the process ends. Each daemon
 * publishes a socket under a name of its own, which is never used again, and then calls on every other that it
 * finds: an answer means that another daemon is there, a refusal that the socket is a leftover, to be swept.
 * Who publishes first and looks second cannot overlook another who does the same; two who start at the same
 * moment may both give way.
 *
 * @returns how to let go of it.
 * @throws {RegistryError} `data_locked` or `data_unusable`
 */
export async function lockFolder(folder: string): Promise<() => void> {
  const name = `lock.${process.pid}.${randomBytes(6).toString('hex')}`;
  const server = await publish(folder, name);
  const release = (): void => {
    server.close();
    rmSync(join(folder, name), { force: true });
  };
  try {
    for (const other of readdirSync(folder).filter(isLockName)) {
      if (other === name) continue;
      if (!(await answers(socketPath(folder, other)))) rmSync(join(folder, other), { force: true });
      // Who has not published yet has still to look, and will find this one.
      else if (!other.endsWith(DRAFT_END)) throw lockedBy(folder, `process ${other.split('.')[1]}`);
    }
    return release;
  } catch (error) {
    release();
    throw error;
  }
}

/** Listens before the socket has its final name: who finds one by that name finds it listening. */
async function publish(folder: string, name: string): Promise<Server> {
  const server = createServer((connection) => connection.destroy());
  const draft = `${name}${DRAFT_END}`;
  const path = socketPath(folder, draft);
  try {
    await new Promise<void>((resolve, reject) => {
      // It stays: that a caller could not be accepted later is nothing to fail of.
      server.on('error', reject);
      server.listen(path, resolve);
    });
    renameSync(join(folder, draft), join(folder, name));
  } catch (cause) {
    server.close();
    rmSync(join(folder, draft), { force: true });
    // Another that starts as well took the draft for a leftover: it was not listened on yet.
    if (codeOf(cause) === 'ENOENT') throw lockedBy(folder, 'starting too', cause);
    throw new RegistryError('data_unusable', `cannot lock ${folder}: ${String(cause)}`, { cause });
  }
  server.unref();
  return server;
}

function lockedBy(folder: string, who: string, cause?: unknown): RegistryError {
  const message = `another daemon (${who}) uses ${folder}; stop it, or choose another --data-dir`;
  return new RegistryError('data_locked', message, { cause });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(!LEFTOVER.has(error.code ?? '')));
  });
}

function socketPath(folder: string, name: string): string {
  const path = join(folder, name);
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return path;
  throw new RegistryError(
    'data_unusable',
    `the path of the data folder is too long for the lock in it (at most ${MAX_SOCKET_PATH - name.length - 1} bytes): ${folder}`,
  );
}
