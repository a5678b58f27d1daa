import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeError, encodeReply, LINE_END, openReply } from '../src/codec.js';
import { ERRORS, type ErrorCode, isErrorCode, RegistryError } from '../src/errors.js';

const ids = fc.option(fc.oneof(fc.maxSafeInteger(), fc.string({ unit: 'binary', maxLength: 64 })), { nil: undefined });
const codes = fc.constantFrom<ErrorCode>(...Object.keys(ERRORS).filter((code) => isErrorCode(code)));

/** What a client makes of one line, which must be a single one with its ending. */
function parseLine(line: string): unknown {
  expect(line.endsWith(LINE_END)).toBe(true);
  const text = line.slice(0, -LINE_END.length);
  expect(text).not.toMatch(/[\r\n]/);
  return JSON.parse(text);
}

const echoed = (id: unknown) => (id === undefined ? {} : { id });

describe('a reply', () => {
  it('begins with ok and the id, in this order', () => {
    expect(encodeReply(undefined, '')).toBe('{"ok":true}\r\n');
    expect(encodeReply(7, '')).toBe('{"ok":true,"id":7}\r\n');
    expect(encodeReply('a"b', '"removed":0')).toBe('{"ok":true,"id":"a\\"b","removed":0}\r\n');
    expect(encodeReply(undefined, '"removed":0')).toBe('{"ok":true,"removed":0}\r\n');
    expect(openReply(0)).toBe('{"ok":true,"id":0');
  });

  it('carries the id and the fields that it was given', () => {
    fc.assert(
      fc.property(ids, fc.jsonValue(), (id, values) => {
        const fields = values === null ? '' : `"values":${JSON.stringify(values)}`;
        const content = values === null ? {} : { values: JSON.parse(JSON.stringify(values)) };
        assert.deepStrictEqual(parseLine(encodeReply(id, fields)), { ok: true, ...echoed(id), ...content });
      }),
    );
  });
});

describe('a failure', () => {
  it('is ok false, the id, and the error', () => {
    expect(encodeError(undefined, { code: 'bad_json', message: 'no JSON' })).toBe(
      '{"ok":false,"error":{"code":"bad_json","message":"no JSON"}}\r\n',
    );
    expect(encodeError('x', { code: 'internal', message: '' })).toBe(
      '{"ok":false,"id":"x","error":{"code":"internal","message":""}}\r\n',
    );
  });

  it('says which bound was reached, and when to try again, where it knows', () => {
    const error = new RegistryError('throttled', 'later', { limit: 'auth', retryAfter: 5 });
    expect(encodeError(undefined, error)).toBe(
      '{"ok":false,"error":{"code":"throttled","message":"later","limit":"auth","retryAfter":5}}\r\n',
    );
  });

  it('is one line, whatever its message and id are', () => {
    fc.assert(
      fc.property(ids, codes, fc.string({ unit: 'binary' }), (id, code, message) => {
        expect(parseLine(encodeError(id, { code, message }))).toStrictEqual({
          ok: false,
          ...echoed(id),
          error: { code, message },
        });
      }),
    );
  });
});
