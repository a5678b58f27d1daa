/** Everything that regctl writes: results to standard output, failures and remarks to standard error. */

import { Chalk, type ChalkInstance } from 'chalk';
import type { Failure } from './errors.js';
import type { Host, Terminal } from './host.js';
import { drawLines, ENTER, LEAVE } from './screen.js';
import { cut, type Line, layOut, plain, type Table, type Tone } from './table.js';

const COLOURS = {
  good: 'green',
  doubtful: 'yellow',
  leaving: 'cyan',
  bad: 'red',
  faint: 'dim',
  strong: 'bold',
} as const satisfies Readonly<Record<Tone, keyof ChalkInstance>>;

/** What a terminal shows at one moment: a line about it, the table, and how many rows there was no room for. */
export interface Picture {
  readonly heading: Line;
  readonly table: Table;
  readonly hidden: number;
}

/** What a picture has beside the rows: the heading, an empty line, the titles, and what is said of hidden rows. */
const FRAME_LINES = 4;

/**
 * In JSON, a run writes one document to standard output where it succeeds (a watch: one for each event), and to
 * standard error lines of `{"note":…}` and, where it fails, `{"error":…}`. Nothing reaches a terminal that could
 * act upon it.
 */
export class Output {
  readonly json: boolean;
  /** Whether a table can be drawn again and again in the same place. */
  readonly live: boolean;
  readonly #stdout: Terminal;
  readonly #stderr: Terminal;
  readonly #outStyle: ChalkInstance;
  readonly #errStyle: ChalkInstance;
  /** What was drawn last, while there is something drawn. */
  #picture: Picture | undefined;

  /** Reads `--json` and `--no-color` by itself: that the other arguments are wrong is told in this form too. */
  constructor({ env, stdout, stderr }: Host, args: readonly string[]) {
    this.json = hasFlag(args, '--json');
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.live = !this.json && stdout.isTTY === true && env['TERM'] !== 'dumb';
    const forbidden = hasFlag(args, '--no-color');
    this.#outStyle = new Chalk({ level: !forbidden && takesColour(env, stdout) ? 1 : 0 });
    this.#errStyle = new Chalk({ level: !forbidden && takesColour(env, stderr) ? 1 : 0 });
  }

  /** The result of a run: the document, or lines for people. */
  result(document: object, text: string): void {
    if (this.json) this.#stdout.write(`${encode(document)}\n`);
    else this.#stdout.write(`${plainLines(text)}\n`);
  }

  /** The same, where some lines mean more to people than others. */
  report(document: object, lines: readonly Line[]): void {
    if (this.json) this.#stdout.write(`${encode(document)}\n`);
    else for (const { text, tone } of lines) this.#stdout.write(`${this.#paint(plain(text), tone)}\n`);
  }

  /** A result that people read as a table. Only a terminal has it cut to its width. */
  table(document: object, table: Table): void {
    if (this.json) {
      this.#stdout.write(`${encode(document)}\n`);
    } else {
      const width = this.#stdout.isTTY ? columnsOf(this.#stdout) : undefined;
      this.#stdout.write(`${this.#layOut(table, width).join('\n')}\n`);
    }
  }

  /** Draws in place of what was drawn before, on a terminal that is `live`. `erase` has to follow, some time. */
  draw(picture: Picture): void {
    if (!this.#picture) this.#stdout.write(ENTER);
    this.#picture = picture;
    this.#stdout.write(drawLines(this.#paintPicture(picture).slice(0, rowsOf(this.#stdout))));
  }

  /** How many rows of a table there is room for in a picture. */
  get room(): number {
    return Math.max(0, rowsOf(this.#stdout) - FRAME_LINES);
  }

  /** Gives the terminal back as it was, and leaves on it what was drawn last. */
  erase(): void {
    if (!this.#picture) return;
    this.#stdout.write(`${LEAVE}${this.#paintPicture(this.#picture).join('\n')}\n`);
    this.#picture = undefined;
  }

  /** Calls `listener` whenever the terminal has changed its size, until the function that it returns is called. */
  onResize(listener: () => void): () => void {
    this.#stdout.on('resize', listener);
    return () => void this.#stdout.off('resize', listener);
  }

  /** Something to know beside the result. */
  note(code: string, message: string): void {
    this.#stderr.write(this.json ? `${encode({ note: { code, message } })}\n` : `${plainLines(message)}\n`);
  }

  /** Something to beware of. */
  warn(code: string, message: string): void {
    if (this.json) this.note(code, message);
    else this.#stderr.write(`${this.#errStyle.yellow('warning:')} ${plainLines(message)}\n`);
  }

  /** A text of our own for another program, exactly as it is. */
  script(text: string): void {
    this.#stdout.write(text);
  }

  /** Help that somebody gets instead of what was asked for. */
  usage(text: string): void {
    if (!this.json) this.#stderr.write(text);
  }

  fail({ code, message, helped }: Failure): void {
    if (this.json) this.#stderr.write(`${encode({ error: { code, message } })}\n`);
    else if (!helped) this.#stderr.write(`${this.#errStyle.red('error:')} ${plainLines(message)}\n`);
  }

  /** A column narrower than the terminal; see `drawLines`. */
  #paintPicture({ heading, table, hidden }: Picture): string[] {
    const width = columnsOf(this.#stdout) - 1;
    const more = hidden > 0 ? [this.#paint(`\u2026 and ${hidden} more`, 'faint')] : [];
    return [this.#paint(cut(plain(heading.text), width), heading.tone), '', ...this.#layOut(table, width), ...more];
  }

  #layOut(table: Table, width: number | undefined): string[] {
    const [titles = '', ...rows] = layOut(table, width);
    return [this.#paint(titles, 'strong'), ...rows.map((row, i) => this.#paint(row, table.tones?.[i]))];
  }

  #paint(text: string, tone: Tone | undefined): string {
    return tone === undefined ? text : this.#outStyle[COLOURS[tone]](text);
  }
}

/** Some terminals do not know their size, and say 0. */
export function columnsOf({ columns }: Terminal): number {
  return columns || 80;
}

function rowsOf({ rows }: Terminal): number {
  return rows || 24;
}

/** After `--` everything is a value. */
function hasFlag(args: readonly string[], flag: string): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end === -1 ? args.length : end).includes(flag);
}

/** Who wants none is heard before who wants some; otherwise only terminals get colour. */
function takesColour(env: Host['env'], { isTTY }: Terminal): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = env;
  if (NO_COLOR) return false;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return isTTY === true && TERM !== 'dumb';
}

function plainLines(text: string): string {
  return text.split('\n').map(plain).join('\n');
}

// What JSON.stringify leaves as it is, and a terminal does not: DEL, C1, and marks of direction and of lines.
const UNSAFE_IN_JSON = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** The same document, written so that it can be shown. */
function encode(document: object): string {
  return JSON.stringify(document).replace(
    UNSAFE_IN_JSON,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
