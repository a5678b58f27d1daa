/** The daemon of this project. */

import { fileURLToPath } from 'node:url';
import { VERSION } from '@reg/server';
import { ask, freePort, Server, startDaemon, temporaryFolder } from '../processes.js';

const REGCTL = fileURLToPath(new URL('../../packages/cli/bin/regctl.js', import.meta.url));

export const ping = '{"type":"ping"}\r\n';

const peer = (name, storage) => ({
  name,
  version: () => VERSION,

  /** @param folder with the data of an earlier server, which this one continues. */
  async start({ folder = temporaryFolder(), port } = {}) {
    const at = port ?? (await freePort());
    const all = [REGCTL, 'serve', '--port', at, '--log-level', 'error', ...storage(folder)];
    const isReady = () => ask(at, ping, /"ok":true/);
    return Server.start(process.execPath, all, { port: at, folder, isReady });
  },
});

export const memory = peer('reg', () => ['--memory']);
export const disk = peer('reg, on disk', (folder) => ['--data-dir', folder]);

/** The first of these in a process that can tell what it holds after full collections; see daemon.js. */
export const collecting = {
  ...memory,

  async start() {
    // Without grace a watch has no second "synced" when that is over, which would be counted as another watch's.
    const daemon = await startDaemon({ port: 0, storage: 'memory', grace: 0 });
    return {
      port: daemon.ready.port,
      pid: daemon.pid,
      /** The most that V8 lets its heap have, in bytes. */
      heapLimit: daemon.ready.heapLimit,
      end: () => daemon.kill(),
      async memory() {
        const { rss, heap, external } = await daemon.ask('memory');
        return { used: heap + external, heap, resident: rss };
      },
    };
  },
};

/** A service for each number. `renewal` is the same request again. */
export const register = {
  framing: 'lines:1',
  request: '{"type":"register","key":"service-{n}","values":"10.0.0.1:{n}","timeout":600}\r\n',
  reply: '{"ok":true,"result":"registered","revision":*,"generation":*,"registered":*}\r\n',
};
export const renewal = {
  ...register,
  reply: '{"ok":true,"result":"renewed","revision":*,"generation":*,"registered":*}\r\n',
};
export const query = {
  framing: 'lines:1',
  request: '{"type":"query","key":"service-{n}"}\r\n',
  reply: '{"ok":true,"revision":*,"services":[{"key":"service-{n}","values":"10.0.0.1:{n}","timeout":600,*}]}\r\n',
};
export const destroy = {
  framing: 'lines:1',
  request: '{"type":"destruction","key":"service-{n}"}\r\n',
  reply: '{"ok":true,"removed":1,"left":0}\r\n',
};

/** A watch of the service that `change` changes; each change has another value. */
export const watch = {
  framing: 'lines:1',
  subscribe: '{"type":"watch","key":"payments"}\r\n',
  synced: '{"type":"synced"',
  request: '{"type":"register","key":"payments","values":"10.0.0.1:{n}","timeout":600}\r\n',
  reply: '{"ok":true,"result":"*"*}\r\n',
  event: '{"type":"change"',
};

/** Registrations of so many seconds, on connections that hold `share` each and renew them together. */
export function lease(seconds, share) {
  return {
    framing: 'lines:1',
    request: register.request.replace('600', seconds),
    reply: register.reply,
    ttl: seconds,
    renew: '{"type":"heartbeat"}\r\n',
    renewed: `{"ok":true,"held":${share}}\r\n`,
  };
}
/** What is told of their expiry, up to the number. */
export const expiry = {
  subscribe: '{"type":"watch","key":"all"}\r\n',
  synced: '{"type":"synced"',
  event: '"change":"expired","service":{"key":"service-',
};

/** The same under another name, with a watch that sees nothing else: for a daemon that holds other things, too. */
export function passing(seconds, share) {
  const named = (text) => text.replace('service-', 'passing-');
  const { request, ...rest } = lease(seconds, share);
  return {
    ...{ ...rest, request: named(request) },
    ...{ ...expiry, subscribe: '{"type":"watch","prefix":"passing-"}\r\n', event: named(expiry.event) },
  };
}
