import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@reg/client';
import { createServer } from '@reg/server';
import { expect, test } from 'vitest';
import { REGCTL, regctl, run, startDaemon, temporaryFolder } from './processes.js';

test('init, serve, login: who has the token gets in and lets others in, and nobody else does', async () => {
  using folder = temporaryFolder();
  const reg = join(folder.path, 'reg');
  const HOME = join(folder.path, 'home');
  const env = { HOME, XDG_CONFIG_HOME: '' };
  const { token } = JSON.parse((await regctl(['init', reg, '--json'], env)).stdout);
  const tokens = join(reg, 'tokens.json');
  expect(statSync(tokens).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(reg, 'reg.json'), 'utf8')).not.toContain(token);

  await using daemon = await startDaemon(['--config', join(reg, 'reg.json'), '--audit', 'memory']);
  const address = `regs://localhost:${daemon.port}`;
  expect(daemon.address).toBe(`regs://127.0.0.1:${daemon.port}`);
  const ca = ['--tls-ca', join(reg, 'ca.pem')];
  const stranger = ['--addr', address, ...ca];

  // Who is not known hears that it is there, and nothing else.
  expect(await regctl(['query', 'all', ...stranger], env)).toMatchObject({ code: 3, stdout: '' });
  expect(await regctl(['health', ...stranger], env)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^alive/),
  });
  expect(await regctl(['health', '--ready', ...stranger], env)).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^not ready: .* wants to know who asks/),
  });

  const login = [REGCTL, 'login', address, '--token-stdin', ...ca];
  expect(await run(process.execPath, login, { env, input: `${token}\n` })).toMatchObject({ code: 0 });
  expect(await regctl(['register', 'web', '10.0.0.5:80', '--ttl', '60'], env)).toMatchObject({ code: 0 });
  expect((await regctl(['query', 'all'], env)).stdout).toContain('10.0.0.5:80');
  expect(await regctl(['health', '--ready', '--timeout', '5s'], env)).toMatchObject({ code: 0, stdout: 'ready\n' });
  expect(await regctl(['status'], env)).toMatchObject({ code: 0 });
  expect(await regctl(['backup', join(folder.path, 'backup.jsonl')], env)).toMatchObject({ code: 0 });

  // A second token, known without a restart, may do what it says and nothing else.
  const create = ['token', 'create', 'shop', '--allow', 'register,query:shop', '--tokens', tokens];
  const shop = { ...env, REG_TOKEN: (await regctl(create, env)).stdout.trim() };
  await expect.poll(async () => (await regctl(['query', 'all', ...stranger], shop)).code).toBe(0);
  expect((await regctl(['query', 'all', ...stranger], shop)).stdout).not.toContain('10.0.0.5');
  expect(await regctl(['query', 'web', ...stranger], shop)).toMatchObject({ code: 3, stdout: '' });
  for (const command of [['status'], ['audit'], ['backup', join(folder.path, 'theirs.jsonl')]]) {
    const refused = await regctl([...command, ...stranger], shop);
    expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining('shop is no admin') });
  }

  const { entries } = JSON.parse((await regctl(['audit', '--json'], env)).stdout);
  expect(entries).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ event: 'registered', caller: 'admin', service: 'web' }),
      expect.objectContaining({ event: 'denied', caller: 'shop', service: 'web' }),
      expect.objectContaining({ event: 'denied', reason: 'status: forbidden' }),
    ]),
  );
  expect(JSON.stringify(entries)).not.toContain(token.split('_').slice(2).join('_'));
});

test('a token is replaced by another while its client goes on', async () => {
  using folder = temporaryFolder();
  const tokens = join(folder.path, 'tokens.json');
  const create = async (): Promise<{ token: string; id: string }> =>
    JSON.parse(
      (await regctl(['token', 'create', 'pay', '--allow', 'register,query:*', '--tokens', tokens, '--json'])).stdout,
    );
  const before = await create();
  await using daemon = createServer({ port: 0, storage: 'memory', tokens, handshakeTimeout: 1 });
  let { token } = before;
  await using client = connect(await daemon.listen(), { token: () => token });
  const presence = await client.register('pay', '10.0.0.5:80');
  token = (await create()).token;
  const reconnected = new Promise((resolve) => client.once('connect', resolve));
  expect(await regctl(['token', 'revoke', before.id, '--tokens', tokens])).toMatchObject({ code: 0 });
  await reconnected;
  await expect.poll(() => presence.state).toBe('registered');
  expect((await client.query('pay')).services).toHaveLength(1);
});
