/** Text for terminals, as pure functions: what is safe to show, how wide it is, and columns of it. */

import stringWidth from 'string-width';

/** What a line means, of which colours are made. */
export type Tone = 'good' | 'doubtful' | 'leaving' | 'bad' | 'faint' | 'strong';

export interface Line {
  readonly text: string;
  readonly tone?: Tone | undefined;
}

/** What something is called, and how it is. */
export type Fact = readonly [name: string, text: string];

export interface Column {
  readonly title: string;
  /** Gives way where the table is wider than the terminal. */
  readonly flexible?: boolean;
}

export interface Table {
  readonly columns: readonly Column[];
  /** One cell per column in each, raw: they are made safe here. */
  readonly rows: readonly (readonly string[])[];
  /** One for each row, where they differ. */
  readonly tones?: readonly (Tone | undefined)[];
}

const GAP = '  ';
const ELLIPSIS = '\u2026';

/** A flexible column does not become narrower than this: every title fits. */
const MIN_WIDTH = 8;

/** No column becomes wider than this where nothing is cut: longer cells stand out of their column. */
const MAX_WIDTH = 60;

/** Most UTF-16 units that are looked at for each column of a terminal: what combines is not bounded by width. */
const UNITS_PER_COLUMN = 16;

/**
 * What a terminal would act upon, or show as something else: control characters, marks that turn the direction
 * of text, invisible ones, line separators, halves of surrogate pairs. The two joiners stay, which emoji and
 * some scripts need; they do no more than join.
 */
const UNSAFE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The text with whatever could forge a line, or drive the terminal, written as an escape. */
export function plain(text: string): string {
  return text.replace(UNSAFE, (character) => SHORT[character] ?? escapeOf(character));
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}

/** Nearly all text is this, and to measure the rest costs a thousand times as much. */
const ASCII = /^[ -~]*$/;

const graphemes = new Intl.Segmenter();

/**
 * As much of the beginning of the text as fits into `limit` columns of a terminal, and how many of them it
 * takes: two for what is wide, none for what combines. What comes after that is not looked at: a value may be
 * 64 KiB of anything.
 */
function beginning(text: string, limit: number): { kept: string; width: number } {
  if (ASCII.test(text)) return { kept: text.slice(0, limit), width: Math.min(text.length, limit) };
  let kept = '';
  let width = 0;
  for (const { segment } of graphemes.segment(text.slice(0, limit * UNITS_PER_COLUMN).toWellFormed())) {
    const more = ASCII.test(segment) ? segment.length : stringWidth(segment);
    if (width + more > limit) break;
    kept += segment;
    width += more;
  }
  return { kept, width };
}

/** How many columns of a terminal the text takes, as far as they are not more than `limit`. */
export function widthOf(text: string, limit = Number.POSITIVE_INFINITY): number {
  return beginning(text, limit).width;
}

/** The text, or as much of its beginning as fits into `width` columns with an ellipsis. */
export function cut(text: string, width: number): string {
  if (beginning(text, width).kept === text) return text;
  return beginning(text, width - 1).kept + ELLIPSIS;
}

/**
 * The lines of a table, the titles first.
 *
 * @param width columns of the terminal; `undefined` where no terminal reads it, and nothing is cut.
 */
export function layOut({ columns, rows }: Table, width: number | undefined): string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(plain))];
  const natural = columns.map((_, i) => widest(cells, i, width ?? MAX_WIDTH));
  if (width === undefined) return cells.map((row) => join(row, natural));
  const widths = fit(columns, natural, width);
  // Once more, for a terminal that not even the narrowest columns fit into.
  return cells.map((row) => cut(join(row.map(cutTo(widths)), widths), width));
}

/** The lines of a list of facts. */
export function listFacts(facts: readonly Fact[]): Line[] {
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, text]) => ({ text: `  ${name.padEnd(width)}${GAP}${text}` }));
}

function widest(cells: readonly (readonly string[])[], i: number, limit: number): number {
  return cells.reduce((most, row) => Math.max(most, widthOf(row[i] ?? '', limit)), 0);
}

function cutTo(widths: readonly number[]): (cell: string, i: number) => string {
  return (cell, i) => cut(cell, widths[i] ?? 0);
}

function join(row: readonly string[], widths: readonly number[]): string {
  const padded = row.map((cell, i) => {
    const width = widths[i] ?? 0;
    return cell + ' '.repeat(width - widthOf(cell, width));
  });
  return padded.join(GAP).trimEnd();
}

/** Takes what is too much from the flexible columns, from the widest first: short names stay whole. */
function fit(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const widths = [...natural];
  let excess = natural.reduce((sum, each) => sum + each, GAP.length * (columns.length - 1)) - width;
  for (; excess > 0; excess -= 1) {
    const flexible = widths.map((each, i) => (columns[i]?.flexible ? each : 0));
    const most = Math.max(...flexible);
    if (most <= MIN_WIDTH) break;
    widths[flexible.indexOf(most)] = most - 1;
  }
  return widths;
}
