import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { deadAddr, regctl, startServer } from './regctl.js';

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'regctl-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A backup of a registry with two services, of more than a page. */
async function backUp(): Promise<{ file: string; out: string; addr: string }> {
  const { addr } = await startServer();
  for (let i = 0; i < 6; i += 1) {
    await regctl(['register', `s${i}`, 'x'.repeat(60_000), '--ttl', 'never', '--addr', addr]);
  }
  const file = join(temporaryFolder(), 'backup.jsonl');
  const { code, out } = await regctl(['backup', file, '--addr', addr]);
  expect(code).toBe(0);
  return { file, out, addr };
}

describe('regctl backup and restore', () => {
  it('write secrets into a file of their own, whatever somebody has put in its place', async () => {
    const { addr } = await startServer();
    const folder = temporaryFolder();
    const file = join(folder, 'backup.jsonl');
    // It is written beside its place, and renamed.
    symlinkSync(join(folder, 'theirs'), `${file}.tmp`);
    expect((await regctl(['backup', file, '--addr', addr])).code).toBe(0);
    expect(readdirSync(folder)).toEqual(['backup.jsonl']);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('bring a registry back, from a file that both describe', async () => {
    const { file, out } = await backUp();
    expect(out).toBe(`6 registrations in ${file}, as of revision 6\n`);
    expect((await regctl(['restore', '--check', file])).out).toMatch(
      /is whole: 6 registrations, as of revision 6, taken \S+ ago/,
    );
    const dataDir = join(temporaryFolder(), 'data');
    const { code, out: restored } = await regctl(['restore', file, '--data-dir', dataDir]);
    expect({ code, restored }).toEqual({ code: 0, restored: expect.stringContaining(`restored into ${dataDir}`) });
    const { addr } = await startServer({ storage: 'disk', dataDir });
    const found = JSON.parse((await regctl(['query', 'all', '--json', '--addr', addr])).out);
    expect(found.services).toHaveLength(6);
  });

  it('refuse what does not fit, with what to do', async () => {
    const { file, addr } = await backUp();
    expect(await regctl(['backup', file, '--addr', addr])).toMatchObject({
      code: 7,
      err: expect.stringContaining('another file'),
    });
    const dataDir = join(temporaryFolder(), 'data');
    expect((await regctl(['restore', file, '--data-dir', dataDir])).code).toBe(0);
    expect(await regctl(['restore', file, '--data-dir', dataDir])).toMatchObject({
      code: 7,
      err: expect.stringContaining('--replace'),
    });
    const replaced = await regctl(['restore', file, '--data-dir', dataDir, '--replace']);
    expect(replaced).toMatchObject({ code: 0, out: expect.stringContaining('what was there is in') });
    writeFileSync(file, readFileSync(file, 'utf8').replace('xx', 'xy'));
    expect(await regctl(['restore', '--check', file])).toMatchObject({ code: 7, out: '' });
  });

  it('write no file where no registry answers', async () => {
    const file = join(temporaryFolder(), 'backup.jsonl');
    expect((await regctl(['backup', file, '--addr', await deadAddr()])).code).toBe(4);
    expect(() => readFileSync(file)).toThrow();
  });
});

describe('regctl health', () => {
  it('ends with 0 where the registry answers, and with 1 where none does', async () => {
    const { addr } = await startServer();
    expect(await regctl(['health', '--addr', addr])).toEqual({ code: 0, out: 'alive\n', err: '' });
    const dead = await regctl(['health', '--addr', await deadAddr()]);
    expect(dead).toMatchObject({ code: 1, out: expect.stringMatching(/^not alive: no registry answers/) });
  });

  it('is alive, and not ready, until the grace is over', async () => {
    const { addr } = await startServer({ grace: 60 });
    expect((await regctl(['health', '--addr', addr])).code).toBe(0);
    const { code, out } = await regctl(['health', '--ready', '--json', '--addr', addr]);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ ready: false, reason: expect.stringContaining('just started') });
  });

  it('takes no longer than it is given where nothing answers', async () => {
    const mute = createServer(() => {});
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void mute.close());
    const address = mute.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const { code, out } = await regctl(['health', '--addr', `127.0.0.1:${port}`, '--timeout', '100ms']);
    expect({ code, out }).toMatchObject({ code: 1, out: expect.stringContaining('not alive') });
  });
});
