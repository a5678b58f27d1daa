import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT, run, temporaryFolder } from './processes.js';

test('the tarballs install into an empty folder, and regctl and @reg/client work from there', async () => {
  using folder = temporaryFolder();
  const tarballs = join(folder.path, 'tarballs');
  const app = join(folder.path, 'app');
  mkdirSync(tarballs);
  mkdirSync(app);
  expect(await run(process.execPath, [join(ROOT, 'scripts/pack.js'), tarballs])).toMatchObject({ code: 0 });
  const paths = readdirSync(tarballs).map((name) => join(tarballs, name));
  expect(paths).toHaveLength(4);

  writeFileSync(join(app, 'package.json'), '{"type":"module","private":true}');
  const installed = await run('npm', ['install', '--no-audit', '--no-fund', ...paths], { cwd: app });
  expect(installed.code, installed.stderr).toBe(0);
  const { version } = JSON.parse((await run('cat', ['node_modules/@reg/cli/package.json'], { cwd: app })).stdout) as {
    version: string;
  };
  expect((await run('node_modules/.bin/regctl', ['--version'], { cwd: app })).stdout.trim()).toBe(version);

  writeFileSync(
    join(app, 'app.js'),
    `import { connect } from '@reg/client';
import { createServer } from '@reg/server';
const server = createServer({ port: 0, storage: 'memory' });
const client = connect(await server.listen());
await client.register('payments', '10.0.0.5:8080', { ttl: 10 });
const { services } = await client.query('payments');
console.log(services[0].values);
await client.close();
await server.close();
`,
  );
  const ran = await run(process.execPath, ['app.js'], { cwd: app });
  expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: '10.0.0.5:8080\n' });
}, 120_000);
