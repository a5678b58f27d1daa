import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT, run, startDaemon } from './processes.js';

const folder = join(ROOT, 'examples');

test.each(readdirSync(folder).filter((name) => name.endsWith('.js')))(
  'examples/%s prints what it says',
  async (name) => {
    await using daemon = await startDaemon(['--memory']);
    const said = readFileSync(join(folder, name), 'utf8').split('// Prints:\n')[1] ?? '';
    const expected = said
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(3));
    const { code, stdout, stderr } = await run(process.execPath, [join(folder, name)], {
      env: { REG_ADDR: daemon.address },
    });
    expect(code, stderr).toBe(0);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.trimEnd()),
    ).toEqual(expected);
  },
);
