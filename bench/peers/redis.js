/** Redis, in memory and with every write on disk before its reply. */

import { sizeOf } from '../generators.js';
import { ask, freePort, Server, temporaryFolder, versionOf } from '../processes.js';

const peer = (name, args) => ({
  name,
  version: () => versionOf('redis-server', ['--version'], /v=(\S+)/),

  async start({ folder = temporaryFolder(), port } = {}) {
    const at = port ?? (await freePort());
    const all = ['--port', at, '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...COMMON, ...args];
    const isReady = () => ask(at, 'PING\r\n', /\+PONG/);
    return Server.start('redis-server', all, { port: at, folder, isReady });
  },
});

/** It takes all of 127.0.0.0/8 for other machines, and has room for fewer connections and slower readers unless told. */
const COMMON = [
  ...['--protected-mode', 'no', '--maxclients', '15000', '--tcp-backlog', '4096'],
  ...['--client-output-buffer-limit', 'pubsub 0 0 0'],
];

export const memory = peer('Redis', ['--appendonly', 'no']);
/** As it comes when it is told to keep things: synced once a second. */
export const everysec = peer('Redis, AOF', ['--appendonly', 'yes']);
export const always = peer('Redis, appendfsync always', ['--appendonly', 'yes', '--appendfsync', 'always']);

/** A command in the form in which its own benchmark sends it. */
function command(...words) {
  return `*${words.length}\r\n${words.map((word) => `$${sizeOf(word)}\r\n${word}\r\n`).join('')}`;
}

export const set = {
  framing: 'lines:1',
  request: command('SET', 'service-{n}', '10.0.0.1:{n}', 'EX', '600'),
  reply: '+OK\r\n',
};
export const get = {
  framing: 'lines:2',
  request: command('GET', 'service-{n}'),
  reply: '$17\r\n10.0.0.1:{n}\r\n',
};

/** What is published is as long as our event, which is about 200 bytes. */
export const watch = {
  framing: 'lines:1',
  subscribe: command('SUBSCRIBE', 'payments'),
  synced: '$9\r\nsubscribe\r\n',
  request: command('PUBLISH', 'payments', `10.0.0.1:{n}${'.'.repeat(183)}`),
  reply: ':*\r\n',
  event: '$7\r\nmessage\r\n',
};

/** Tells what expires; and the same looking for it as often and as hard as it can be told to. */
const NOTIFYING = ['--appendonly', 'no', '--notify-keyspace-events', 'Ex'];
export const notifying = peer('Redis', NOTIFYING);
export const eager = peer('Redis, hz 500, effort 10', [...NOTIFYING, '--hz', '500', '--active-expire-effort', '10']);

/** Keys that expire so many seconds after they are renewed, which is done one by one. */
export function lease(seconds) {
  return {
    ...set,
    ttl: seconds,
    renew: command('PEXPIRE', 'service-{n}', String(seconds * 1000)),
    renewed: ':1\r\n',
  };
}
export const expiry = {
  subscribe: command('SUBSCRIBE', '__keyevent@0__:expired'),
  synced: '$9\r\nsubscribe\r\n',
  event: '$22\r\n__keyevent@0__:expired\r\n$16\r\nservice-',
};

/** What it says itself of its memory, in bytes. */
export async function memoryOf(server) {
  const [, used] = await ask(server.port, 'INFO memory\r\n', /used_memory:(\d+)/);
  return { used: Number(used), resident: server.resident() };
}
