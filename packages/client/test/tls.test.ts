import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createTcpServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { ManualClock } from '@reg/protocol/testing';
import { createServer } from '@reg/server';
import { describe, expect, onTestFinished, test } from 'vitest';
import { issueClient, issueServer, makeAuthority } from '../../cli/src/certificates.js';
import { type ClientOptions, connect } from '../src/index.js';
import { failure, later } from './fake-daemon.js';

const NOW = Date.now();
const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const CA = await makeAuthority('Authority', NOW);
const STRANGER = await makeAuthority('Stranger', NOW);
const SERVER = await issueServer(CA, ['localhost', '127.0.0.1'], NOW);
const { certificate: cert, key } = await issueClient(CA, 'payments', NOW);

/** The port of a registry; with TLS it wants certificates of clients where told so. */
async function open(kind: 'plain' | 'tls' | 'mutual', host = '127.0.0.1', issued = SERVER): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'reg-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const files = {
    tlsCert: write('cert.pem', issued.certificate),
    tlsKey: write('key.pem', issued.key),
    ...(kind === 'mutual' && { tlsCa: write('ca.pem', CA.certificate) }),
  };
  const server = createServer({ host, port: 0, storage: 'memory', ...(kind !== 'plain' && files) });
  onTestFinished(() => server.close());
  return (await server.listen()).port;
}

function client(address: string, options: ClientOptions = {}) {
  const made = connect(address, { requestTimeout: 20_000, connectTimeout: 20_000, reconnect: false, ...options });
  onTestFinished(() => made.close());
  return made;
}

function portOf(server: Server): number | undefined {
  const address = server.address();
  return typeof address === 'object' ? address?.port : undefined;
}

const TRUST = { tls: { ca: CA.certificate } };

describe('over TLS', () => {
  test('everything is as it is without', async () => {
    const port = await open('tls');
    const registry = client(`regs://localhost:${port}`, TRUST);
    await registry.register('s', { big: 'x'.repeat(60_000) }, { instance: 'i' });
    expect((await registry.query('s')).services).toMatchObject([{ key: 's', instance: 'i' }]);
  });

  test.skipIf(!hasIPv6)('an IPv6 address is found in the certificate, and no other one', async () => {
    const server = await open('tls', '::1', await issueServer(CA, ['::1'], NOW));
    const other = await open('tls', '::1', await issueServer(CA, ['::2'], NOW));
    await client(`regs://[::1]:${server}`, TRUST).ping();
    expect(await failure(client(`regs://[::1]:${other}`, TRUST).ping())).toMatchObject({
      message: expect.stringContaining('altnames'),
    });
  });

  test('a certificate says who the client is', async () => {
    const port = await open('mutual');
    await client(`regs://127.0.0.1:${port}`, { tls: { ca: CA.certificate, cert, key } }).ping();
  });

  test.each([
    ['a daemon of an authority that is not known', 'tls', 'localhost', STRANGER, /certificate/],
    ['a daemon of another name', 'tls', '[::1]', CA, /ECONNREFUSED|altnames/],
    ['a daemon that wants a certificate', 'mutual', 'localhost', CA, /certificate/],
    ['a daemon that speaks no TLS', 'plain', 'localhost', CA, /it speaks no TLS: perhaps its address begins with reg:/],
  ] as const)('%s is refused, and why', async (_, kind, host, ca, message) => {
    const port = await open(kind);
    const error = await failure(client(`regs://${host}:${port}`, { tls: { ca: ca.certificate } }).ping());
    expect(error.code).toMatch(/^connect/);
    expect(error.message).toMatch(message);
  });

  test('a peer that does not answer the handshake is given up in the time for a connection', async () => {
    const silent = createTcpServer(() => {}).listen(0);
    onTestFinished(() => void silent.close());
    const error = await failure(client(`regs://localhost:${portOf(silent)}`, { ...TRUST, connectTimeout: 100 }).ping());
    expect(error.message).toContain('no connection within 100 ms');
  });

  test('no token is sent to a daemon that is not the one that it should be', async () => {
    const received: string[] = [];
    const { certificate, key } = SERVER;
    const thief = createTlsServer({ cert: certificate, key }, (socket) => {
      socket
        .on('error', () => {})
        .on('data', (chunk) => {
          received.push(String(chunk));
          socket.destroy();
        });
    }).listen(0);
    onTestFinished(() => void thief.close());
    const port = portOf(thief);
    expect((await failure(client(`regs://reg_a1_secret@localhost:${port}`).ping())).message).toContain('certificate');
    expect(received).toEqual([]);
    await failure(client(`regs://reg_a1_secret@localhost:${port}`, TRUST).ping());
    expect(received.join('')).toContain('reg_a1_secret');
  });
});

describe('a daemon that speaks TLS only is named as a possible reason', () => {
  const message = expect.stringContaining('perhaps it wants TLS, and its address is regs://');

  test('to who asks once', async () => {
    const port = await open('tls');
    expect(await failure(client(`reg://localhost:${port}`).ping())).toMatchObject({ message });
  });

  test('to who reconnects until the time is up', async () => {
    const clock = new ManualClock();
    const registry = client(`reg://localhost:${await open('tls')}`, { clock, reconnect: {}, requestTimeout: 2000 });
    const disconnected = once(registry, 'disconnect');
    const ping = later(registry.ping());
    await disconnected;
    clock.advance(2000);
    expect(await failure(ping)).toMatchObject({ message });
  });
});

test('what TLS is to go by is not for an address without it', () => {
  expect(() => connect('reg://localhost', TRUST)).toThrow(expect.objectContaining({ code: 'bad_config' }));
});
