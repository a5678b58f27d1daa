/** Text for terminals, as pure functions: what is safe to show, how wide it is, and columns of it. */

import stringWidth from 'string-width';

export interface Column {
  readonly title: string;
  /** Gives way where the table is wider than the terminal. */
  readonly flexible?: boolean;
}

export interface Table {
  readonly columns: readonly Column[];
  /** One cell per column in each, raw: they are made safe here. */
  readonly rows: readonly (readonly string[])[];
}

const GAP = '  ';
const ELLIPSIS = '\u2026';

/** A flexible column does not become narrower than this, whatever the terminal. */
const MIN_WIDTH = 12;

/** Nor does it become wider where nothing is cut. */
const MAX_WIDTH = 60;

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

/** How many columns of a terminal the text takes: two for what is wide, none for what combines. */
export function widthOf(text: string): number {
  // Nearly all of it is this, and measuring costs a hundred times as much.
  return /^[ -~]*$/.test(text) ? text.length : stringWidth(text);
}

const graphemes = new Intl.Segmenter();

/** The text, or as much of its beginning as fits into `width` columns with an ellipsis. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = '';
  let left = width - widthOf(ELLIPSIS);
  for (const { segment } of graphemes.segment(text)) {
    left -= widthOf(segment);
    if (left < 0) break;
    kept += segment;
  }
  return kept + ELLIPSIS;
}

/**
 * The lines of a table, the titles first.
 *
 * @param width columns of the terminal; `undefined` where no terminal reads it, and nothing is cut.
 */
export function layOut({ columns, rows }: Table, width: number | undefined): string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(plain))];
  const natural = naturalWidths(cells, columns.length);
  const widths = width === undefined ? bound(columns, natural) : fit(columns, natural, width);
  return cells.map((row) =>
    row
      .map((cell, i) => show(cell, widths[i] ?? 0, width !== undefined))
      .join(GAP)
      .trimEnd(),
  );
}

function show(cell: string, width: number, cutting: boolean): string {
  const shown = cutting ? cut(cell, width) : cell;
  return shown + ' '.repeat(Math.max(0, width - widthOf(shown)));
}

function naturalWidths(cells: readonly (readonly string[])[], count: number): number[] {
  const widestOf = (i: number) => cells.reduce((most, row) => Math.max(most, widthOf(row[i] ?? '')), 0);
  return Array.from({ length: count }, (_, i) => widestOf(i));
}

/** One value of 64 KiB must not make every other line as long: longer cells stand out of their column. */
function bound(columns: readonly Column[], natural: readonly number[]): number[] {
  return natural.map((each, i) => (columns[i]?.flexible ? Math.min(each, MAX_WIDTH) : each));
}

/** Takes what is too much from the flexible columns, one after the other. */
function fit(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  let excess = natural.reduce((sum, each) => sum + each, GAP.length * (columns.length - 1)) - width;
  return natural.map((each, i) => {
    if (!columns[i]?.flexible || excess <= 0) return each;
    const fitted = Math.max(Math.min(each, MIN_WIDTH), each - excess);
    excess -= each - fitted;
    return fitted;
  });
}
