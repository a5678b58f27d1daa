/**
 * The protocol without any client: lines of JSON over TCP, as any language can write them.
 *
 *     node examples/05-bare-socket.js
 */

import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const [host, port] = (process.env.REG_ADDR ?? '127.0.0.1:6734').split(':');
const socket = connect(Number(port), host);
socket.write('{"type":"register","key":"redis","values":"123456@127.0.0.1:6379","timeout":"30"}\r\n');
socket.write('{"type":"query","key":"redis"}\r\n');
socket.write('{"type":"destruction","key":"redis"}\r\n');
socket.end();

for await (const line of createInterface({ input: socket })) {
  const { ok, services, removed } = JSON.parse(line);
  console.log(ok, services?.[0].values ?? '', removed ?? '');
}

// Prints:
// true
// true 123456@127.0.0.1:6379
// true  1
