import { X509Certificate } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer as createTcpServer, isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LineReader } from '@reg/protocol';
import { createServer, resolveConfig } from '@reg/server';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findLogin, type Login, readCredentials, writeCredentials } from '../src/credentials.js';
import { CommandError, explain } from '../src/errors.js';
import { type Finished, regctl, startServer } from './regctl.js';

const SECRET = 's3cret-S3CRET_s3cret';
const TOKEN = `reg_a1_${SECRET}`;

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'regctl-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Somebody's home, with regctl in it. */
function home(): { run: (args: readonly string[], more?: Extra) => Promise<Finished>; path: string } {
  const HOME = temporary();
  const path = join(HOME, '.config/reg/credentials.json');
  return { run: (args, { env, ...more } = {}) => regctl(args, { env: { HOME, ...env }, ...more }), path };
}

interface Extra {
  readonly env?: Record<string, string>;
  readonly input?: string;
}

/** A registry that takes one token, and nothing else before it. @returns its address. */
async function guarded(): Promise<string> {
  const tcp = createTcpServer((socket) => {
    const lines = new LineReader(1024);
    let caller = false;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      lines.push(chunk);
      for (let line = lines.next(); line !== undefined; line = lines.next()) {
        const { type, token } = JSON.parse(String(line));
        if (type === 'auth') caller = token === TOKEN;
        const good = type === 'auth' ? { ok: true, caller: 'ci' } : { ok: true, revision: 0, services: [] };
        const bad = { ok: false, error: { code: 'unauthenticated', message: 'no token that is known' } };
        socket.write(`${JSON.stringify(caller ? good : bad)}\r\n`);
      }
    });
  });
  tcp.listen(0, '127.0.0.1');
  onTestFinished(() => void tcp.close());
  await new Promise((resolve) => tcp.once('listening', resolve));
  const address = tcp.address();
  return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

function login(address: string, token?: string): Login {
  return { address, token, ca: undefined, cert: undefined, key: undefined };
}

describe('a token', () => {
  it.each<[string, (addr: string) => string[], Record<string, string>?]>([
    ['the flag', (addr) => ['--addr', addr, '--token', TOKEN]],
    ['the flag, before the address', (addr) => ['--addr', `reg://reg_b_x@${addr}`, '--token', TOKEN]],
    ['the address, before the environment', (addr) => ['--addr', `reg://${TOKEN}@${addr}`], { REG_TOKEN: 'reg_b_x' }],
    ['the environment', (addr) => ['--addr', addr], { REG_TOKEN: TOKEN }],
  ])('may come from %s', async (_, say, env = {}) => {
    expect(await home().run(['query', 'all', ...say(await guarded())], { env })).toMatchObject({ code: 0 });
  });

  it('may come from the address that the environment says', async () => {
    const env = { REG_ADDR: `reg://${TOKEN}@${await guarded()}` };
    expect(await home().run(['query', 'all'], { env })).toMatchObject({ code: 0 });
  });

  it('is asked for where it is missing', async () => {
    const { code, err } = await home().run(['query', 'all', '--addr', await guarded()]);
    expect(code).toBe(3);
    expect(err).toContain('regctl login, REG_TOKEN or --token');
  });

  it('is in nothing that regctl writes, wherever it was typed', async () => {
    const addr = await guarded();
    const places: (readonly string[])[] = [
      ['query', 'all', '--token', `${TOKEN}x`, '--addr', addr],
      ['query', 'all', '--addr', `reg://${TOKEN}x@${addr}`],
      ['query', 'all', '--addr', `reg://${TOKEN}@`],
      ['query', 'all', '--addr', `${TOKEN}`],
      ['query', 'all', '--addr', `reg://${TOKEN}@127.0.0.1:1`],
      ['query', 'all', '--addr', `reg://${TOKEN}@a,reg://${TOKEN}x@b`],
      ['query', 'all', `--tokem=${TOKEN}`],
      [`${TOKEN}`],
      ['serve', '--token', TOKEN],
      ['login', `reg://${TOKEN}x@${addr}`],
      ['login', `reg://${TOKEN}@${addr}`],
      ['--help', '--token', TOKEN],
    ];
    const { run } = home();
    for (const args of places) {
      for (const json of [[], ['--json']]) {
        const { out, err } = await run([...args, ...json], { env: { REG_TOKEN: TOKEN } });
        expect(out + err, args.join(' ')).not.toContain(SECRET);
      }
    }
  });

  it('is in no failure, whatever text it is in', () => {
    const around = fc.string();
    const secrets = fc.stringMatching(/^[\w-]{20,43}$/);
    fc.assert(
      fc.property(around, secrets, around, (before, secret, after) => {
        const { message } = explain(new CommandError('usage', `${before}reg_0a_${secret} ${after}`));
        expect(message).not.toContain(secret);
      }),
    );
  });
});

describe('regctl login', () => {
  it('keeps what it takes to get in, for nobody else to read, and for that registry only', async () => {
    const { run, path } = home();
    const addr = await guarded();
    const { out } = await run(['login', addr, '--token-stdin'], { input: `${TOKEN}\n` });
    expect(out).toBe(`logged in to ${addr}, which is the context ${addr}\n`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await run(['query', 'all'])).toMatchObject({ code: 0 });
    expect(await run(['query', 'all', '--addr', addr])).toMatchObject({ code: 0 });
    expect(await run(['query', 'all', '--addr', await guarded()])).toMatchObject({ code: 3 });
  });

  it('keeps nothing where the registry refuses it, or is not there', async () => {
    const { run, path } = home();
    expect(await run(['login', await guarded(), '--token', 'reg_b_x'])).toMatchObject({ code: 3 });
    expect(await run(['login', '127.0.0.1:1', '--token', TOKEN])).toMatchObject({ code: 4 });
    expect(existsSync(path)).toBe(false);
  });

  it('knows several registries, of which one is meant', async () => {
    const { run, path } = home();
    const [one, two] = [(await startServer()).addr, (await startServer()).addr];
    await run(['login', one, '--name', 'one']);
    await run(['login', two, '--name', 'two']);
    await run(['register', 's', 'v']);
    expect((await run(['query', 's', '--addr', two])).code).toBe(0);
    expect((await run(['context'])).out).toBe(`  one  ${one}\n* two  ${two}\n`);
    expect((await run(['context', 'use', 'one'])).code).toBe(0);
    expect((await run(['query', 's'])).code).toBe(3);
    expect((await run(['context', 'use', 'three'])).code).toBe(3);
    await run(['logout']);
    expect(JSON.parse((await run(['context', '--json'])).out).contexts).toMatchObject([
      { name: 'two', current: false },
    ]);
    expect((await run(['logout'])).code).toBe(3);
    expect(readdirSync(join(path, '..'))).toEqual(['credentials.json']);
  });
});

describe('the file of credentials', () => {
  it.each([0o640, 0o604, 0o660, 0o644, 0o611])('is refused with the mode %o, and why', async (mode) => {
    const { run, path } = home();
    writeCredentials(path, { current: 'a', contexts: new Map([['a', login('127.0.0.1:1', TOKEN)]]) });
    chmodSync(path, mode);
    for (const command of [['query', 'all'], ['context'], ['logout'], ['login', 'a']]) {
      const { code, err } = await run(command);
      expect(code).toBe(2);
      expect(err).toContain(`chmod 600 ${path}`);
      expect(err).not.toContain(SECRET);
    }
  });

  it.each(['', 'nonsense', '[]', '{}', '{"contexts":{"a":{}}}', '{"contexts":{"a":{"address":"a","token":1}}}'])(
    'is refused with %j in it, without a word of what that is',
    (content) => {
      const path = join(temporary(), 'credentials.json');
      writeFileSync(path, content, { mode: 0o600 });
      expect(() => readCredentials(path)).toThrow(expect.objectContaining({ code: 'access_failed' }));
    },
  );

  it('is the same after it was written and read', () => {
    const path = join(temporary(), 'deep/credentials.json');
    const texts = fc.option(fc.string(), { nil: undefined });
    const logins = fc.record({ address: fc.string(), token: texts, ca: texts, cert: texts, key: texts });
    fc.assert(
      fc.property(fc.dictionary(fc.string(), logins), texts, (contexts, current) => {
        const credentials = { current, contexts: new Map(Object.entries(contexts)) };
        writeCredentials(path, credentials);
        expect(readCredentials(path)).toEqual(credentials);
        for (const { address } of credentials.contexts.values()) {
          expect(findLogin(credentials, address)?.address).toBe(address);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('regctl init', () => {
  async function serve(folder: string): Promise<{ addr: string; server: ReturnType<typeof createServer> }> {
    const config = resolveConfig({ flags: {}, env: {}, file: join(folder, 'reg.json') });
    const server = createServer({ ...config, port: 0, storage: 'memory' });
    onTestFinished(() => server.close());
    const { port } = await server.listen();
    return { addr: `regs://localhost:${port}`, server };
  }

  it('makes a registry that speaks TLS, and to which its authority leads', async () => {
    const { run } = home();
    const folder = join(temporary(), 'reg');
    const { code, out } = await run(['init', folder, '--name', 'registry.example.org']);
    expect(code).toBe(0);
    const [token = ''] = /reg_[\w-]+$/m.exec(out) ?? [];
    expect(readFileSync(join(folder, 'tokens.json'), 'utf8')).not.toContain(token.split('_').slice(2).join('_'));
    expect(out).toContain(`regctl serve --config ${folder}/reg.json`);
    const { addr } = await serve(folder);
    expect((await run(['login', addr])).err).toMatch(/certificate/);
    const ca = ['--tls-ca', join(folder, 'ca.pem')];
    expect((await run(['login', addr, ...ca])).err).toContain('wants to know who asks');
    expect(await run(['login', addr, ...ca, '--token-stdin'], { input: `${token}\n` })).toMatchObject({ code: 0 });
    expect(await run(['register', 's', 'v'])).toMatchObject({ code: 0 });
    expect((await run(['query', 's'])).out).toContain('v');
  });

  it('makes a certificate for every name and address that it is given, and for no other', async () => {
    const folder = temporary();
    const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.internal`;
    const names = [long, 'registry.internal', 'my_registry', '10.0.0.5', '2001:db8::5', '2001:DB8:0:0::6'];
    const { code } = await regctl(['init', folder, '--host', '0.0.0.0', ...names.flatMap((name) => ['--name', name])]);
    expect(code).toBe(0);
    const certificate = new X509Certificate(readFileSync(join(folder, 'server.pem')));
    const fits = (host: string) => (isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined;
    for (const host of [...names, 'localhost', '127.0.0.1', '::1', '2001:db8::6'])
      expect([host, fits(host)]).toEqual([host, true]);
    for (const host of ['0.0.0.0', 'internal', 'x.registry.internal', '10.0.0.6', '2001:db8::7']) {
      expect([host, fits(host)]).toEqual([host, false]);
    }
    expect(certificate.subject).toBe('CN=registry.internal');
    expect(certificate.issuer.length).toBeLessThanOrEqual(64 + 'CN='.length);
  });

  it('has everybody need a certificate where it makes some', async () => {
    const { run } = home();
    const folder = temporary();
    await run(['init', folder, '--client', 'ci']);
    const { addr } = await serve(folder);
    const ca = ['--tls-ca', join(folder, 'ca.pem')];
    expect((await run(['login', addr, ...ca])).code).not.toBe(0);
    const own = ['--tls-cert', join(folder, 'client-ci.pem'), '--tls-key', join(folder, 'client-ci-key.pem')];
    expect(await run(['login', addr, ...ca, ...own])).toMatchObject({ code: 0 });
    expect((await run(['context'])).out).toContain('certificate');
    expect(await run(['register', 's', 'v'])).toMatchObject({ code: 0 });
    expect((await run(['status'])).err).toContain('ci is no admin');
  });

  it('keeps keys to itself, and shows none', async () => {
    const folder = temporary();
    const { out } = await regctl(['init', folder, '--client', 'ci']);
    expect(out).not.toContain('PRIVATE');
    const modes = readdirSync(folder).map((name) => [name, (statSync(join(folder, name)).mode & 0o077) === 0]);
    expect(Object.fromEntries(modes)).toEqual({
      'ca-key.pem': true,
      'ca.pem': false,
      'client-ci-key.pem': true,
      'client-ci.pem': false,
      'reg.json': true,
      'server-key.pem': true,
      'server.pem': false,
      'tokens.json': true,
    });
  });

  it('replaces nothing', async () => {
    const folder = temporary();
    writeFileSync(join(folder, 'server-key.pem'), 'precious');
    expect((await regctl(['init', folder])).code).toBe(2);
    expect(readdirSync(folder)).toEqual(['server-key.pem']);
    expect(readFileSync(join(folder, 'server-key.pem'), 'utf8')).toBe('precious');
  });

  it.each([
    [['--client', '../x'], '--client'],
    [['--port', 'x'], '--port'],
    [['--host', '[::1]'], /--host must be .*"\[::1\]": leave out the brackets/],
    [['--host', ''], /--host must be a name or an IP address/],
    [['--name', 'regs://registry.internal'], /--name must be .*: leave out the scheme/],
    [['--name', 'registry.internal:6734'], /leave out the port/],
    [['--name', '10.0.0.5:6734'], /leave out the port/],
    [['--name', 'fe80::1%eth0'], /leave out the zone/],
    [['--name', '*.internal'], /give each name by itself/],
    [['--name', '10.0.0.256'], /four numbers up to 255/],
    [['--name', '10.0.0'], /four numbers up to 255/],
    [['--name', '2001:db8::g'], /no IPv6 address/],
    [['--name', 'bücher.example'], /write it as xn--bcher-kva.example/],
    [['--name', 'a b'], /letters, digits/],
    [['--name', 'a..b'], /letters, digits/],
    [['--name', '-a'], /letters, digits/],
    [['--name', 'registry.internal.'], /letters, digits/],
    [['--name', 'x'.repeat(64)], /63 at most/],
    [['--name', 'good', '--name', 'a,DNS:evil.example'], /"a,DNS:evil.example"/],
  ])('refuses %j', async (args, named) => {
    const folder = temporary();
    const { code, err } = await regctl(['init', folder, ...args]);
    expect(code).toBe(2);
    expect(err).toMatch(named);
    expect(readdirSync(folder)).toEqual([]);
  });
});

it('serve takes the flags of TLS, wherever they stand', async () => {
  const args = ['serve', '--print-config', '--tls-cert', 'a.pem', '--tls-key', 'b.pem', '--tls-ca', 'c.pem'];
  const { out } = await regctl(args);
  expect(JSON.parse(out)).toMatchObject({ tlsCert: 'a.pem', tlsKey: 'b.pem', tlsCa: 'c.pem' });
});
