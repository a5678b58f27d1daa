/**
 * Load on a server whose replies are counted by lines: `connections` peers, each with `pipeline` requests under
 * way, until `total` are answered.
 *
 * @param line makes the n-th request, ending included.
 * @param endings how many line feeds one reply has.
 * @returns answered requests per second.
 */

import { connect } from 'node:net';

const LF = 10;

export function load(port, { connections, pipeline, total, line, endings = 1 }) {
  return new Promise((resolve, reject) => {
    let sent = 0;
    let answered = 0;
    let start;
    const sockets = Array.from({ length: connections }, () => connect({ port, host: '127.0.0.1', noDelay: true }));
    const fill = (peer) => {
      let text = '';
      for (; peer.owed < pipeline && sent < total; peer.owed += 1, sent += 1) text += line(sent);
      if (text !== '') peer.socket.write(text);
    };
    const finish = () => {
      const seconds = (performance.now() - start) / 1000;
      for (const socket of sockets) socket.destroy();
      resolve(total / seconds);
    };
    const begin = () => {
      start = performance.now();
      for (const socket of sockets) {
        const peer = { socket, owed: 0, lines: 0 };
        socket.on('data', (bytes) => {
          for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) peer.lines += 1;
          const replies = Math.floor(peer.lines / endings);
          peer.lines -= replies * endings;
          peer.owed -= replies;
          answered += replies;
          if (answered === total) finish();
          else if (peer.owed === 0) fill(peer);
        });
        fill(peer);
      }
    };
    let connected = 0;
    for (const socket of sockets) {
      socket.on('error', reject);
      socket.on('connect', () => {
        connected += 1;
        if (connected === connections) begin();
      });
    }
  });
}
