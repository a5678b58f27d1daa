import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { createServer as createTcpServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { ConnectionError, ReplyError, TimeoutError } from '@reg/client';
import { ERRORS, type ErrorCode, RegistryError } from '@reg/protocol';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Address } from '../src/address.js';
import { advise, CommandError, EXIT_CODES, explain } from '../src/errors.js';
import { deadAddr, regctl, session, VERSION } from './regctl.js';

const ENDPOINT = { host: '127.0.0.1', port: 7000 };
const ADDRESS: Address = { endpoints: [ENDPOINT], origin: undefined };

function told(error: unknown, address: Address = ADDRESS): { exit: number; message: string } {
  const { exit, message } = explain(advise(error, address));
  return { exit, message };
}

describe('the exit codes', () => {
  it('are those of the table of errors, and each is explained', async () => {
    const { out } = await regctl(['--help']);
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const { exit } = explain(new RegistryError(code));
      expect(exit).toBe(ERRORS[code].exit);
      expect(EXIT_CODES).toHaveProperty(String(exit));
    }
    for (const [code, meaning] of Object.entries(EXIT_CODES)) expect(out).toContain(`${code.padStart(3)}  ${meaning}`);
  });

  it('are those that the README tells', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const rows = [...readme.matchAll(/^\| (\d+) +\| (.+?) +\|$/gm)].map(([, code, meaning]) => [code, meaning]);
    expect(Object.fromEntries(rows)).toEqual(EXIT_CODES);
  });

  it('has one for regctl itself', () => {
    expect(explain(new CommandError('usage', 'x')).exit).toBe(2);
    expect(explain(new CommandError('not_found', 'x')).exit).toBe(3);
  });

  it('is 1 for a defect, whose stack is shown', () => {
    const failure = explain(new TypeError('x is not a function'));
    expect(failure).toMatchObject({ code: 'unexpected', exit: 1 });
    expect(failure.message).toContain('exit-codes.test');
  });

  it.each([
    [[], 'a command is missing\nSee: regctl --help'],
    [['regster'], "unknown command 'regster'\n(Did you mean register?)\nSee: regctl --help"],
    [['query'], "missing required argument 'key'\nSee: regctl query --help"],
    [['help', 'nosuch'], "unknown command 'nosuch'\nSee: regctl --help"],
    [['query', 'all', '--instance', 'x'], '--instance is for one service'],
    [['query', 'a', 'b'], 'too many arguments'],
    [['query', 'a', '--bogus'], "unknown option '--bogus'"],
    [['destroy', 'a', '--all', '--instance', 'x'], "'--all' cannot be used with"],
    [['completion', 'tcsh'], 'bash, zsh, fish'],
    [['query', 'a', '--timeout', '0'], '--timeout'],
    [['query', 'a', '--timeout', '1e9'], '--timeout'],
  ])('is 2 for wrong usage: %j', async (args, message) => {
    const { code, out, err } = await regctl([...args, '--json']);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    const { error } = JSON.parse(err);
    expect(error.code).toBe('usage');
    expect(error.message).toContain(message);
  });

  it('is 2 with the help where no command is given', async () => {
    const { code, out, err } = await regctl([]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^Usage: regctl/);
    expect(err).not.toContain('error: ');
  });

  it.each([['--help'], ['help'], ['query', '--help'], ['help', 'register'], ['serve', '--help'], ['help', 'serve']])(
    'is 0 where help is asked for: %s %s',
    async (...args) => {
      const { code, out, err } = await regctl(args);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toContain('Examples:\n');
    },
  );

  it('is 0 for the version, wherever it is asked for', async () => {
    expect(await regctl(['--json', '--version'])).toEqual({ code: 0, out: `${VERSION}\n`, err: '' });
  });

  it('is 2 for what the registry finds wrong', async () => {
    const regctl = await session();
    expect((await regctl('register', 'all', 'x')).code).toBe(2);
    expect((await regctl('register', 'a/b', 'x')).code).toBe(2);
  });

  it('is 4 where no registry answers, and the message says how to start one', async () => {
    const addr = await deadAddr();
    const { code, out, err } = await regctl(['query', 'redis'], { env: { REG_ADDR: addr } });
    expect({ code, out }).toEqual({ code: 4, out: '' });
    expect(err).toBe(
      `error: no registry answers at ${addr}. Start one with: regctl serve --port ${addr.split(':')[1]}\nOr check REG_ADDR.\n`,
    );
    expect((await regctl(['query', 'redis', '--addr', addr])).err).toContain('Or check --addr.');
  });

  it.each([
    ['127.0.0.1', 6734, 'regctl serve\n'],
    ['localhost', 7000, 'regctl serve --port 7000\n'],
    ['::1', 7000, 'regctl serve --host ::1 --port 7000\n'],
  ])('is 4, and says how to start one at %s port %d', (host, port, command) => {
    const endpoint = { host, port };
    const { message } = told(ConnectionError.failed([endpoint], undefined), {
      endpoints: [endpoint],
      origin: undefined,
    });
    expect(message).toContain(`Start one with: ${command}Or say where it is, with --addr or REG_ADDR.`);
  });

  it('is 4 and says more where the machine cannot be reached', () => {
    const endpoint = { host: 'db1', port: 7000 };
    const failed = ConnectionError.failed([endpoint], new Error('getaddrinfo ENOTFOUND db1'));
    expect(told(failed, { endpoints: [endpoint], origin: 'REG_ADDR' })).toEqual({
      exit: 4,
      message:
        'no registry answers at db1:7000 (getaddrinfo ENOTFOUND db1).\nIs the address right? It is that of REG_ADDR.',
    });
    expect(told(ConnectionError.lost(ENDPOINT, new Error('reset'))).message).toContain('regctl query shows it');
  });

  it('is 4, and names every address that was tried', () => {
    const endpoints = [{ host: 'db1', port: 7000 }, ENDPOINT];
    const { message } = told(ConnectionError.failed(endpoints, undefined), { endpoints, origin: '--addr' });
    expect(message).toBe(
      'no registry answers at db1:7000,127.0.0.1:7000. Start one with: regctl serve --port 7000\nOr check --addr.',
    );
  });

  it('is 5 where no reply comes in time', () => {
    expect(told(new TimeoutError('no reply within 5000 ms'))).toEqual({
      exit: 5,
      message: '127.0.0.1:7000 does not answer: no reply within 5000 ms.\nTo wait longer, give --timeout.',
    });
  });

  it('is 6 where the registry refuses, in its own words', () => {
    expect(told(ReplyError.ofDaemon('storage_full', 'the disk is full'))).toEqual({
      exit: 6,
      message: 'the disk is full',
    });
  });

  it('is 6, with the registry\u2019s code, where it refuses for a reason that is not known here', () => {
    const error = ReplyError.ofDaemon('quota_exceeded', 'too many of yours');
    expect(explain(advise(error, ADDRESS))).toEqual({
      code: 'quota_exceeded',
      exit: 6,
      message: 'the daemon answered "quota_exceeded": too many of yours',
    });
  });

  it('is 1 where what answers is no registry', () => {
    expect(told(new ReplyError('bad_reply', 'not JSON'))).toEqual({
      exit: 1,
      message: '127.0.0.1:7000 does not talk as a registry does: not JSON',
    });
  });

  it.skipIf(!existsSync('/dev/full')).each([
    [['query', '--help'], /^error: cannot write: [^\n]*ENOSPC[^\n]*\n$/],
    [['query', '--help', '--json'], /^\{"error":\{"code":"unwritable",[^\n]*\}\}\n$/],
  ])('is 1 where the result cannot be written: %j', (args, told) => {
    const regctl = fileURLToPath(new URL('../bin/regctl.js', import.meta.url));
    const full = openSync('/dev/full', 'w');
    onTestFinished(() => closeSync(full));
    const { status, stderr } = spawnSync(process.execPath, [regctl, ...args], { stdio: ['ignore', full, 'pipe'] });
    expect(status).toBe(1);
    expect(stderr.toString()).toMatch(told);
  });

  it('is 130 where it was interrupted, at once', async () => {
    const silent = createTcpServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const address = silent.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const controller = new AbortController();
    silent.on('connection', (socket) => {
      onTestFinished(() => void socket.destroy());
      controller.abort();
    });
    const finished = await regctl(['query', 'redis', '--addr', `127.0.0.1:${port}`], { signal: controller.signal });
    expect(finished).toEqual({ code: 130, out: '', err: 'error: interrupted\n' });
  });
});
