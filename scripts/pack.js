/**
 * Packs every package into FOLDER: `node scripts/pack.js FOLDER`. The tarballs are what `publish` would send:
 * `workspace:` versions become real ones.
 */

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = process.argv[2];
if (folder === undefined) {
  console.error('usage: node scripts/pack.js FOLDER');
  process.exit(2);
}

const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
for (const name of readdirSync(join(root, 'packages'))) {
  const { status } = spawnSync(
    'npx',
    ['--yes', packageManager.replace(/\+.*/, ''), 'pack', '--pack-destination', resolve(folder)],
    { cwd: join(root, 'packages', name), stdio: ['ignore', 'inherit', 'inherit'] },
  );
  if (status !== 0) process.exit(status ?? 1);
}
