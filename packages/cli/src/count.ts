import { CommandError } from './errors.js';

/** Reads how many of something there are to be. @throws {CommandError} `usage`, naming the flag. */
export function readCount(text: string, flag: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new CommandError('usage', `${flag} must be a whole number from 1 to 999999, not "${text}"`);
}
