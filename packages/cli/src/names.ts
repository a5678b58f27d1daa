/** The names that people type, refused in words of what they typed. */

import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { ALL, checkName, EVERY_INSTANCE, RegistryError } from '@reg/protocol';
import { CommandError } from './errors.js';
import { cut, plain } from './table.js';

/** As much of a wrong name as is shown, in columns. */
const SHOWN = 40;
/** One part of a host's name; DNS has no `_`, but those who name containers do. */
const LABEL = /^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$/;
const HOST_LENGTH = 253;

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

/** Whether a certificate can be for it: an IP address, or a name that may be looked up. */
export function isHost(text: string): boolean {
  if (isIP(text) !== 0) return !text.includes('%');
  const labels = text.split('.');
  // What ends in a number is taken for an IPv4 address everywhere, and so is no name.
  return text.length <= HOST_LENGTH && labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1) ?? '');
}

/**
 * The name or the address of a server, without anything around it.
 *
 * @param option where it was typed.
 * @throws {CommandError} `usage`
 */
export function readHost(text: string, option: string): string {
  if (isHost(text)) return text;
  const shown = `"${cut(plain(text), SHOWN)}"`;
  throw new CommandError('usage', `${option} must be a name or an IP address, not ${shown}: ${mistakeIn(text)}`);
}

/** What is wrong with a host, as somebody who has typed it would mend it. */
function mistakeIn(host: string): string {
  if (host.includes('://')) return 'leave out the scheme';
  if (host.startsWith('[')) return 'leave out the brackets, and the port';
  if (host.includes('%')) return 'leave out the zone, from "%" on';
  if (/^[^:]*:\d*$/.test(host)) return 'leave out the port';
  if (host.includes('*')) return 'give each name by itself';
  if (/^[\d.]+$/.test(host)) return 'an IPv4 address has four numbers up to 255';
  if (host.includes(':')) return 'it is no IPv6 address';
  const ascii = domainToASCII(host);
  if (ascii !== host && isHost(ascii)) return `write it as ${ascii}`;
  return 'a name has letters, digits, "-" and "_", 63 at most between two dots and 253 in all';
}
