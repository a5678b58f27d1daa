import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Output } from '../src/output.js';
import { makeHost, type Screen, screen } from './regctl.js';

interface Setting {
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly isTTY?: boolean;
}

function write(action: (output: Output) => void, { env = {}, args = [], isTTY = false }: Setting = {}): Screen[] {
  const screens = [screen(isTTY, 80), screen(isTTY, 80)] as const;
  const [stdout, stderr] = screens;
  action(new Output(makeHost({ env, stdout, stderr }), args));
  return [...screens];
}

const FAILURE = { code: 'not_found', message: 'there is nothing', exit: 3 };

function errorOf(setting: Setting): string | undefined {
  return write((output) => output.fail(FAILURE), setting)[1]?.text;
}

const COLOURED = '\u001b[31merror:\u001b[39m there is nothing\n';
const PLAIN = 'error: there is nothing\n';

describe('colour', () => {
  it.each([
    ['a terminal has it', {}, [], true, true],
    ['a pipe has none', {}, [], false, false],
    ['--no-color', {}, ['query', '--no-color'], true, false],
    ['NO_COLOR', { NO_COLOR: '1' }, [], true, false],
    ['an empty NO_COLOR is none', { NO_COLOR: '' }, [], true, true],
    ['FORCE_COLOR', { FORCE_COLOR: '1' }, [], false, true],
    ['FORCE_COLOR=0', { FORCE_COLOR: '0' }, [], true, false],
    ['NO_COLOR before FORCE_COLOR', { NO_COLOR: '1', FORCE_COLOR: '1' }, [], true, false],
    ['--no-color before FORCE_COLOR', { FORCE_COLOR: '1' }, ['--no-color'], true, false],
    ['a dumb terminal', { TERM: 'dumb' }, [], true, false],
    ['--no-color as a value', {}, ['register', 'k', '--', '--no-color'], true, true],
  ])('%s', (_, env, args, isTTY, coloured) => {
    expect(errorOf({ env, args, isTTY })).toBe(coloured ? COLOURED : PLAIN);
  });

  it('is told by each stream apart', () => {
    const [stdout, stderr] = [screen(false), screen(true)];
    const output = new Output(makeHost({ stdout, stderr }), []);
    output.table({}, { columns: [{ title: 'NAME' }], rows: [] });
    output.fail(FAILURE);
    expect(stdout.text).toBe('NAME\n');
    expect(stderr.text).toBe(COLOURED);
  });
});

describe('JSON', () => {
  it('is one document for a result, and for a failure its code and message', () => {
    const [stdout, stderr] = write(
      (output) => {
        output.result({ removed: 1 }, 'removed one');
        output.note('warming', 'just restarted');
        output.fail(FAILURE);
      },
      { args: ['--json'], isTTY: true },
    );
    expect(stdout?.text).toBe('{"removed":1}\n');
    expect(stderr?.text).toBe(
      '{"note":{"code":"warming","message":"just restarted"}}\n{"error":{"code":"not_found","message":"there is nothing"}}\n',
    );
  });

  it('is safe to show, and the same document', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (document) => {
        const text = write((output) => output.result(document, ''), { args: ['--json'] })[0]?.text ?? '';
        expect(text.slice(0, -1)).not.toMatch(/[\p{Cc}\u2028-\u202e]/u);
        expect(JSON.parse(text)).toEqual(document);
      }),
    );
  });
});

describe('text', () => {
  it('keeps its lines, and shows nothing else raw that a terminal would act upon', () => {
    const [stdout, stderr] = write((output) => {
      output.result({}, 'a\u001b[2J\nb');
      output.note('x', 'c\u0007');
      output.warn('x', 'd\u009b');
      output.fail({ code: 'x', message: 'e\r', exit: 1 });
    });
    expect(stdout?.text).toBe('a\\x1b[2J\nb\n');
    expect(stderr?.text).toBe('c\\x07\nwarning: d\\x9b\nerror: e\\r\n');
  });
});
