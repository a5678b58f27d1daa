import { randomBytes } from 'node:crypto';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { RegistryError } from '@reg/protocol';

const NAME = /^lock\.[0-9a-f]{12}$/;
/** Longest path of a Unix socket that every supported system takes, its end included. */
const MAX_SOCKET_PATH = 103;

/** Whether a name in the data folder is that of a lock. */
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
  const name = `lock.${randomBytes(6).toString('hex')}`;
  const server = await publish(folder, name);
  const release = (): void => {
    server.close();
    rmSync(join(folder, name), { force: true });
  };
  try {
    for (const other of readdirSync(folder).filter(isLockName)) {
      if (other === name) continue;
      if (await answers(socketPath(folder, other))) {
        throw new RegistryError('data_locked', `another daemon uses ${folder}; stop it, or choose another --data-dir`);
      }
      rmSync(join(folder, other), { force: true });
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
  const draft = `${name}.tmp`;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(socketPath(folder, draft), resolve);
    });
    renameSync(join(folder, draft), join(folder, name));
  } catch (cause) {
    server.close();
    rmSync(join(folder, draft), { force: true });
    throw new RegistryError('data_unusable', `cannot lock ${folder}: ${String(cause)}`, { cause });
  }
  server.unref();
  return server;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
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
