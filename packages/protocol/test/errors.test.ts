import { describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode, isErrorCode, RegistryError } from '../src/errors.js';

const ROWS = Object.entries(ERRORS).map(([code, row]) => ({ code, ...row }));

describe('the table of errors', () => {
  it.each(ROWS)('$code reads like the others', ({ code, text, exit }) => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(text).toMatch(/^[a-z].*[^.]$/);
    expect(exit).toBeGreaterThan(0);
    expect(exit).toBeLessThan(256);
  });

  it('says of nothing that a request which is not of the right form may succeed later', () => {
    const retryable = ROWS.filter((row) => row.exit === 2 && row.retryable);
    expect(retryable).toEqual([]);
  });

  it('knows its codes and nothing that every object has', () => {
    for (const { code } of ROWS) expect(isErrorCode(code)).toBe(true);
    for (const code of ['constructor', '__proto__', 'toString', '', 'BAD_JSON', undefined, null, 7, ['bad_json']]) {
      expect(isErrorCode(code), String(code)).toBe(false);
    }
  });
});

describe('an error', () => {
  it('has the text of its code unless it has one of its own', () => {
    expect(new RegistryError('too_large').message).toBe(ERRORS.too_large.text);
    expect(new RegistryError('too_large', '17 MiB').message).toBe('17 MiB');
  });

  it('tells whether the same request may succeed later', () => {
    const retryable = (code: ErrorCode): boolean => new RegistryError(code).retryable;
    expect(retryable('storage_full')).toBe(true);
    expect(retryable('invalid_name')).toBe(false);
  });

  it('keeps its cause and its name', () => {
    const cause = new Error('ENOSPC');
    const error = new RegistryError('storage_full', undefined, { cause });
    expect(error.cause).toBe(cause);
    expect(String(error)).toBe(`RegistryError: ${ERRORS.storage_full.text}`);
    expect(error).toBeInstanceOf(Error);
  });
});
