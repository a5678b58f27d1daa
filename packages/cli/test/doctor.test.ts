import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveConfig } from '@reg/server';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CERTIFICATE } from '../../client/test/certificate.js';
import {
  type Finding,
  judgeClock,
  judgeDescriptors,
  judgeSpace,
  judgeSync,
  lookAtCertificate,
  lookAtFolder,
  lookAtKey,
} from '../src/findings.js';
import { regctl, startServer } from './regctl.js';

const MIB = 1024 * 1024;

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'regctl-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function examine(...args: string[]): Promise<{ code: number; findings: Finding[] }> {
  const { code, out } = await regctl(['doctor', '--json', ...args]);
  return { code, findings: JSON.parse(out).findings };
}

const verdictOf = (findings: readonly Finding[], subject: string): string | undefined =>
  findings.find((finding) => finding.subject === subject)?.verdict;

describe('regctl doctor', () => {
  it('looks at everything, finds a registry that answers, and changes nothing', async () => {
    const { addr } = await startServer();
    const folder = temporaryFolder();
    chmodSync(folder, 0o700);
    const { code, findings } = await examine('--data-dir', folder, '--port', addr.replace(/.*:/, ''));
    expect(code).toBe(0);
    const subjects = findings.map(({ subject }) => subject).filter((subject) => subject !== 'descriptors');
    expect(subjects).toEqual(['configuration', 'data folder', 'disk', 'disk space', 'clock', 'port']);
    expect(findings.at(-1)?.says).toContain('a registry answers');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('looks at TLS and tokens too, and finds a registry behind them', async () => {
    const folder = temporaryFolder();
    expect((await regctl(['init', folder, '--client', 'ci'])).code).toBe(0);
    const config = resolveConfig({ flags: {}, env: {}, file: join(folder, 'reg.json') });
    const { addr } = await startServer({ ...config, port: 0, storage: 'memory' });
    const { code, findings } = await examine('--config', join(folder, 'reg.json'), '--port', addr.replace(/.*:/, ''));
    expect(code).toBe(0);
    expect(verdictOf(findings, 'certificate')).toBe('good');
    expect(verdictOf(findings, 'private key')).toBe('good');
    expect(verdictOf(findings, 'authority')).toBe('good');
    expect(verdictOf(findings, 'tokens')).toBe('good');
    expect(findings.at(-1)?.says).toContain('a registry answers');
  });

  it.each([
    ['no admin', '{"version":1,"entries":[]}', 'doubtful', 0],
    ['nonsense', 'nonsense', 'bad', 1],
  ])('judges a file of tokens with %s', async (_, text, verdict, expected) => {
    const folder = temporaryFolder();
    const [tokens, config] = [join(folder, 'tokens.json'), join(folder, 'reg.json')];
    writeFileSync(tokens, text, { mode: 0o600 });
    writeFileSync(config, JSON.stringify({ storage: 'memory', port: 0, tokens }));
    const { code, findings } = await examine('--config', config);
    expect(verdictOf(findings, 'tokens')).toBe(verdict);
    expect(code).toBe(expected);
  });

  it('ends with 1 where another program has the port, and says what to do', async () => {
    const other = createServer((socket) => socket.end('220 mail\r\n'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void other.close());
    const address = other.address();
    const port = typeof address === 'object' ? String(address?.port) : '';
    const { code, out } = await regctl(['doctor', '--data-dir', temporaryFolder(), '--port', port]);
    expect(code).toBe(1);
    expect(out).toMatch(/^! port: something else listens at .*\n {4}to mend it: .*--port/m);
  });

  it.each([
    ['an option that is none', '{"grace":"soon"}', 'grace'],
    ['limits that contradict each other', '{"maxValueBytes":16777216}', 'max-value-bytes|maxValueBytes|line'],
    ['a name that is none', '{"portt":1}', 'portt'],
  ])('finds %s, and looks no further', async (_, content, named) => {
    const file = join(temporaryFolder(), 'reg.json');
    writeFileSync(file, content);
    const { code, findings } = await examine('--config', file);
    expect(code).toBe(1);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ subject: 'configuration', says: expect.stringMatching(named) });
  });

  it('looks above a data folder that is not there yet', async () => {
    const { findings } = await examine('--data-dir', join(temporaryFolder(), 'a/b'), '--port', '0');
    expect(verdictOf(findings, 'data folder')).toBe('good');
    expect(verdictOf(findings, 'disk')).toBe('good');
  });

  it('follows no link that somebody has put where it writes', async () => {
    const folder = temporaryFolder();
    const treasure = join(temporaryFolder(), 'treasure');
    writeFileSync(treasure, 'gold');
    symlinkSync(treasure, join(folder, '00000000.log.tmp'));
    const { findings } = await examine('--data-dir', join(folder, 'data'), '--port', '0');
    expect(verdictOf(findings, 'disk')).toBe('good');
    expect(readFileSync(treasure, 'utf8')).toBe('gold');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('finds a disk that takes no writes', async () => {
    const { code, findings } = await examine('--data-dir', '/proc/self/reg', '--port', '0');
    expect(code).toBe(1);
    expect(verdictOf(findings, 'disk')).toBe('bad');
  });
});

describe('a finding', () => {
  it('of a folder is by whose it is and who may look into it', () => {
    const folder = temporaryFolder();
    const uid = process.getuid?.() ?? 0;
    expect(lookAtFolder(folder, uid)).toMatchObject({ verdict: 'good' });
    chmodSync(folder, 0o755);
    expect(lookAtFolder(folder, uid)).toMatchObject({ verdict: 'doubtful', mend: `chmod 700 ${folder}` });
    expect(lookAtFolder(folder, uid + 1)).toMatchObject({ verdict: 'bad' });
    writeFileSync(join(folder, 'file'), '');
    expect(lookAtFolder(join(folder, 'file'), uid)).toMatchObject({ verdict: 'bad' });
    mkdirSync(join(folder, 'closed'));
    expect(lookAtFolder(join(folder, 'file/below'), uid)).toMatchObject({ verdict: 'bad' });
  });

  it.each([
    ['good', judgeSync(1)],
    ['doubtful', judgeSync(40)],
    ['good', judgeSpace(5000 * MIB, 1000)],
    ['doubtful', judgeSpace(500 * MIB, 1000)],
    ['bad', judgeSpace(10 * MIB, 1000)],
    ['bad', judgeSpace(5000 * MIB, 3)],
    ['good', judgeClock(Date.UTC(2026, 0, 1), 3)],
    ['doubtful', judgeClock(Date.UTC(2026, 0, 1), 3_600_000)],
    ['doubtful', judgeClock(Date.UTC(2026, 0, 1), -3_600_000)],
    ['bad', judgeClock(0, 0)],
    ['good', judgeDescriptors(20_000)],
    ['good', judgeDescriptors(Number.POSITIVE_INFINITY)],
    ['doubtful', judgeDescriptors(1024)],
    ['bad', judgeDescriptors(64)],
  ] as const)('is %s: %o', (verdict, finding) => {
    expect(finding.verdict).toBe(verdict);
    expect(finding.mend === undefined).toBe(verdict === 'good');
  });

  it('of a certificate is by how long it is valid', () => {
    const file = join(temporaryFolder(), 'cert.pem');
    writeFileSync(file, CERTIFICATE);
    expect(lookAtCertificate('certificate', file, Date.UTC(2100, 0, 1))).toMatchObject({ verdict: 'good' });
    expect(lookAtCertificate('certificate', file, Date.UTC(2126, 9, 25))).toMatchObject({ verdict: 'doubtful' });
    expect(lookAtCertificate('certificate', file, Date.UTC(2127, 0, 1))).toMatchObject({ verdict: 'bad' });
    expect(lookAtCertificate('certificate', file, Date.UTC(2020, 0, 1))).toMatchObject({ verdict: 'bad' });
  });

  it('of a key is by whose it is and who may read it', async () => {
    const folder = temporaryFolder();
    await regctl(['init', folder, '--client', 'ci']);
    const at = (name: string) => join(folder, name);
    expect(lookAtKey(at('server-key.pem'), at('server.pem'))).toMatchObject({ verdict: 'good' });
    expect(lookAtKey(at('client-ci-key.pem'), at('server.pem'))).toMatchObject({ verdict: 'bad' });
    expect(lookAtKey(at('reg.json'), at('server.pem'))).toMatchObject({ verdict: 'bad' });
    chmodSync(at('server-key.pem'), 0o644);
    expect(lookAtKey(at('server-key.pem'), at('server.pem'))).toMatchObject({
      verdict: 'doubtful',
      mend: `chmod 600 ${at('server-key.pem')}`,
    });
  });

  it('of a file that is no certificate is bad', () => {
    const file = join(temporaryFolder(), 'cert.pem');
    writeFileSync(file, 'not a certificate');
    expect(lookAtCertificate('certificate', file, 0)).toMatchObject({ verdict: 'bad' });
    expect(lookAtCertificate('certificate', join(file, 'none'), 0)).toMatchObject({ verdict: 'bad' });
  });
});
