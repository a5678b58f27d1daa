import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isLoopback } from '@reg/protocol';
import { type Config, defaultConfig, type Ready } from '@reg/server';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serve } from '../src/commands/serve.js';
import { Output } from '../src/output.js';
import { type Finished, makeHost, regctl, screen } from './regctl.js';

interface Start {
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly ready?: Ready;
  readonly args?: readonly string[];
}

const READY: Ready = { endpoint: { host: '127.0.0.1', port: 6734 }, restored: 0 };

/** Runs `serve` with a daemon that is ready, and stops, at once. */
async function start({ flags = {}, env = {}, ready = READY, args = [] }: Start): Promise<Omit<Finished, 'code'>> {
  const [stdout, stderr] = [screen(), screen()];
  const output = new Output(makeHost({ env, stdout, stderr }), args);
  const run = async (_: Config, onReady: (ready: Ready) => void): Promise<void> => onReady(ready);
  await serve({ flags, config: undefined, printConfig: false }, { env, output }, run);
  return { out: stdout.text, err: stderr.text };
}

async function printedConfig(args: readonly string[], env: Record<string, string> = {}): Promise<Config> {
  const { code, out } = await regctl(['serve', '--print-config', ...args], { env });
  expect(code).toBe(0);
  return JSON.parse(out);
}

function configFile(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'regctl-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'reg.json');
  writeFileSync(path, content);
  return path;
}

describe('regctl serve', () => {
  it('says where it listens, where the data is, what it restored, and what to type next', async () => {
    const { out, err } = await start({ flags: { dataDir: '/data' }, ready: { ...READY, restored: 3 } });
    expect(out.split('\n')).toEqual([
      'listening on 127.0.0.1:6734',
      'data in /data',
      '3 registrations restored',
      '',
      'Type next, in another terminal:',
      '  regctl register redis 123456@127.0.0.1:6379 --ttl 30',
      '  regctl query redis',
      '',
    ]);
    expect(err).toBe('');
  });

  it('says how to get in where callers have to authenticate', async () => {
    const ready = { ...READY, endpoint: { host: '0.0.0.0', port: 7001, secure: true } as const };
    const { out } = await start({ flags: { tokens: 'tokens.json', tlsCert: 'a.pem', tlsKey: 'b.pem' }, ready });
    expect(out.split('\n').slice(5, 7)).toEqual([
      '  regctl login regs://127.0.0.1:7001 --token-stdin --tls-ca ca.pem     # paste a token, then Ctrl-D',
      '  regctl register redis 123456@127.0.0.1:6379 --ttl 30',
    ]);
  });

  it('says that memory keeps nothing', async () => {
    const { out } = await start({ flags: { storage: 'memory' } });
    expect(out).toContain('\ndata in memory only: it is gone when this stops\n');
  });

  it('says npx where npm start has run it', async () => {
    const { out } = await start({ env: { npm_lifecycle_event: 'start' } });
    expect(out).toContain('\n  npx regctl register ');
    expect(out).toContain('\n  npx regctl query ');
  });

  it.each([
    ['127.0.0.1', 7000, ' --addr 127.0.0.1:7000'],
    ['0.0.0.0', 7000, ' --addr 127.0.0.1:7000'],
    ['0.0.0.0', 6734, ''],
    ['::', 6734, ' --addr [::1]:6734'],
    ['10.0.0.1', 6734, ' --addr 10.0.0.1:6734'],
  ])('says how to reach it at %s port %d', async (host, port, addr) => {
    const { out } = await start({ flags: { host }, ready: { endpoint: { host, port }, restored: 0 } });
    expect(out).toContain(`\n  regctl query redis${addr}\n`);
  });

  it('tells a program the same', async () => {
    const { out } = await start({ flags: { dataDir: '/data' }, args: ['--json'] });
    expect(JSON.parse(out)).toEqual({
      host: '127.0.0.1',
      port: 6734,
      storage: 'disk',
      dataDir: '/data',
      restored: 0,
    });
  });

  it('warns where other machines can reach it, and not otherwise', async () => {
    expect((await start({ flags: { host: '0.0.0.0', insecure: true } })).err).toMatch(/^warning: .*nobody has to/);
    expect((await start({ env: { REG_HOST: '::', REG_INSECURE: '1' } })).err).toMatch(/^warning: /);
    expect((await start({ flags: { host: '127.0.0.2', insecure: true } })).err).toBe('');
    const tls = { tlsCert: 'a.pem', tlsKey: 'b.pem', tlsCa: 'c.pem' };
    expect((await start({ flags: { host: '0.0.0.0', insecure: true, ...tls } })).err).toBe('');
    expect((await start({ flags: { host: '0.0.0.0', tokens: 'tokens.json', ...tls, tlsCa: undefined } })).err).toBe('');
    expect((await start({ flags: { host: '127.0.0.1', tokens: 'tokens.json' } })).err).toBe('');
    // Callers are known, and so are their tokens, to whoever listens.
    expect((await start({ flags: { host: '0.0.0.0', tokens: 'tokens.json' } })).err).toMatch(
      /^warning: .*tokens are read/,
    );
  });

  it.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['localhost', true],
    ['::1', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.0.0.1', false],
    ['127.0.0.1.example.org', false],
    ['127.example.org', false],
  ])('takes %s for loopback: %s', (host, loopback) => {
    expect(isLoopback(host)).toBe(loopback);
  });
});

it('tells each choice and each default of an option once', async () => {
  const { out } = await regctl(['serve', '--help']);
  expect(out).not.toMatch(/choices:|default:/);
  const text = out.replace(/\s+/g, ' ');
  expect(text).toContain('(env REG_PORT, default 6734)');
  expect(text).toContain('(one of disk, memory; env REG_STORAGE, default disk)');
});

describe('the configuration of regctl serve', () => {
  it('is the defaults where nothing is said', async () => {
    expect(await printedConfig([])).toEqual(defaultConfig());
  });

  it('comes from flags before the environment before the file', async () => {
    const file = configFile('{"port":1,"grace":1,"history":1}');
    const env = { REG_PORT: '2', REG_GRACE: '2' };
    const config = await printedConfig(['--config', file, '--port', '3'], env);
    expect(config).toMatchObject({ port: 3, grace: 2, history: 1 });
    expect(await printedConfig([], { REG_CONFIG: file, REG_PORT: '2' })).toMatchObject({ port: 2, history: 1 });
  });

  it('is printed so that it can be the file of the next start', async () => {
    const { out } = await regctl(['serve', '--print-config', '--memory', '--port', '0', '--repair']);
    expect(await printedConfig(['--config', configFile(out)])).toEqual(JSON.parse(out));
  });

  it('is in memory with --memory', async () => {
    expect((await printedConfig(['--memory'])).storage).toBe('memory');
    expect((await printedConfig(['--memory'], { REG_STORAGE: 'disk' })).storage).toBe('memory');
  });

  it.each([
    [['--port', 'abc'], '--port is "abc"'],
    [['--memory', '--data-dir', '/data'], '--memory'],
    [['--memory', '--storage', 'disk'], '--memory'],
    [['--config', '/nonexistent/reg.json'], '/nonexistent/reg.json'],
    [['--addr', '127.0.0.1:7000'], '--host and --port'],
    [['--bogus'], '--bogus'],
  ])('refuses %j', async (args, named) => {
    const { code, out, err } = await regctl(['serve', '--print-config', ...args]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(named);
  });
});
