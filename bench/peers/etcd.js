/** One member of etcd, through its JSON gateway. */

import { sizeOf } from '../generators.js';
import { freePort, Server, temporaryFolder, versionOf } from '../processes.js';

export const etcd = {
  name: 'etcd',
  version: () => versionOf('etcd', ['--version'], /etcd Version: (\S+)/),

  async start({ folder = temporaryFolder(), port, peerPort } = {}) {
    const at = port ?? (await freePort());
    const client = `http://127.0.0.1:${at}`;
    const peer = `http://127.0.0.1:${peerPort ?? (await freePort())}`;
    const args = [
      ...['--name', 'n1', '--data-dir', `${folder}/etcd`, '--quota-backend-bytes', 8 * 2 ** 30],
      ...['--logger', 'zap', '--log-level', 'error'],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `n1=${peer}`],
    ];
    const isReady = async () => (await (await fetch(`${client}/health`)).json()).health === 'true';
    return Server.start('etcd', args, { port: at, folder, isReady });
  },
};

/** A request of the gateway; its reply is HTTP. */
function post(path, body) {
  const fields = `Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${sizeOf(body)}\r\n`;
  return `POST ${path} HTTP/1.1\r\n${fields}\r\n${body}`;
}

/** Keys and values are base64. Eight digits are base64 as they stand, of six bytes. */
const KEY = `${btoa('services-')}{n}`;
const VALUE = `${btoa('10.0.0.1:')}{n}`;

/** A key with a lease of its own, which `grant` has made: with many keys a lease is slow. */
export const put = {
  framing: 'http',
  request: post('/v3/kv/put', `{"key":"${KEY}","value":"${VALUE}","lease":"1{n}"}`),
  reply: 'HTTP/1.1 200 OK\r\n*"revision":"*',
};
export const grant = {
  framing: 'http',
  request: post('/v3/lease/grant', '{"ID":"1{n}","TTL":"3600"}'),
  reply: 'HTTP/1.1 200 OK\r\n*"ID":"1{n}"*',
};

/** A watch has a connection of its own. */
export const watch = {
  framing: 'http',
  subscribe: post('/v3/watch', `{"create_request":{"key":"${btoa('payments!')}"}}`),
  synced: '"created":true',
  request: post('/v3/kv/put', `{"key":"${btoa('payments!')}","value":"${VALUE}"}`),
  reply: 'HTTP/1.1 200 OK\r\n*"revision":"*',
  event: '"events":[',
};

/** A transaction may put so many, by default no more than 128. */
const PUTS = 100;

/** A lease for each connection, and `PUTS` keys with it in each request of the load. */
export function lease(seconds) {
  const puts = Array.from({ length: PUTS }, (_, n) => {
    const key = `${KEY}${String(n).padStart(2, '0')}AA`;
    return `{"requestPut":{"key":"${key}","value":"${VALUE}","lease":"1{c}"}}`;
  });
  return {
    framing: 'http',
    times: PUTS,
    prepare: post('/v3/lease/grant', `{"ID":"1{c}","TTL":"${seconds}"}`),
    request: post('/v3/kv/txn', `{"success":[${puts.join(',')}]}`),
    reply: 'HTTP/1.1 200 OK\r\n*"succeeded":true*',
    ttl: seconds,
    renew: post('/v3/lease/keepalive', '{"ID":"1{c}"}'),
    renewed: `*"TTL":"${seconds}"*`,
  };
}
export const expiry = {
  subscribe: post(
    '/v3/watch',
    `{"create_request":{"key":"${btoa('service')}","range_end":"${btoa('servicet')}","filters":["NOPUT"]}}`,
  ),
  synced: '"created":true',
  event: `"type":"DELETE","kv":{"key":"${btoa('services-')}`,
};

/** One of the keys of `lease`. */
export const range = {
  framing: 'http',
  request: post('/v3/kv/range', `{"key":"${KEY}00AA"}`),
  reply: `HTTP/1.1 200 OK\r\n*"kvs":[{"key":"${KEY}00AA"*`,
};
