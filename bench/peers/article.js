/** The server of the article that this project began with; see article.py. */

import { fileURLToPath } from 'node:url';
import { ask, freePort, Server, versionOf } from '../processes.js';

const PROGRAM = fileURLToPath(new URL('article.py', import.meta.url));

export const article = {
  name: "the article's server",
  version: () => versionOf('python3', ['--version'], /(\S+)$/m),

  async start() {
    const port = await freePort();
    const isReady = () => ask(port, '{"type":"query","key":"all"}\r\n', /"code": 0/);
    return Server.start('python3', [PROGRAM, port], { port, isReady });
  },
};

export const register = {
  framing: 'lines:1',
  request: '{"type":"register","key":"service-{n}","values":"10.0.0.1:{n}","timeout":"600"}\r\n',
  reply: '{"code": 0, "msg": "ok"}\r\n',
};
export const query = {
  framing: 'lines:1',
  request: '{"type":"query","key":"service-{n}"}\r\n',
  reply: '{"code": 0, "msg": "ok", "data": {"service-{n}": "10.0.0.1:{n}"}}\r\n',
};
