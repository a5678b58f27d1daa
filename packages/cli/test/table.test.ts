import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { cut, layOut, plain, widthOf } from '../src/table.js';

/** How many UTF-16 units were measured. */
const measured = vi.hoisted(() => ({ units: 0 }));

vi.mock('string-width', async (original) => {
  const { default: stringWidth } = await original<typeof import('string-width')>();
  const counting = (text: string) => {
    measured.units += text.length;
    return stringWidth(text);
  };
  return { default: counting };
});

/** Text of the kinds that are hard to measure. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom('\u6570', '\u{1f389}', '\u{1f469}\u200d\u{1f467}', 'e\u0301', 'a', ' '),
    maxLength: 40,
  }),
);

describe('safe text', () => {
  it.each([
    ['a\nb', 'a\\nb'],
    ['\r\t', '\\r\\t'],
    ['\u001b[31m', '\\x1b[31m'],
    ['\u0000\u007f\u009b', '\\x00\\x7f\\x9b'],
    ['\u202eabc', '\\u{202e}abc'],
    ['\u2028', '\\u{2028}'],
    ['\ud800', '\\u{d800}'],
    ['\u{e0041}', '\\u{e0041}'],
    ['C:\\new', 'C:\\new'],
    ['\u6570\u636e', '\u6570\u636e'],
    ['\u{1f469}\u200d\u{1f467}', '\u{1f469}\u200d\u{1f467}'],
  ])('shows %j as %j', (raw, shown) => {
    expect(plain(raw)).toBe(shown);
  });

  it('holds no control character, whatever the text is', () => {
    fc.assert(
      fc.property(text, (raw) => {
        expect(plain(raw)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u);
      }),
    );
  });
});

describe('the width of text', () => {
  it.each([
    ['', 0],
    ['abc', 3],
    ['\u6570\u636e\u5e93', 6],
    ['\u{1f389}', 2],
    ['\u{1f469}\u200d\u{1f469}\u200d\u{1f467}', 2],
    ['e\u0301', 1],
  ])('of %j is %d', (each, width) => {
    expect(widthOf(each)).toBe(width);
  });
});

describe('cutting', () => {
  it.each([
    ['abcdef', 6, 'abcdef'],
    ['abcdef', 5, 'abcd\u2026'],
    ['\u6570\u636e\u5e93', 6, '\u6570\u636e\u5e93'],
    ['\u6570\u636e\u5e93', 5, '\u6570\u636e\u2026'],
    ['\u6570\u636e\u5e93', 4, '\u6570\u2026'],
    ['e\u0301e\u0301e\u0301', 2, 'e\u0301\u2026'],
  ])('%j to %d columns gives %j', (each, width, shown) => {
    expect(cut(each, width)).toBe(shown);
  });

  it('never leaves more than there is room for', () => {
    fc.assert(
      fc.property(text.map(plain), fc.integer({ min: 1, max: 60 }), (each, width) => {
        expect(widthOf(cut(each, width))).toBeLessThanOrEqual(width);
      }),
    );
  });
});

describe('a table', () => {
  const columns = [{ title: 'NAME' }, { title: 'VALUE', flexible: true }, { title: 'TTL' }];

  it('aligns its columns, wide characters too', () => {
    const rows = [
      ['redis', 'a:1', '30s'],
      ['\u670d\u52a1', '\u6570\u636e', 'never'],
    ];
    expect(layOut({ columns, rows }, undefined)).toEqual([
      'NAME   VALUE  TTL',
      'redis  a:1    30s',
      '\u670d\u52a1   \u6570\u636e   never',
    ]);
  });

  it('cuts the flexible column to the width of a terminal', () => {
    const rows = [['redis', 'x'.repeat(40), '30s']];
    expect(layOut({ columns, rows }, 32)).toEqual([
      `NAME   VALUE${' '.repeat(15)}  TTL`,
      `redis  ${'x'.repeat(19)}\u2026  30s`,
    ]);
  });

  it('fits every line into the terminal where the other columns leave room', () => {
    const row = fc.tuple(fc.stringMatching(/^[a-z]{1,8}$/), text, fc.constantFrom('30s', 'never'));
    fc.assert(
      fc.property(fc.array(row), fc.integer({ min: 40, max: 120 }), (rows, width) => {
        for (const line of layOut({ columns, rows }, width)) expect(widthOf(line)).toBeLessThanOrEqual(width);
      }),
    );
  });

  it('shows values in full where no terminal reads it, and makes no other line longer for one of them', () => {
    const long = 'x'.repeat(1000);
    const [titles = '', first = '', second = ''] = layOut(
      {
        columns,
        rows: [
          ['a', long, '30s'],
          ['b', 'short', '30s'],
        ],
      },
      undefined,
    );
    expect(first).toContain(`${long}  30s`);
    expect(titles.length).toBeLessThan(100);
    expect(second.length).toBeLessThan(100);
  });

  it.each([
    ['one character that is not ASCII', `\u00e9${'x'.repeat(60_000)}`],
    ['wide characters', '\u6570'.repeat(60_000)],
    ['one character with many marks', `a${'\u0301'.repeat(60_000)}`],
    ['joiners', `a${'\u200d'.repeat(60_000)}b`],
  ])('measures no more of a cell than can be shown: %s', (_, cell) => {
    const rows = [['a', cell, '30s']];
    for (const width of [80, undefined]) {
      measured.units = 0;
      layOut({ columns, rows }, width);
      expect(measured.units).toBeLessThan(5000);
    }
  });

  it('takes what is too much from the widest column first', () => {
    const flexible = columns.map((column) => ({ ...column, flexible: true }));
    const rows = [['payments', 'x'.repeat(60), '30s']];
    expect(layOut({ columns: flexible, rows }, 40)[1]).toBe(`payments  ${'x'.repeat(24)}\u2026  30s`);
  });

  it('is its titles where there are no rows', () => {
    expect(layOut({ columns, rows: [] }, 80)).toEqual(['NAME  VALUE  TTL']);
  });
});
