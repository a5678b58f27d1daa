import { RegistryError } from './errors.js';
import { MAX_NAME_BYTES } from './limits.js';
import { ALL, EVERY_INSTANCE } from './messages.js';

// C0, DEL and C1: they would let a name forge a line of a log or of a terminal. `/` separates a service
// from its instance where both are written as one word.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f/]/;

/**
 * Checks the name of a service or an instance.
 *
 * @throws {RegistryError} `invalid_name` or `reserved_name`, naming `field`.
 */
export function checkName(name: unknown, field: string): string {
  if (typeof name !== 'string') throw new RegistryError('invalid_name', `"${field}" must be a string`);
  if (name === ALL || name === EVERY_INSTANCE) {
    throw new RegistryError(
      'reserved_name',
      `"${name}" is reserved and cannot be the name of a service or an instance`,
    );
  }
  if (name === '') throw new RegistryError('invalid_name', `"${field}" must not be empty`);
  if (name.length > MAX_NAME_BYTES || Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw new RegistryError('invalid_name', `"${field}" must be at most ${MAX_NAME_BYTES} bytes of UTF-8`);
  }
  if (FORBIDDEN.test(name) || !name.isWellFormed()) {
    throw new RegistryError('invalid_name', `"${field}" must hold no control character, no "/" and no lone surrogate`);
  }
  return name;
}
