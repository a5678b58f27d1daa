/** The names that people type, refused in words of what they typed. */

import { ALL, checkName, EVERY_INSTANCE, RegistryError } from '@reg/protocol';
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

/** The beginning of names, which a reserved word may be too. @throws {RegistryError} `invalid_name` */
export function readPrefix(text: string): string {
  return text === ALL || text === EVERY_INSTANCE ? text : readName(text, '--prefix');
}

/** A service, or one instance of it: `payments`, or `payments/i-42`. */
export interface InstanceName {
  readonly key: string;
  /** Absent for the unnamed one. */
  readonly instance?: string | undefined;
}

/** As one word, the way `readInstanceName` takes it. */
export function nameOf({ key, instance }: InstanceName): string {
  return instance === undefined ? key : `${key}/${instance}`;
}

/** Neither of the two names can hold what parts them. @throws {RegistryError} `invalid_name` or `reserved_name` */
export function readInstanceName(text: string): InstanceName {
  const end = text.indexOf('/');
  if (end === -1) return { key: readKey(text) };
  return { key: readKey(text.slice(0, end)), instance: readName(text.slice(end + 1), 'the name of an instance') };
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
