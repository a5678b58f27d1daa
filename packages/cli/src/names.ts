/** The names that people type, refused in words of what they typed. */

import { checkName, RegistryError } from '@reg/protocol';
import { cut, plain } from './table.js';

/** As much of a wrong name as is shown, in columns. */
const SHOWN = 40;

/** @throws {RegistryError} `invalid_name` or `reserved_name` */
export function readKey(text: string): string {
  return readName(text, 'the name of a service');
}

/** @throws {RegistryError} `invalid_name` or `reserved_name` */
export function readInstance(text: string | undefined): string | undefined {
  return text === undefined ? undefined : readName(text, '--instance');
}

function readName(text: string, what: string): string {
  try {
    return checkName(text, what);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'invalid_name') throw error;
    const message = `${what} must be of 1 to 255 bytes, without "/" and control characters, not "${cut(plain(text), SHOWN)}"`;
    throw new RegistryError(error.code, message, { cause: error });
  }
}
