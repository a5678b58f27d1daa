import { describe, expect, it } from 'vitest';
import { regctl, screen, startServer } from './regctl.js';

async function changedRegistry(audit: string): Promise<string> {
  const { addr } = await startServer({ audit });
  for (const words of ['register web a:1 --instance i-1', 'register web a:2 --instance i-1', 'destroy web --all']) {
    expect((await regctl([...words.split(' '), '--addr', addr])).code).toBe(0);
  }
  return addr;
}

describe('regctl audit', () => {
  it('shows who changed what, and from where', async () => {
    const addr = await changedRegistry('memory');
    const { code, out } = await regctl(['audit', '--addr', addr]);
    const [titles, ...rows] = out.trimEnd().split('\n');
    expect([code, titles]).toEqual([0, expect.stringMatching(/^TIME +EVENT +INSTANCE +BY +FROM +ABOUT/i)]);
    expect(rows).toHaveLength(3);
    expect(rows[0]).toMatch(/^\d{4}-\S+Z +registered +web\/i-1 +- +127\.0\.0\.1:\d+ +revision 1$/);
    expect(rows[1]).toMatch(/updated +web\/i-1/);
    expect(rows[2]).toMatch(/destroyed +web\/\* +- .* revision 3$/);
    expect((await regctl(['audit', '--limit', '1', '--addr', addr])).out).not.toContain('registered');
  });

  it('gives the reply to programs', async () => {
    const addr = await changedRegistry('memory');
    const { out } = await regctl(['audit', '--json', '--limit', '1', '--addr', addr]);
    expect(JSON.parse(out)).toMatchObject({ kept: 'memory', entries: [{ number: 3, event: 'destroyed' }] });
  });

  it('follows what is recorded until it is interrupted', async () => {
    const addr = await changedRegistry('memory');
    const [stdout, interruption] = [screen(), new AbortController()];
    const following = regctl(['audit', '--follow', '--json', '--addr', addr], { stdout, signal: interruption.signal });
    await expect.poll(() => stdout.text).toContain('destroyed');
    await regctl(['register', 'mail', 'a:3', '--addr', addr]);
    await expect.poll(() => stdout.text).toContain('"service":"mail"');
    interruption.abort();
    expect((await following).code).toBe(0);
    expect(
      stdout.text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).number),
    ).toEqual([1, 2, 3, 4]);
  });

  it('says so where nothing is recorded, and refuses a limit that is none', async () => {
    const { addr } = await startServer();
    const { code, err } = await regctl(['audit', '--addr', addr]);
    expect([code, err]).toEqual([0, expect.stringContaining('records nothing')]);
    expect(await regctl(['audit', '--limit', '0', '--addr', addr])).toMatchObject({ code: 2 });
  });

  it('is part of what explain tells', async () => {
    const addr = await changedRegistry('memory');
    const { out } = await regctl(['explain', 'web/i-1', '--addr', addr]);
    expect(out).toMatch(/registered +web\/i-1/);
    expect(out).toMatch(/destroyed +web\/\*/);
  });
});
