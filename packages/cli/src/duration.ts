/** Durations, as people write them and as they are told. All are ms inside. */

import { parseDecimal } from '@reg/protocol';
import { CommandError } from './errors.js';

const UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** Reads `500ms`, `30s`, `2m`, `1.5h`, or plain seconds; `undefined` where the text is none. */
export function parseDuration(text: string): number | undefined {
  const unit = /[a-z]+$/.exec(text)?.[0] ?? '';
  const number = parseDecimal(text.slice(0, text.length - unit.length));
  const factor = UNITS.get(unit || 's');
  return number === undefined || factor === undefined ? undefined : number * factor;
}

/** What a flag takes, in ms. */
export interface DurationRange {
  /** What it has to be above; 0 unless given. */
  readonly above?: number;
  readonly most: number;
}

export const DAY = 86_400_000;

/** @throws {CommandError} `usage`, naming the flag. */
export function readDuration(text: string, flag: string, { above = 0, most }: DurationRange): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > above && ms <= most) return ms;
  const range = `above ${lapse(above)} and at most ${lapse(most)}`;
  throw new CommandError('usage', `${flag} must be a time ${range}, such as 500ms, 30s or 2m, not "${text}"`);
}

/** The largest unit that leaves two or more of it, from seconds to days; a clock that is behind makes no age. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/** The same, with tenths of what is short. */
export function lapse(ms: number): string {
  if (ms <= 0) return '0s';
  if (ms < 950) return `${Math.max(1, Math.round(ms))}ms`;
  return ms < 10_000 ? `${Math.round(ms / 100) / 10}s` : age(ms);
}

/** A moment, in the notation that every program reads. @param wall ms since the Unix epoch. */
export function moment(wall: number): string {
  return new Date(wall).toISOString();
}
