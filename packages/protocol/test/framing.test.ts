import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { LineReader, TOO_LONG } from '../src/framing.js';

type Line = string | typeof TOO_LONG;

/** Everything that the reader has by now, as text: a line itself is valid only until the next call. */
function drain(reader: LineReader): Line[] {
  const lines: Line[] = [];
  for (let line = reader.next(); line !== undefined; line = reader.next()) {
    lines.push(line === TOO_LONG ? TOO_LONG : line.toString('latin1'));
  }
  return lines;
}

function read(maxLineBytes: number, ...chunks: (string | Buffer)[]): Line[] {
  const reader = new LineReader(maxLineBytes);
  return chunks.flatMap((chunk) => {
    reader.push(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk);
    return drain(reader);
  });
}

/** What the lines of a whole stream are, said once more and without regard to cost. */
function linesOf(stream: string, maxLineBytes: number): Line[] {
  return stream
    .split('\n')
    .slice(0, -1)
    .map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
    .map((line) => (line.length > maxLineBytes ? TOO_LONG : line))
    .filter((line) => line === TOO_LONG || !/^[ \t\r]*$/.test(line));
}

const LIMIT = 8;
const byte = fc.constantFrom('\n', '\n', '\r', ' ', '\t', 'a', '{', '\u0000', '\u00e4', '\u00ff');
const stream = fc.array(byte, { maxLength: 120 }).map((bytes) => bytes.join(''));

/** A stream, where it is cut, and after which of its pieces the reader is asked for lines. */
const arrivals = fc.record({ stream, cuts: fc.array(fc.nat(120)), asked: fc.infiniteStream(fc.boolean()) });

function cut(text: string, cuts: readonly number[]): string[] {
  const ends = [...cuts.filter((end) => end < text.length), text.length].sort((a, b) => a - b);
  return ends.map((end, i) => text.slice(ends[i - 1] ?? 0, end));
}

describe('a line reader', () => {
  it('gives the same lines however the stream is cut', () => {
    fc.assert(
      fc.property(arrivals, ({ stream, cuts }) => {
        expect(read(LIMIT, ...cut(stream, cuts))).toEqual(linesOf(stream, LIMIT));
      }),
      { numRuns: 1000 },
    );
  });

  it('gives the same lines whenever it is asked for them', () => {
    fc.assert(
      fc.property(arrivals, ({ stream, cuts, asked }) => {
        const reader = new LineReader(LIMIT);
        const lines: Line[] = [];
        for (const piece of cut(stream, cuts)) {
          reader.push(Buffer.from(piece, 'latin1'));
          const line = asked.next().value ? reader.next() : undefined;
          if (line !== undefined) lines.push(line === TOO_LONG ? TOO_LONG : line.toString('latin1'));
        }
        expect([...lines, ...drain(reader)]).toEqual(linesOf(stream, LIMIT));
      }),
      { numRuns: 1000 },
    );
  });

  it('ends a line at CRLF or at a bare LF', () => {
    expect(read(LIMIT, 'a\r\nb\nc\r\n')).toEqual(['a', 'b', 'c']);
  });

  it('takes an ending that is split between CR and LF', () => {
    expect(read(LIMIT, 'a\r', '\nb\r', '\n')).toEqual(['a', 'b']);
  });

  it('keeps every CR but the one before the LF', () => {
    expect(read(LIMIT, '\ra\rb\r\r\n')).toEqual(['\ra\rb\r']);
  });

  it('puts a character together whose bytes arrive apart', () => {
    const bytes = Buffer.from('"\u{1f600}"\r\n');
    const pieces = [...bytes].map((one) => Buffer.from([one]));
    const lines = read(LIMIT, ...pieces).map((line) => Buffer.from(String(line), 'latin1').toString());
    expect(lines).toEqual(['"\u{1f600}"']);
  });

  it('leaves out blank lines', () => {
    expect(read(LIMIT, '\n\r\n \t \r\n', ' ', '\n\r', '\r\na\n')).toEqual(['a']);
  });

  it('holds back a line that has no ending', () => {
    expect(read(LIMIT, 'a\nb')).toEqual(['a']);
  });

  it('takes any bytes into a line, NUL too', () => {
    expect(read(LIMIT, '\u0000\u00ff\n')).toEqual(['\u0000\u00ff']);
  });
});

describe('the limit of a line', () => {
  const full = 'x'.repeat(LIMIT);

  it.each([
    ['LF', `${full}\n`],
    ['CRLF', `${full}\r\n`],
  ])('takes a line of exactly the limit that ends with %s, however it is cut', (_, text) => {
    for (let at = 0; at <= text.length; at += 1) {
      expect(read(LIMIT, text.slice(0, at), text.slice(at)), `cut at ${at}`).toEqual([full]);
    }
  });

  it.each([
    ['LF', `${full}x\n`],
    ['CRLF', `${full}x\r\n`],
    ['a CR of its own and CRLF', `${full}\r\r\n`],
  ])('refuses a line of one byte more that ends with %s, however it is cut', (_, text) => {
    for (let at = 0; at <= text.length; at += 1) {
      expect(read(LIMIT, text.slice(0, at), text.slice(at)), `cut at ${at}`).toEqual([TOO_LONG]);
    }
  });

  it('gives TOO_LONG once for a line of any length, when its end has come', () => {
    const flood = Array.from({ length: 100 }, () => full);
    expect(read(LIMIT, ...flood)).toEqual([]);
    expect(read(LIMIT, ...flood, '\n')).toEqual([TOO_LONG]);
  });

  it('goes on with the line after an over-long one', () => {
    expect(read(LIMIT, 'a\n', full, full, 'end\nb\n', `${full}${full}\nc\n`)).toEqual([
      'a',
      TOO_LONG,
      'b',
      TOO_LONG,
      'c',
    ]);
  });

  it('counts blanks: an over-long blank line is too long', () => {
    expect(read(LIMIT, `${' '.repeat(LIMIT + 1)}\n`)).toEqual([TOO_LONG]);
  });
});

describe('the memory of a line reader', () => {
  afterEach(() => vi.restoreAllMocks());

  const KIB = 1024;

  it('never allocates more than the limit and a CR for a flood without an end', () => {
    const allocate = vi.spyOn(Buffer, 'allocUnsafeSlow');
    const concat = vi.spyOn(Buffer, 'concat');
    const reader = new LineReader(64 * KIB);
    const chunk = Buffer.alloc(10 * KIB, 'x');
    for (let i = 0; i < 1000; i += 1) {
      reader.push(chunk);
      expect(reader.next()).toBeUndefined();
    }
    const sizes = allocate.mock.calls.map(([size]) => size);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(64 * KIB + 1);
    expect(sizes.length).toBeLessThan(10);
    expect(concat).not.toHaveBeenCalled();
  });

  it('grows a few times only for a line that arrives byte by byte', () => {
    const allocate = vi.spyOn(Buffer, 'allocUnsafeSlow');
    const reader = new LineReader(64 * KIB);
    const one = Buffer.from('x');
    for (let i = 0; i < 64 * KIB; i += 1) {
      reader.push(one);
      reader.next();
    }
    expect(allocate.mock.calls.length).toBeLessThanOrEqual(9);
    reader.push(Buffer.from('\r\n'));
    expect(reader.next()).toHaveLength(64 * KIB);
  });

  it('keeps a small carry for the next line and gives a large one back', () => {
    const allocate = vi.spyOn(Buffer, 'allocUnsafeSlow');
    const allocations = (bytes: number): number => {
      const reader = new LineReader(64 * KIB);
      allocate.mockClear();
      for (let i = 0; i < 3; i += 1) {
        reader.push(Buffer.alloc(bytes, 'x'));
        reader.next();
        reader.push(Buffer.from('\n'));
        reader.next();
      }
      return allocate.mock.calls.length;
    };
    expect(allocations(4 * KIB)).toBe(1);
    expect(allocations(4 * KIB + 1)).toBe(3);
  });
});

describe('what a line reader tells of itself', () => {
  it('is partial from the first byte of a line to its end', () => {
    const reader = new LineReader(LIMIT);
    const partialAfter = (text: string): boolean => {
      reader.push(Buffer.from(text));
      drain(reader);
      return reader.partial;
    };
    expect(reader.partial).toBe(false);
    expect(partialAfter('a')).toBe(true);
    expect(partialAfter('b\r')).toBe(true);
    expect(partialAfter('\n')).toBe(false);
    expect(partialAfter('c\n')).toBe(false);
    expect(partialAfter('x'.repeat(LIMIT * 2))).toBe(true);
    expect(partialAfter('\n')).toBe(false);
  });

  it('has unread bytes until every line of a chunk is pulled', () => {
    const reader = new LineReader(LIMIT);
    expect(reader.unread).toBe(false);
    reader.push(Buffer.from('a\nb\n'));
    expect(reader.unread).toBe(true);
    reader.next();
    expect(reader.unread).toBe(true);
    reader.next();
    expect(reader.unread).toBe(false);
    reader.push(Buffer.from('c'));
    expect(reader.unread).toBe(true);
    reader.next();
    expect(reader.unread).toBe(false);
  });
});
