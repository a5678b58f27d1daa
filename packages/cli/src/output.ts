/** Everything that regctl writes: results to standard output, failures and remarks to standard error. */

import { Chalk, type ChalkInstance } from 'chalk';
import type { Failure } from './errors.js';
import type { Host, Terminal } from './host.js';
import { layOut, plain, type Table } from './table.js';

/**
 * In JSON, a run writes one document to standard output where it succeeds, and to standard error lines of
 * `{"note":…}` and, where it fails, `{"error":…}`. Nothing reaches a terminal that could act upon it.
 */
export class Output {
  readonly json: boolean;
  readonly #stdout: Terminal;
  readonly #stderr: Terminal;
  readonly #outStyle: ChalkInstance;
  readonly #errStyle: ChalkInstance;

  /** Reads `--json` and `--no-color` by itself: that the other arguments are wrong is told in this form too. */
  constructor({ env, stdout, stderr }: Host, args: readonly string[]) {
    this.json = hasFlag(args, '--json');
    this.#stdout = stdout;
    this.#stderr = stderr;
    const forbidden = hasFlag(args, '--no-color');
    this.#outStyle = new Chalk({ level: !forbidden && takesColour(env, stdout) ? 1 : 0 });
    this.#errStyle = new Chalk({ level: !forbidden && takesColour(env, stderr) ? 1 : 0 });
  }

  /** The result of a run: the document, or lines for people. */
  result(document: object, text: string): void {
    if (this.json) this.#stdout.write(`${encode(document)}\n`);
    else this.#stdout.write(`${plainLines(text)}\n`);
  }

  /** A result that people read as a table. Only a terminal has it cut to its width. */
  table(document: object, table: Table): void {
    if (this.json) {
      this.#stdout.write(`${encode(document)}\n`);
      return;
    }
    const width = this.#stdout.isTTY ? columnsOf(this.#stdout) : undefined;
    const [titles = '', ...rows] = layOut(table, width);
    this.#stdout.write(`${[this.#outStyle.bold(titles), ...rows].join('\n')}\n`);
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
}

/** Some terminals do not know their width, and say 0. */
export function columnsOf({ columns }: Terminal): number {
  return columns || 80;
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
