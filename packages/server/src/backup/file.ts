/**
 * The file of a backup: lines of JSON, so that people and other programs can read it. The first is the header, then
 * comes a record for each instance, in the order of generations, and the last has a checksum of every byte before it.
 * Secrets of owners are in it, and values: it is for its owner only.
 */

import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { type BackupReply, isObject, RegistryError } from '@reg/protocol';
import { writeWhole } from '../log/folder.js';

const FORMAT = 'reg-backup';
const VERSION = 1;
/** Longer than the longest record: a value and metadata of 16 MiB each, the most that a daemon can be told to take. */
const MAX_LINE_BYTES = 40 * 1024 * 1024;

/** What a backup says of itself. */
export interface BackupHeader {
  /** Of the registry that it was taken of. */
  readonly epoch: string;
  /** The last change that it shows. */
  readonly revision: number;
  /** When it was taken, in ms since the Unix epoch. */
  readonly taken: number;
  /** How many instances it has. */
  readonly instances: number;
}

/**
 * Writes a file, whole or not at all.
 *
 * @param pages of one backup, in order.
 * @throws {RegistryError} `data_unusable` where the file is there already or cannot be written, `bad_reply` where the
 * pages are not all of one backup.
 */
export async function writeBackup(path: string, pages: AsyncIterable<BackupReply>): Promise<BackupHeader> {
  if (existsSync(path)) throw new RegistryError('data_unusable', `${path} is there already: name another file`);
  let header: BackupHeader | undefined;
  async function* encode(): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    let written = 0;
    for await (const page of pages) {
      let text = '';
      if (header === undefined) {
        header = headerOf(page);
        text = `${JSON.stringify({ format: FORMAT, version: VERSION, ...header })}\n`;
      }
      if (page.revision !== header.revision || page.taken !== header.taken) throw incomplete('they are of several');
      for (const record of page.services) text += `${JSON.stringify(record)}\n`;
      written += page.services.length;
      const bytes = Buffer.from(text);
      hash.update(bytes);
      yield bytes;
    }
    if (written !== header?.instances) throw incomplete(`they have ${written} of ${header?.instances} instances`);
    yield Buffer.from(`${encodeEnd(hash.digest('hex'))}\n`);
  }
  try {
    await writeWhole(path, encode());
  } catch (error) {
    throw error instanceof RegistryError ? error : unusable('write', path, error);
  }
  if (header === undefined) throw incomplete('there is none');
  return header;
}

/**
 * Reads a file to its end. What `take` was given is to be believed when this has resolved, and not before.
 *
 * @param take is given each record as JSON has it, unchecked.
 * @throws {RegistryError} `data_damaged`, `data_foreign` or `data_unusable`, saying which line; and what `take` throws.
 */
export async function readBackup(
  path: string,
  take: (fields: Readonly<Record<string, unknown>>, header: BackupHeader, line: number) => void,
): Promise<BackupHeader> {
  const hash = createHash('sha256');
  let header: BackupHeader | undefined;
  let [line, count] = [0, 0];
  let end: string | undefined;
  for await (const bytes of linesOf(path)) {
    line += 1;
    if (end !== undefined) throw damaged(path, line, 'there is more behind its end');
    if (header === undefined) header = readHeader(path, bytes);
    else if (count < header.instances) {
      take(parse(path, line, bytes), header, line);
      count += 1;
    } else {
      end = bytes.toString('utf8');
      if (end !== `${encodeEnd(hash.digest('hex'))}\n`) throw damaged(path, line, 'it does not match its checksum');
      continue;
    }
    hash.update(bytes);
  }
  if (header === undefined || end === undefined) throw damaged(path, line + 1, 'it ends early');
  return header;
}

export function damaged(path: string, line: number, what: string): RegistryError {
  return new RegistryError(
    'data_damaged',
    `${path} is damaged at line ${line}: ${what}. Nothing was changed. Take another backup`,
  );
}

function headerOf({ epoch, revision, taken, instances }: BackupHeader): BackupHeader {
  return { epoch, revision, taken, instances };
}

function encodeEnd(sha256: string): string {
  return JSON.stringify({ end: true, sha256 });
}

function readHeader(path: string, bytes: Buffer): BackupHeader {
  const fields = parse(path, 1, bytes);
  if (fields['format'] !== FORMAT) throw new RegistryError('data_foreign', `${path} is not a backup of a registry`);
  if (fields['version'] !== VERSION) {
    throw new RegistryError('data_foreign', `${path} has another version: restore it with the regctl that took it`);
  }
  const { epoch } = fields;
  const [revision, taken, instances] = [fields['revision'], fields['taken'], fields['instances']].map(asCount);
  if (typeof epoch !== 'string' || revision === undefined || taken === undefined || instances === undefined) {
    throw damaged(path, 1, 'the header is not whole');
  }
  return { epoch, revision, taken, instances };
}

/** Whole numbers from 0 up: revisions, times and counts. */
export function asCount(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function parse(path: string, line: number, bytes: Buffer): Readonly<Record<string, unknown>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString('utf8'));
  } catch {
    parsed = undefined;
  }
  if (isObject(parsed)) return parsed;
  if (line === 1) throw new RegistryError('data_foreign', `${path} is not a backup of a registry`);
  throw damaged(path, line, 'it is not a JSON object');
}

/** The lines with their ends; what comes after the last end is a line too. */
async function* linesOf(path: string): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  let held = 0;
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      let from = 0;
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
        yield Buffer.concat([...rest, chunk.subarray(from, at + 1)]);
        rest = [];
        held = 0;
        from = at + 1;
      }
      rest.push(chunk.subarray(from));
      held += chunk.length - from;
      if (held > MAX_LINE_BYTES) throw new RegistryError('data_foreign', `${path} is not a backup of a registry`);
    }
  } catch (error) {
    throw error instanceof RegistryError ? error : unusable('read', path, error);
  }
  if (held > 0) yield Buffer.concat(rest);
}

function incomplete(what: string): RegistryError {
  return new RegistryError('bad_reply', `the pages are not those of one backup: ${what}`);
}

function unusable(verb: string, path: string, cause: unknown): RegistryError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new RegistryError('data_unusable', `cannot ${verb} ${path}: ${reason}`, { cause });
}
