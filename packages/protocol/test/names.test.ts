import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RegistryError } from '../src/errors.js';
import { checkName } from '../src/names.js';

function codeOf(name: unknown): string | undefined {
  try {
    checkName(name, 'key');
    return undefined;
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return error.code;
  }
}

describe('a name', () => {
  it.each([
    'redis',
    'Redis',
    'a',
    'my service',
    'mysql-1.db_main:3306@eu',
    '\u670d\u52a1',
    '\u{1f600}',
    '__proto__',
    'constructor',
    'ALL',
    'all ',
    '**',
    '"',
    '\\',
    'x'.repeat(255),
    '\u00e4'.repeat(127),
    '\u{1f600}'.repeat(63),
  ])('may be %j', (name) => {
    expect(checkName(name, 'key')).toBe(name);
  });

  it.each([
    ['', 'invalid_name'],
    ['x'.repeat(256), 'invalid_name'],
    ['\u00e4'.repeat(128), 'invalid_name'],
    ['\u{1f600}'.repeat(64), 'invalid_name'],
    ['x'.repeat(1_000_000), 'invalid_name'],
    ['a/b', 'invalid_name'],
    ['a\u0000', 'invalid_name'],
    ['a\n', 'invalid_name'],
    ['\u001f', 'invalid_name'],
    ['\u007f', 'invalid_name'],
    ['\u0080', 'invalid_name'],
    ['\u009f', 'invalid_name'],
    ['\ud800', 'invalid_name'],
    ['a\udc00b', 'invalid_name'],
    ['all', 'reserved_name'],
    ['*', 'reserved_name'],
    [undefined, 'invalid_name'],
    [null, 'invalid_name'],
    [7, 'invalid_name'],
    [true, 'invalid_name'],
    [['redis'], 'invalid_name'],
    [{ toString: 'redis' }, 'invalid_name'],
  ])('%j is %s', (name, code) => {
    expect(codeOf(name)).toBe(code);
  });

  it('is taken exactly where the rules say so', () => {
    const characters = fc.oneof(
      { weight: 30, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
      fc.constantFrom('/', '\u0000', '\u007f', '\ud800', '\udc00'),
    );
    const names = fc.array(characters, { maxLength: 90, size: 'max' }).map((parts) => parts.join(''));
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    fc.assert(
      fc.property(names, (name) => {
        const bytes = new TextEncoder().encode(name);
        const isWellFormed = decoder.decode(bytes) === name;
        const isFree = !/[\p{Cc}/]/u.test(name) && name !== 'all' && name !== '*';
        expect(codeOf(name) === undefined).toBe(bytes.length >= 1 && bytes.length <= 255 && isWellFormed && isFree);
      }),
    );
  });

  it('is called by its field where it is refused', () => {
    expect(() => checkName('', 'instance')).toThrow(/"instance"/);
    expect(() => checkName('a/b', 'key')).toThrow(/"key"/);
  });
});
