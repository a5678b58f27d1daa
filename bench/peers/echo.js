/** The least that a server on node:net can do with a request. */

import { fileURLToPath } from 'node:url';
import { ask, freePort, Server } from '../processes.js';
import * as reg from './reg.js';

const PROGRAM = fileURLToPath(new URL('echo-server.js', import.meta.url));

export const echo = {
  name: 'node:net echo',
  version: () => process.versions.node,

  async start() {
    const port = await freePort();
    const isReady = () => ask(port, 'ready?', /ready/);
    return Server.start(process.execPath, [PROGRAM, port], { port, isReady });
  },
};

/** The same bytes as those of our requests. */
export const echoOfRegister = { ...reg.register, reply: reg.register.request };
export const echoOfQuery = { ...reg.query, reply: reg.query.request };
