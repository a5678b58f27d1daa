import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REGCTL, regctl, run, startDaemon, temporaryFolder, Wire } from './processes.js';

test("the article's session works on a bare connection and through regctl", async () => {
  using folder = temporaryFolder();
  await using daemon = await startDaemon(['--data-dir', folder.path]);
  const wire = await Wire.open(daemon.port);
  expect(
    await wire.ask('{"type":"register","key":"redis","values":"123456@127.0.0.1:6379","timeout":"30"}'),
  ).toMatchObject({ ok: true, result: 'registered' });
  expect(await wire.ask('{"type":"query","key":"redis"}')).toMatchObject({
    services: [{ key: 'redis', values: '123456@127.0.0.1:6379', timeout: 30 }],
  });
  expect(await wire.ask('{"type":"query","key":"all"}')).toMatchObject({ services: [{ key: 'redis' }] });
  expect(await wire.ask('{"type":"destruction","key":"redis"}')).toMatchObject({ ok: true, removed: 1 });
  expect(await wire.ask('{"type":"query","key":"redis"}')).toMatchObject({ services: [] });
  wire.socket.destroy();

  const env = { REG_ADDR: daemon.address };
  expect(await regctl(['register', 'redis', '123456@127.0.0.1:6379', '--ttl', '30'], env)).toMatchObject({ code: 0 });
  expect((await regctl(['query', 'redis'], env)).stdout).toContain('123456@127.0.0.1:6379');
  expect(JSON.parse((await regctl(['query', 'all', '--json'], env)).stdout)).toMatchObject({
    services: [{ key: 'redis', timeout: 30 }],
  });
  expect(await regctl(['destroy', 'redis'], env)).toMatchObject({ code: 0 });
  expect(await regctl(['query', 'redis'], env)).toMatchObject({ code: 3, stdout: '' });
});

test('an instance that nobody renews is gone, and one that never expires outlives a restart', async () => {
  using folder = temporaryFolder();
  {
    await using daemon = await startDaemon(['--data-dir', folder.path]);
    const env = { REG_ADDR: daemon.address };
    await regctl(['register', 'short', 'x', '--ttl', '0.2'], env);
    await regctl(['register', 'long', 'y', '--ttl', 'never'], env);
    const wire = await Wire.open(daemon.port);
    while (((await wire.ask({ type: 'query', key: 'short' }))['services'] as unknown[]).length > 0);
    wire.socket.destroy();
    expect(await daemon.stop('SIGTERM')).toBe(0);
  }
  await using daemon = await startDaemon(['--data-dir', folder.path]);
  const { stdout } = await regctl(['query', 'all', '--json', '--addr', daemon.address]);
  expect(JSON.parse(stdout)).toMatchObject({ services: [{ key: 'long', values: 'y', timeout: 'never' }] });
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s stops the daemon in order within a second, with peers connected',
  async (signal) => {
    using folder = temporaryFolder();
    await using daemon = await startDaemon(['--data-dir', folder.path]);
    const wires = await Promise.all(Array.from({ length: 20 }, () => Wire.open(daemon.port)));
    await wires[0]?.ask({ type: 'register', key: 'a', values: 1, timeout: 'never' });
    const start = performance.now();
    expect(await daemon.stop(signal)).toBe(0);
    expect(performance.now() - start).toBeLessThan(1000);
    for (const wire of wires) wire.socket.destroy();
  },
);

test('a second daemon on the same data folder, and one on a port that is taken, are refused and say what to do', async () => {
  using folder = temporaryFolder();
  await using daemon = await startDaemon(['--data-dir', folder.path]);
  const second = await regctl(['serve', '--port', '0', '--data-dir', folder.path]);
  expect(second).toMatchObject({ code: 7, stdout: '' });
  expect(second.stderr).toMatch(new RegExp(`another daemon \\(process ${daemon.child.pid}\\) uses .*--data-dir`));
  const third = await regctl(['serve', '--port', String(daemon.port), '--memory']);
  expect(third).toMatchObject({ code: 7, stdout: '' });
  expect(third.stderr).toMatch(/listens on .* already.*--port/);
});

test('damaged data is refused with the place and the way out, and --repair takes it', async () => {
  using folder = temporaryFolder();
  {
    await using daemon = await startDaemon(['--data-dir', folder.path]);
    for (const key of ['a', 'b', 'c']) await regctl(['register', key, 'x', '--ttl', 'never', '--addr', daemon.address]);
    await daemon.stop('SIGTERM');
  }
  const segment = join(folder.path, '00000001.log');
  const bytes = readFileSync(segment);
  // Behind the last entry there are zeros: room for the next.
  const place = bytes.findLastIndex((byte) => byte !== 0) - 4;
  bytes[place] = (bytes[place] ?? 0) ^ 0x10;
  writeFileSync(segment, bytes);
  const refused = await regctl(['serve', '--port', '0', '--data-dir', folder.path]);
  expect(refused).toMatchObject({ code: 7, stdout: '' });
  expect(refused.stderr).toMatch(/00000001\.log is damaged at byte \d+.*backup.*--repair/s);
  await using daemon = await startDaemon(['--data-dir', folder.path, '--repair']);
  const { stdout } = await regctl(['query', 'all', '--json', '--addr', daemon.address]);
  expect(JSON.parse(stdout)).toMatchObject({ services: [{ key: 'a' }, { key: 'b' }] });
  expect(readdirSync(folder.path).some((name) => name.startsWith('damaged-'))).toBe(true);
});

test('a folder that holds something else is left alone', async () => {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, 'thesis.txt'), 'years of work');
  const refused = await regctl(['serve', '--port', '0', '--data-dir', folder.path]);
  expect(refused).toMatchObject({ code: 7, stdout: '' });
  expect(refused.stderr).toMatch(/thesis\.txt/);
  expect(readdirSync(folder.path)).toEqual(['thesis.txt']);
});

test('the data folder is for its owner only', async () => {
  using folder = temporaryFolder();
  const data = join(folder.path, 'data');
  mkdirSync(data);
  chmodSync(data, 0o755);
  await using daemon = await startDaemon(['--data-dir', data]);
  await regctl(['register', 'a', 'secret@x:1', '--addr', daemon.address]);
  expect(statSync(data).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(data).filter((file) => !file.startsWith('lock.'))) {
    expect(statSync(join(data, name)).mode & 0o077, name).toBe(0);
  }
});

test('the log has no credentials in it, at any level', async () => {
  const script = `
    const { spawn } = require('node:child_process');
    const daemon = spawn(process.execPath, [${JSON.stringify(REGCTL)}, 'serve', '--memory', '--port', '0', '--log-level', 'trace']);
    daemon.stderr.pipe(process.stdout);
    daemon.stdout.once('data', (text) => {
      const socket = require('node:net').connect(Number(/:(\\d+)/.exec(text)[1]), '127.0.0.1');
      socket.write('{"type":"register","key":"redis","values":"hunter2@127.0.0.1:6379"}\\n');
      socket.write('{"type":"register","key":"x","values":{"password":"hunter2"}}\\n');
      socket.write('{"type":"register","values":"hunter2"\\n{"type":"hunter2"}\\n{"type":"destruction","key":"redis"}\\n');
      let lines = 0;
      socket.on('data', (bytes) => {
        lines += String(bytes).split('\\n').length - 1;
        if (lines === 5) daemon.kill('SIGTERM');
      });
      socket.on('error', () => {});
      socket.on('end', () => socket.end());
    });`;
  const { stdout, code } = await run(process.execPath, ['-e', script]);
  expect(code).toBe(0);
  expect(stdout).toContain('"address":"127.0.0.1:6379"');
  expect(stdout).toContain('stopped');
  expect(stdout).not.toContain('hunter2');
});

test('--print-config shows what flags, environment and file come to', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'reg.json');
  writeFileSync(file, '{"port":1111,"grace":5,"history":7}');
  const { stdout, code } = await regctl(['serve', '--config', file, '--port', '3333', '--print-config'], {
    REG_PORT: '2222',
    REG_GRACE: '6',
    REG_DATA_DIR: '/nowhere',
  });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ port: 3333, grace: 6, history: 7, dataDir: '/nowhere' });
});

test('SIGHUP has new connections see new certificates, and lets the open ones be; a bad one changes nothing', async () => {
  using folder = temporaryFolder();
  const [old, fresh] = [join(folder.path, 'old'), join(folder.path, 'fresh')];
  const token: string = JSON.parse((await regctl(['init', old, '--json'])).stdout).token;
  expect(await regctl(['init', fresh])).toMatchObject({ code: 0 });
  await using daemon = await startDaemon(['--config', join(old, 'reg.json'), '--memory']);
  expect(daemon.address).toMatch(/^regs:/);
  const env = { REG_ADDR: daemon.address, REG_TOKEN: token };
  const trusting = (made: string) => ['--tls-ca', join(made, 'ca.pem')];
  const keeper = spawn(
    process.execPath,
    [REGCTL, 'register', 'kept', 'v', '--ttl', '60', '--linger', '0', '--keep', ...trusting(old)],
    { env: { ...process.env, ...env }, stdio: 'ignore' },
  );
  const isKept = (made: string) => regctl(['wait', 'kept', '--timeout', '10', ...trusting(made)], env);
  try {
    expect(await isKept(old)).toMatchObject({ code: 0 });
    for (const file of ['server.pem', 'server-key.pem']) copyFileSync(join(fresh, file), join(old, file));
    daemon.child.kill('SIGHUP');
    await expect.poll(() => isKept(fresh)).toMatchObject({ code: 0 });
    expect((await regctl(['query', 'kept', ...trusting(old)], env)).code).toBe(4);
    // With a linger of 0 it would be gone, had its connection been dropped.
    const { stdout } = await regctl(['query', 'kept', '--json', ...trusting(fresh)], env);
    expect(JSON.parse(stdout).services).toHaveLength(1);
    writeFileSync(join(old, 'server.pem'), 'nonsense');
    daemon.child.kill('SIGHUP');
    expect(await regctl(['query', 'kept', ...trusting(fresh)], env)).toMatchObject({ code: 0 });
  } finally {
    keeper.kill('SIGKILL');
  }
});
