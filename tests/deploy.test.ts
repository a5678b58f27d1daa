import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './processes.js';

const UNIT = join(ROOT, 'deploy/reg.service');
/** On systemd's own scale, where 10 is a service that is not hardened at all. */
const MAX_EXPOSURE = 2;

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

function analyze(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

test.skipIf(!hasSystemd)('the systemd unit is one that systemd finds nothing wrong with', () => {
  expect(analyze('verify', UNIT)).toEqual({ status: 0, output: '' });
});

test.skipIf(!hasSystemd)('the systemd unit is hardened', () => {
  const { output } = analyze('security', '--offline=true', UNIT);
  const exposure = /Overall exposure level for reg\.service: ([\d.]+)/.exec(output)?.[1];
  expect(Number(exposure)).toBeLessThan(MAX_EXPOSURE);
});
