/**
 * Packs every package as it would be published, and checks the tarballs: that manifests and files agree
 * (publint), and that types resolve for ESM (are the types wrong). regctl has no types: nobody imports it.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'reg-packages-'));
const bin = (name) => join(root, 'node_modules/.bin', name);

try {
  run('node', [join(root, 'scripts/pack.js'), folder]);
  for (const tarball of readdirSync(folder)) {
    run(bin('publint'), ['--strict', join(folder, tarball)]);
    if (!tarball.startsWith('reg-cli-')) run(bin('attw'), [join(folder, tarball), '--profile', 'esm-only']);
  }
} finally {
  rmSync(folder, { recursive: true });
}

function run(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (status === 0) return;
  console.error(`${command} ${args.join(' ')}\n${stdout}${stderr}`);
  process.exit(1);
}
