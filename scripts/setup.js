/**
 * Makes a fresh clone ready with nothing but Node and npm: installs (with the pnpm that package.json pins) and
 * builds. What is there already is not done again, so a second run costs next to nothing.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const packages = readdirSync(join(root, 'packages')).map((name) => join('packages', name));

const manifests = [
  'package.json',
  'pnpm-lock.yaml',
  'pnpm-workspace.yaml',
  ...packages.map((name) => join(name, 'package.json')),
];
once('install, this once', 'node_modules', manifests, () => {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const pnpm = packageManager.replace(/\+.*/, '');
  run('npx', ['--yes', pnpm, 'install', '--frozen-lockfile', '--loglevel=warn']);
});

const sources = [
  'tsconfig.base.json',
  'tsconfig.json',
  'pnpm-lock.yaml',
  ...packages.flatMap((name) => [join(name, 'tsconfig.json'), ...filesBelow(join(name, 'src'))]),
];
const outputs = packages.map((name) => join(name, 'dist/index.js'));
once('build', 'node_modules', sources, () => run('node_modules/.bin/tsc', ['-b']), outputs);

/** Runs `action` unless it was run on the very same inputs, and its outputs are still there. */
function once(what, folder, inputs, action, expected = []) {
  const stamp = join(root, folder, `.reg-${what.split(',')[0]}`);
  const hash = createHash('sha256');
  for (const input of inputs) hash.update(input).update(readFileSync(join(root, input)));
  const digest = hash.digest('hex');
  const isThere = expected.every((path) => existsSync(join(root, path)));
  if (isThere && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  console.error(`setup: ${what}`);
  action();
  writeFileSync(stamp, digest);
}

function filesBelow(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .sort();
}

/** Its output goes to standard error: what `npm start` says on standard output is the daemon's alone. */
function run(command, args) {
  const env = { ...process.env, npm_config_update_notifier: 'false' };
  const { status } = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', process.stderr, process.stderr] });
  if (status !== 0) {
    console.error(`setup: ${command} ${args.join(' ')} failed`);
    process.exit(status ?? 1);
  }
}
