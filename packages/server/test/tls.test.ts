import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { createServer, type RegistryServer, type ServerOptions } from '@reg/server';
import { type Logger, pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Identity, issueClient, issueServer, makeAuthority } from '../../cli/src/certificates.js';
import { certificateNameOf } from '../src/tls.js';
import { rule, TokensFile } from './access/tokens-file.js';
import { HeldLog } from './held-log.js';
import { settle } from './settle.js';

const NOW = Date.now();
const CA = await makeAuthority('Authority', NOW);
const STRANGER = await makeAuthority('Authority', NOW);
const SERVER = await issueServer(CA, ['localhost', '127.0.0.1'], NOW);
const PAYMENTS = await issueClient(CA, 'payments', NOW);

interface Port {
  readonly server: RegistryServer;
  readonly port: number;
  /** What was logged, as one text. */
  readonly log: () => string;
  /** Replaces the certificate's file, the key's, or both. */
  write(files: Partial<Identity>): void;
}

async function open({ identity = SERVER, clients = false, ...options }: Options = {}): Promise<Port> {
  const folder = mkdtempSync(join(tmpdir(), 'reg-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);
  const write = ({ certificate, key }: Partial<Identity>) => {
    if (certificate !== undefined) writeFileSync(path('server.pem'), certificate);
    if (key !== undefined) writeFileSync(path('key.pem'), key);
  };
  write(identity);
  writeFileSync(path('ca.pem'), CA.certificate);
  let log = '';
  const logger: Logger = pino({ level: 'info' }, { write: (line: string) => (log += line) });
  const server = createServer({
    port: 0,
    storage: 'memory',
    logger,
    tlsCert: path('server.pem'),
    tlsKey: path('key.pem'),
    tlsCa: clients ? path('ca.pem') : undefined,
    ...options,
  });
  onTestFinished(() => server.close());
  const { port, secure } = await server.listen();
  expect(secure).toBe(true);
  return { server, port, log: () => log, write };
}

interface Options extends ServerOptions {
  readonly identity?: Identity;
  /** Whether clients need certificates. */
  readonly clients?: boolean;
}

function dial(port: number, options: ConnectionOptions = {}): TLSSocket {
  const socket = connectTls({ host: '127.0.0.1', port, ca: CA.certificate, ...options });
  onTestFinished(() => void socket.destroy());
  socket.setEncoding('utf8').on('error', () => {});
  return socket;
}

function dialPlain(port: number): Socket {
  const socket = connectTcp({ host: '127.0.0.1', port });
  onTestFinished(() => void socket.destroy());
  return socket.on('error', () => {});
}

async function ask(socket: Socket, request: object): Promise<Record<string, unknown>> {
  socket.write(`${JSON.stringify(request)}\r\n`);
  const [text] = await once(socket, 'data');
  return JSON.parse(String(text));
}

/** How a dial ends: `ok` where the daemon answers a request over it, or why it does not. */
async function outcome(socket: TLSSocket): Promise<string> {
  const failed = new Promise<string>((resolve) => {
    socket.on('error', (error) => resolve(`${'code' in error ? error.code : ''} ${error.message}`));
    socket.on('close', () => resolve('closed'));
  });
  return Promise.race([failed, ask(socket, { type: 'ping' }).then(({ ok }) => (ok === true ? 'ok' : 'refused'))]);
}

function withKeys({ certificate, key }: Identity): ConnectionOptions {
  return { cert: certificate, key };
}

describe('a port with TLS', () => {
  test('answers over TLS 1.2 and 1.3, and not below', async () => {
    const { port } = await open();
    const socket = dial(port, { servername: 'localhost' });
    expect(await outcome(socket)).toBe('ok');
    expect(socket.getProtocol()).toBe('TLSv1.3');
    expect(await outcome(dial(port, { maxVersion: 'TLSv1.2' }))).toBe('ok');
    const old = dial(port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
    expect(await outcome(old)).toMatch(/protocol version|unsupported protocol/i);
  });

  test('owes the reply to who has closed its sending side', async () => {
    const log = new HeldLog();
    const { server, port } = await open({ log });
    const handle = server.handle.bind(server);
    const ended = new Promise((resolve) => {
      server.handle = (stream) => {
        handle(stream);
        stream.on('end', resolve);
      };
    });
    const socket = dial(port);
    socket.end('{"type":"register","key":"s","values":1}\r\n');
    await ended;
    await settle();
    log.commit();
    expect(String((await once(socket, 'data'))[0])).toContain('registered');
  });

  test('is not taken for another by who does not know its authority', async () => {
    const { port } = await open();
    expect(await outcome(dial(port, { ca: STRANGER.certificate }))).toMatch(/CERT|SIGNATURE/);
    expect(await outcome(dial(port, { servername: 'elsewhere.test' }))).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
  });

  test('tells nothing to who speaks without it, and closes', async () => {
    const { port, log } = await open();
    const socket = dialPlain(port);
    const received: Buffer[] = [];
    socket.on('data', (chunk) => received.push(chunk));
    socket.write('{"type":"hello"}\r\n');
    await once(socket, 'close');
    expect(Buffer.concat(received).includes('ok')).toBe(false);
    expect(log()).toContain('a TLS handshake failed');
  });

  test.each([
    ['says nothing', () => {}],
    [
      'goes on byte by byte',
      (socket: Socket) => {
        // The head of a record with a ClientHello of 512 bytes, of which one comes every few ms.
        socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]));
        const drip = setInterval(() => socket.write(Buffer.from([7])), 5);
        socket.on('close', () => clearInterval(drip));
      },
    ],
  ])('closes who %s when the time for the handshake is over', async (_, begin) => {
    const { server, port, log } = await open({ handshakeTimeout: 0.1 });
    const socket = dialPlain(port);
    await once(socket, 'connect');
    begin(socket);
    // What came last may not have been read, and then the other end resets.
    socket.on('error', () => {});
    await new Promise((resolve) => socket.resume().on('close', resolve));
    expect(log()).toContain('TLS handshake timeout');
    expect(server.connections).toBe(0);
  });

  test('goes on while handshakes hang, and closes in spite of them', async () => {
    const { server, port } = await open({ handshakeTimeout: 600 });
    const silent = Array.from({ length: 20 }, () => dialPlain(port));
    await Promise.all(silent.map((socket) => once(socket, 'connect')));
    expect(await outcome(dial(port))).toBe('ok');
    const closed = silent.map((socket) => once(socket.resume(), 'close'));
    await server.close();
    await Promise.all(closed);
  });
});

describe('a connection that is not through its handshake', () => {
  /** Connections that say nothing. The daemon has accepted them before any that is dialled later. */
  async function beSilent(port: number, count: number): Promise<Socket[]> {
    const silent = Array.from({ length: count }, () => dialPlain(port).resume());
    await Promise.all(silent.map((socket) => once(socket, 'connect')));
    return silent;
  }

  /** What the daemon says of its own accord to who gets through the handshake. */
  async function refusal(port: number): Promise<unknown> {
    const [text] = await once(dial(port), 'data');
    return JSON.parse(String(text));
  }

  const TOO_MANY = { ok: false, error: { code: 'over_limit', limit: 'maxConnections', retryAfter: 5 } };

  test('has one of the places that there are for connections, until it goes', async () => {
    const { server, port } = await open({ maxConnections: 3, handshakeTimeout: 600 });
    const [first] = await beSilent(port, 2);
    const third = dial(port);
    expect(await outcome(third)).toBe('ok');
    expect(await refusal(port)).toMatchObject(TOO_MANY);
    expect(server.connections).toBe(1);
    first?.destroy();
    await expect.poll(() => outcome(dial(port))).toBe('ok');
    expect(await refusal(port)).toMatchObject(TOO_MANY);
    // A session that ends leaves one place, and not two.
    third.destroy();
    await expect.poll(() => outcome(dial(port))).toBe('ok');
    expect(await refusal(port)).toMatchObject(TOO_MANY);
  });

  test('has it no longer than the time for the handshake', async () => {
    const { port } = await open({ maxConnections: 2, handshakeTimeout: 0.1 });
    const silent = await beSilent(port, 2);
    await Promise.all(silent.map((socket) => socket.closed || once(socket, 'close')));
    const [one, other] = [dial(port), dial(port)];
    expect([await outcome(one), await outcome(other)]).toEqual(['ok', 'ok']);
    expect(await refusal(port)).toMatchObject(TOO_MANY);
  });

  test('is closed at once where there are more than can be told that there is no room', async () => {
    const { server, port, log } = await open({ maxConnections: 2, handshakeTimeout: 600 });
    const session = dial(port);
    expect(await outcome(session)).toBe('ok');
    const silent = await beSilent(port, 300);
    const isOpen = (socket: Socket) => !socket.closed;
    await expect.poll(() => silent.filter(isOpen).length).toBe(2 + 256 - 1);
    expect(silent.slice(0, 2 + 256 - 1).every(isOpen)).toBe(true);
    expect(await ask(session, { type: 'ping' })).toEqual({ ok: true });
    expect(server.connections).toBe(1);
    const refused = () => [...log().matchAll(/"refused":(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
    await expect.poll(refused).toBe(300 - (2 + 256 - 1));
  });
});

describe('a port that wants certificates of clients', () => {
  test('knows by its certificate who asks', async () => {
    const { server, port } = await open({ clients: true });
    const names: unknown[] = [];
    const handle = server.handle.bind(server);
    server.handle = (stream) => {
      names.push(certificateNameOf(stream));
      handle(stream);
    };
    expect(await outcome(dial(port, withKeys(PAYMENTS)))).toBe('ok');
    expect(names).toEqual(['payments']);
  });

  test('takes who is named by an entry of the file of tokens for who that says, and nobody else', async () => {
    const file = new TokensFile();
    file.addCertificate('billing', 'payments', [rule(['register'], 'pay')]);
    const { port } = await open({ clients: true, tokens: file.path, audit: 'memory' });
    const known = dial(port, withKeys(PAYMENTS));
    expect(await ask(known, { type: 'register', key: 'pay', values: 1 })).toMatchObject({ ok: true });
    expect(await ask(known, { type: 'query', key: 'pay' })).toMatchObject({
      error: { code: 'forbidden', message: expect.stringContaining('billing') },
    });
    for (const name of ['Payments', 'payments2', 'billing']) {
      const other = dial(port, withKeys(await issueClient(CA, name, NOW)));
      expect(await ask(other, { type: 'ping' })).toMatchObject({ error: { code: 'unauthenticated' } });
    }
  });

  test('knows nobody by a certificate that it did not ask for', async () => {
    const file = new TokensFile();
    file.addCertificate('billing', 'payments', [rule(['admin'], '*')]);
    const { port } = await open({ tokens: file.path });
    const reply = await ask(dial(port, withKeys(PAYMENTS)), { type: 'ping' });
    expect(reply).toMatchObject({ error: { code: 'unauthenticated' } });
  });

  test('ends what somebody may do by a certificate when its entry is gone', async () => {
    const file = new TokensFile();
    file.addCertificate('billing', 'payments', [rule(['admin'], '*')]);
    const { server, port } = await open({ clients: true, tokens: file.path });
    const socket = dial(port, withKeys(PAYMENTS));
    expect(await ask(socket, { type: 'status' })).toMatchObject({ ok: true });
    file.remove('billing');
    server.reload();
    expect(await ask(socket, { type: 'ping' })).toMatchObject({ error: { code: 'unauthenticated' } });
  });

  test.each([
    ['none', () => undefined],
    ['one of another authority with the same name', () => issueClient(STRANGER, 'payments', NOW)],
    ['one that is for servers', () => SERVER],
    ['one that is over', () => issueClient(CA, 'payments', NOW - 3000 * 86_400_000)],
    ['one that is signed by itself', () => makeAuthority('payments', NOW)],
  ])('answers nothing to %s', async (_, make) => {
    const identity = await make();
    const { server, port } = await open({ clients: true });
    expect(await outcome(dial(port, identity && withKeys(identity)))).not.toBe('ok');
    expect(server.connections).toBe(0);
  });

  test('has no name for who was not asked for one', async () => {
    const { server, port } = await open();
    const names: unknown[] = [];
    server.handle = (stream) => void names.push(certificateNameOf(stream));
    await once(dial(port, withKeys(PAYMENTS)), 'secureConnect');
    await expect.poll(() => names).toEqual([undefined]);
  });
});

describe('a reload', () => {
  test('has new connections see the new certificate, and lets the open ones be', async () => {
    const { server, port, write } = await open();
    const before = dial(port);
    await ask(before, { type: 'register', key: 's', values: 1, linger: 5 });
    const renewed = await issueServer(CA, ['localhost', '127.0.0.1'], NOW);
    write(renewed);
    server.reload();
    const after = dial(port);
    expect(await outcome(after)).toBe('ok');
    const serial = (socket: TLSSocket) => socket.getPeerX509Certificate()?.serialNumber;
    expect(serial(after)).not.toBe(serial(before));
    expect(await ask(before, { type: 'heartbeat' })).toEqual({ ok: true, held: 1 });
  });

  test.each([
    ['no certificate', { certificate: 'nonsense' }],
    ['the key of another', { key: PAYMENTS.key }],
    ['half a file', { certificate: SERVER.certificate.slice(0, 300) }],
  ])('of %s is logged as an error, and the old one stays', async (_, files) => {
    const { server, port, log, write } = await open();
    write(files);
    server.reload();
    expect(log()).toMatch(/"level":50,.*the old ones stay/);
    expect(log()).not.toContain('PRIVATE KEY');
    expect(await outcome(dial(port))).toBe('ok');
  });

  test('ends the sessions that could be resumed', async () => {
    const { server, port } = await open();
    const resumed = async (session?: Buffer): Promise<[boolean, Buffer]> => {
      const socket = dial(port, { maxVersion: 'TLSv1.2', session });
      expect(await outcome(socket)).toBe('ok');
      return [socket.isSessionReused(), socket.getSession() ?? Buffer.alloc(0)];
    };
    const [, session] = await resumed();
    expect((await resumed(session))[0]).toBe(true);
    server.reload();
    expect((await resumed(session))[0]).toBe(false);
  });
});

test.each([
  ['an empty file', ''],
  ['nonsense', 'nonsense'],
  ['a key', CA.key],
])('an authority that is %s is refused: it would turn every client away', async (_, text) => {
  const folder = mkdtempSync(join(tmpdir(), 'reg-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const tlsCa = join(folder, 'authority.pem');
  writeFileSync(tlsCa, text);
  await expect(open({ tlsCa })).rejects.toThrow(/"tlsCa" is no certificate/);
});

describe('files that cannot be used keep the daemon from starting:', () => {
  test.each([
    ['half of them', { tlsCert: '/nonexistent/a.pem' }, /both tlsCert and tlsKey/],
    ['an authority alone', { tlsCa: '/nonexistent/a.pem' }, /both tlsCert and tlsKey/],
    ['none there', { tlsCert: '/nonexistent/a.pem', tlsKey: '/nonexistent/b.pem' }, /"tlsCert" cannot be read/],
  ])('%s', async (_, options, message) => {
    const start = async () => createServer({ port: 0, storage: 'memory', ...options }).listen();
    await expect(start()).rejects.toThrow(
      expect.objectContaining({ code: 'bad_config', message: expect.stringMatching(message) }),
    );
  });
});

test('a port without TLS says so to who begins a handshake', async () => {
  const server = createServer({ port: 0, storage: 'memory' });
  onTestFinished(() => server.close());
  const { port } = await server.listen();
  expect(await outcome(dial(port))).toMatch(/wrong version|packet length|record/i);
  await expect.poll(() => server.connections).toBe(0);
  const socket = dialPlain(port);
  socket.write(Buffer.from([0x16, 3, 1, 0, 1, 0]));
  expect(String((await once(socket, 'data'))[0])).toContain('"bad_request"');
});
