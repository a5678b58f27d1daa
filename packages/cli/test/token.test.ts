import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Finished, regctl, startServer } from './regctl.js';

/** Runs `regctl token` on a file of its own, in a folder that is not there yet. */
function makeFile(): { file: string; token: (...args: string[]) => Promise<Finished> } {
  const folder = mkdtempSync(join(tmpdir(), 'regctl-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'config', 'tokens.json');
  return { file, token: (...args) => regctl(['token', ...args], { env: { REG_TOKENS: file } }) };
}

describe('regctl token create', () => {
  it('shows a token that a registry then takes, and writes none of it', async () => {
    const { file, token } = makeFile();
    const { code, out, err } = await token('create', 'payments', '--allow', 'register,query:pay*');
    expect(code).toBe(0);
    expect(out).toMatch(/^reg_[0-9a-f]{12}_[\w-]{43}\n$/);
    expect(err).toMatch(/shown this once/);
    const secret = out.trim().slice('reg_'.length + 13);
    expect(readFileSync(file, 'utf8')).not.toContain(secret);
    const { server } = await startServer({ tokens: file });
    expect(server.config.tokens).toBe(file);
  });

  it('keeps the file to its owner', async () => {
    const { file, token } = makeFile();
    await token('create', 'ops', '--admin');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(file, '..')).mode & 0o777).toBe(0o700);
  });

  it('says all of it to a program', async () => {
    const { file, token } = makeFile();
    const { out } = await token('create', 'ops', '--allow', 'watch:*', '--expires', '90d', '--json');
    const { created, expires, id, ...rest } = JSON.parse(out);
    expect(expires - created).toBe(90 * 86_400_000);
    expect(rest).toEqual({
      token: expect.stringContaining(`reg_${id}_`),
      name: 'ops',
      rules: [{ actions: ['watch'], names: ['*'] }],
      file,
    });
  });

  it.each([
    [['payments'], /--allow or with --admin/],
    [['payments', '--admin', '--allow', 'query:*'], /--allow or with --admin/],
    [['payments', '--allow', 'query'], /actions and a name/],
    [['payments', '--allow', 'own:web'], /no action "own"/],
    [['payments', '--allow', 'query:a/b'], /a\/b/],
    [['payments', '--admin', '--expires', 'never'], /--expires/],
    [['', '--admin'], /1 to 255 characters/],
  ])('refuses %j', async (args, message) => {
    const { file, token } = makeFile();
    const { code, err } = await token('create', ...args);
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(existsSync(file)).toBe(false);
  });
});

describe('regctl token list', () => {
  it('shows who has what, and nothing that recognises it', async () => {
    const { file, token } = makeFile();
    await token('create', 'payments', '--allow', 'register:pay', '--allow', 'query,watch:*');
    await token('create', 'ops', '--admin');
    const { out } = await token('list');
    expect(out).toMatch(/payments +good +never +register:pay; query,watch:\*/);
    expect(out).toMatch(/ops +good +never +admin:\*/);
    const { entries } = JSON.parse(readFileSync(file, 'utf8'));
    const { tokens } = JSON.parse((await token('list', '--json')).out);
    expect(tokens).toMatchObject([
      { name: 'payments', state: 'good' },
      { name: 'ops', state: 'good' },
    ]);
    for (const { hash } of entries) expect(JSON.stringify(tokens)).not.toContain(hash);
  });

  it('says what is wrong with the file', async () => {
    const { file, token } = makeFile();
    expect(await token('list')).toMatchObject({ code: 2, err: expect.stringMatching(/cannot read .*ENOENT/) });
    await token('create', 'ops', '--admin');
    chmodSync(file, 0o620);
    expect(await token('list')).toMatchObject({ code: 2, err: expect.stringMatching(/others .* chmod 600/) });
    chmodSync(file, 0o600);
    writeFileSync(file, '{"version":1,"entries":[{"id":"a","name":"a","rules":[],"hash":"hunter2"}]}');
    const { code, err } = await token('list');
    expect(code).toBe(2);
    expect(err).toMatch(/entry 1 of .*"hash" must be/);
    expect(err).not.toContain('hunter2');
  });
});

describe('regctl token revoke', () => {
  it('ends a token by its id or its name, and keeps it in the list', async () => {
    const { token } = makeFile();
    const { id } = JSON.parse((await token('create', 'ops', '--admin', '--json')).out);
    await token('create', 'web', '--allow', 'query:*');
    expect((await token('revoke', id)).out).toBe(`revoked the token ${id} of ops\n`);
    expect((await token('revoke', 'web')).code).toBe(0);
    const { tokens } = JSON.parse((await token('list', '--json')).out);
    expect(tokens).toMatchObject([{ state: 'revoked' }, { state: 'revoked' }]);
  });

  it('does not guess which', async () => {
    const { token } = makeFile();
    await token('create', 'ops', '--admin');
    await token('create', 'ops', '--admin');
    expect(await token('revoke', 'ops')).toMatchObject({ code: 2, err: expect.stringMatching(/several tokens/) });
    expect(await token('revoke', 'nobody')).toMatchObject({ code: 3, err: expect.stringMatching(/no token "nobody"/) });
  });

  it('leaves the file to another that is writing', async () => {
    const { file, token } = makeFile();
    await token('create', 'ops', '--admin');
    const before = readFileSync(file, 'utf8');
    writeFileSync(`${file}.new`, '');
    expect(await token('revoke', 'ops')).toMatchObject({ code: 2, err: expect.stringMatching(/another regctl/) });
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect(existsSync(`${file}.new`)).toBe(true);
  });
});

describe('regctl serve', () => {
  it('refuses to listen where others can connect that nobody knows, and says what to do', async () => {
    const { code, err } = await regctl(['serve', '--memory', '--port', '0', '--host', '0.0.0.0']);
    expect(code).toBe(2);
    expect(err).toMatch(/other machines can reach 0\.0\.0\.0.*--tokens.*--insecure/);
  });

  it('refuses to start with a file of tokens that cannot be used', async () => {
    const { file } = makeFile();
    const { code, err } = await regctl(['serve', '--memory', '--port', '0', '--tokens', file]);
    expect(code).toBe(2);
    expect(err).toMatch(/cannot read .*tokens\.json/);
  });
});
