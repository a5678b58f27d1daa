import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { changeEntries, dangerOf, readEntries } from '../../src/access/file.js';
import { Entries, type Entry, makeToken } from '../../src/access/tokens.js';
import { rule } from './tokens-file.js';

const compared = vi.hoisted(() => vi.fn<(a: Buffer, b: Buffer) => void>());
vi.mock('node:crypto', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:crypto')>();
  return {
    ...original,
    timingSafeEqual(a: Buffer, b: Buffer) {
      compared(a, b);
      return original.timingSafeEqual(a, b);
    },
  };
});
beforeEach(() => compared.mockClear());

function makePath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'reg-tokens-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'tokens.json');
}

describe('a token', () => {
  test('has 256 random bits that its entry does not hold', () => {
    const made = Array.from({ length: 50 }, () => makeToken('they', [], 0));
    expect(new Set(made.map(({ token }) => token)).size).toBe(50);
    for (const { token, entry } of made) {
      const secret = token.split('_').slice(2).join('_');
      expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
      expect(JSON.stringify(entry)).not.toContain(secret);
    }
  });

  test('is found by nothing but itself', () => {
    const { token, entry } = makeToken('they', [], 0);
    const entries = new Entries([entry, makeToken('others', [], 0).entry]);
    expect(entries.find(token)?.identity.name).toBe('they');
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(...'aZ0_-x'), (at, char) => {
        const other = token.slice(0, at) + char + token.slice(at + 1);
        fc.pre(other !== token);
        expect(entries.find(other)).toBeUndefined();
        expect(entries.find(token.slice(0, at))).toBeUndefined();
      }),
    );
  });

  test('is compared in the same way whatever is wrong with it: one hash with another, by all of their bytes', () => {
    const { token, entry } = makeToken('they', [], 0);
    const certificate: Entry = { id: 'cert', name: 'cert', certificate: 'web', rules: [] };
    const entries = new Entries([entry, certificate]);
    const given = [token, `${token.slice(0, -2)}AA`, token.replace(entry.id, 'nobody'), 'hunter2', '', 'reg_cert_'];
    given.push(`reg_cert_${'a'.repeat(43)}`);
    for (const [index, one] of given.entries()) {
      compared.mockClear();
      expect(entries.find(one) !== undefined).toBe(index === 0);
      expect(compared).toHaveBeenCalledTimes(1);
      for (const buffer of compared.mock.calls[0] ?? []) expect(buffer).toHaveLength(32);
    }
  });
});

describe('entries', () => {
  test('that are read again unchanged stand for the same identity, and changed for another', () => {
    const { entry } = makeToken('they', [rule(['query'], 'a')], 0);
    const before = new Entries([entry]);
    const same = new Entries([structuredClone(entry)], before);
    expect(same.get(entry.id)?.identity).toBe(before.get(entry.id)?.identity);
    const other = new Entries([{ ...entry, rules: [] }], before);
    expect(other.get(entry.id)?.identity).not.toBe(before.get(entry.id)?.identity);
  });

  test('know a certificate by its name, and by no other', () => {
    const entries = new Entries([{ id: 'web', name: 'the web', certificate: 'web.example', rules: [] }]);
    expect(entries.findCertificate('web.example')?.identity.name).toBe('the web');
    expect(entries.findCertificate('web')).toBeUndefined();
    expect(entries.findCertificate('')).toBeUndefined();
  });
});

describe('the file of tokens', () => {
  test('is read as it was written', () => {
    const path = makePath();
    const all: Entry[] = [
      makeToken('they', [rule(['register'], 'a', 'b*')], 5, 9).entry,
      { ...makeToken('gone', [], 6).entry, revoked: 7 },
      { id: 'c', name: 'c', certificate: 'web', rules: [rule(['admin'], '*')] },
    ];
    changeEntries(path, () => all);
    expect(readEntries(path)).toEqual(all);
    changeEntries(path, (entries) => entries.slice(1));
    expect(readEntries(path)).toEqual(all.slice(1));
  });

  test('stays as it is where the change fails, and nothing is left behind', () => {
    const path = makePath();
    changeEntries(path, () => [makeToken('they', [], 0).entry]);
    const before = readFileSync(path, 'utf8');
    expect(() =>
      changeEntries(path, () => {
        throw new RangeError('no');
      }),
    ).toThrow(RangeError);
    expect(readFileSync(path, 'utf8')).toBe(before);
    expect(readdirSync(join(path, '..'))).toEqual(['tokens.json']);
  });

  test.each([0o622, 0o602, 0o660])('is refused where others may write it: mode %o', (mode) => {
    const path = makePath();
    changeEntries(path, () => []);
    chmodSync(path, mode);
    expect(() => readEntries(path)).toThrow(/give themselves any right: chmod 600/);
  });

  test.each([
    ['another user, who can write it', { mode: 0o644, uid: 7 }, 1000, 'user 7, who is not user 1000, may write'],
    ['its own user', { mode: 0o600, uid: 1000 }, 1000, undefined],
    ['root, where a group may read it', { mode: 0o640, uid: 0 }, 1000, undefined],
    ['another user, read by root, who may work on it', { mode: 0o600, uid: 7 }, 0, undefined],
    ['a system without such numbers', { mode: 0o644, uid: 0 }, undefined, undefined],
  ])('may be of %s', (_, stat, reader, danger) => {
    expect(dangerOf(stat, reader)).toBe(danger);
  });

  test('keeps its mode, and its owner, whoever changes it: the daemon has to read it on', () => {
    const path = makePath();
    changeEntries(path, () => []);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    chmodSync(path, 0o640);
    // Only root may give a file away.
    const owner = process.geteuid?.() === 0 ? 12_345 : statSync(path).uid;
    chownSync(path, owner, statSync(path).gid);
    changeEntries(path, () => [makeToken('they', [], 0).entry]);
    expect(statSync(path)).toMatchObject({ uid: owner });
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  const entry = { id: 'a', name: 'a', rules: [], hash: 'ab'.repeat(32), created: 0 };
  test.each([
    ['nonsense', /is not JSON/],
    ['[]', /"version": 1/],
    [JSON.stringify({ version: 1 }), /"entries"/],
    [JSON.stringify({ version: 1, entries: [entry, entry] }), /entry 2 .*another entry has the id a/],
    [JSON.stringify({ version: 1, entries: [{ ...entry, id: 'A_' }] }), /"id" must be/],
    [JSON.stringify({ version: 1, entries: [{ ...entry, name: '' }] }), /"name" must be/],
    [JSON.stringify({ version: 1, entries: [{ ...entry, hash: 'secret' }] }), /"hash" must be/],
    [JSON.stringify({ version: 1, entries: [{ ...entry, expires: 'soon' }] }), /"expires" must be/],
    [JSON.stringify({ version: 1, entries: [{ ...entry, rules: 1 }] }), /"rules" must be/],
    [JSON.stringify({ version: 1, entries: [null] }), /it must be an object/],
    // A misspelt word would be a token without an end, or one that only seems to be revoked.
    [JSON.stringify({ version: 1, entries: [{ ...entry, expire: 5 }] }), /"expire" is not for a token/],
    [JSON.stringify({ version: 1, entries: [{ ...entry, Revoked: 5 }] }), /"Revoked" is not for a token/],
    [
      JSON.stringify({ version: 1, entries: [{ ...entry, rules: [{ actions: [], names: [], expires: 5 }] }] }),
      /"expires" is not for a rule/,
    ],
    [
      JSON.stringify({
        version: 1,
        entries: ['c', 'd'].map((id) => ({ id, name: id, certificate: 'web', rules: [] })),
      }),
      /entry 2 .*another entry has the certificate web/,
    ],
    ...['hash', 'expires', 'revoked'].map((field): [string, RegExp] => {
      const certificate = { id: 'c', name: 'c', certificate: 'web', rules: [], [field]: 1 };
      return [
        JSON.stringify({ version: 1, entries: [certificate] }),
        new RegExp(`"${field}" is not for a certificate`),
      ];
    }),
  ])('is refused as %s, saying why and showing no hash', (text, message) => {
    const path = makePath();
    writeFileSync(path, text, { mode: 0o600 });
    expect(() => readEntries(path)).toThrow(message);
    expect(() => readEntries(path)).not.toThrow(/secret|nonsense/);
  });

  test('of any bytes is read, or refused with one kind of error', () => {
    const path = makePath();
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.array(fc.jsonValue()).map((entries) => JSON.stringify({ version: 1, entries })),
          fc
            .dictionary(fc.constantFrom(...Object.keys(entry), 'certificate', 'revoked'), fc.jsonValue())
            .map((more) => JSON.stringify({ version: 1, entries: [{ ...entry, ...more }] })),
        ),
        (text) => {
          writeFileSync(path, text, { mode: 0o600 });
          try {
            expect(new Entries(readEntries(path))).toBeInstanceOf(Entries);
          } catch (error) {
            expect(error).toMatchObject({ code: 'access_failed' });
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
