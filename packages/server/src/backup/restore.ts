/** From the file of a backup to a data folder that a daemon starts with, under a new epoch. */

import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Clock,
  DEFAULT_LIMITS,
  decodeRequest,
  encodeRequest,
  type Limits,
  type RegisterRequest,
  RegistryError,
  type Status,
} from '@reg/protocol';
import type { RegisterChange } from '../change.js';
import { writeCheckpoint } from '../log/checkpoint.js';
import { DEADLINES, lastNumber, prepareFolder, setAside, sweepDrafts } from '../log/folder.js';
import type { FileHeader } from '../log/format.js';
import { lockFolder } from '../log/lock.js';
import { createEpoch } from '../log/log.js';
import { Segment } from '../log/segment.js';
import { writeSnapshot } from '../log/snapshot.js';
import { Registry } from '../registry/registry.js';
import { asCount, type BackupHeader, damaged, readBackup } from './file.js';

/** What any daemon can be told to take; the one that the backup is of may have been told more than the default. */
const LIMITS: Limits = { ...DEFAULT_LIMITS, maxValueBytes: 16 * 1024 * 1024, maxMetaBytes: 16 * 1024 * 1024 };

export interface RestoreOptions {
  readonly file: string;
  /** The data folder; made where it is not there. No daemon may be using it. */
  readonly folder: string;
  /** Sets aside what the folder holds; without it only an empty one is taken. */
  readonly replace: boolean;
  readonly clock: Clock;
}

export interface Restored extends BackupHeader {
  /** Of the registry that it has become. */
  readonly newEpoch: string;
  /** Where the data of before is; `undefined` where there was none. */
  readonly setAside: string | undefined;
}

/** A backup that was read to its end and found whole. */
interface CheckedBackup {
  readonly header: BackupHeader;
  /** With deadlines by the wall clock. */
  readonly registry: Registry;
}

/**
 * Checks all of the file before it changes anything. A crash on the way leaves the folder as it was, restored, or
 * such that a daemon refuses it.
 *
 * @throws {RegistryError} `data_damaged`, `data_foreign`, `data_locked` or `data_unusable`, saying what to do.
 */
export async function restoreBackup({ file, folder, replace, clock }: RestoreOptions): Promise<Restored> {
  const { header, registry } = await checkBackup(file);
  prepareFolder(folder);
  const unlock = await lockFolder(folder);
  try {
    const isEmpty = lastNumber(folder) === 0 && !existsSync(join(folder, DEADLINES));
    if (!isEmpty && !replace) {
      throw new RegistryError(
        'data_unusable',
        `${folder} holds a registry already. Name another folder with --data-dir, or give --replace, which sets aside what is there`,
      );
    }
    sweepDrafts(folder);
    const newEpoch = createEpoch();
    const number = lastNumber(folder) + 1;
    await writeLog(folder, number, newEpoch, registry);
    const place = isEmpty ? undefined : setAsideAll(folder, number, clock.wall());
    const { revision } = header;
    await writeCheckpoint(folder, { epoch: newEpoch, revision, clean: true, registry, skew: 0 });
    return { ...header, newEpoch, setAside: place };
  } finally {
    unlock();
  }
}

/**
 * Reads a backup as a restore does, and writes nothing. Every record has to be one that a daemon would have taken.
 *
 * @throws {RegistryError} `data_damaged`, `data_foreign` or `data_unusable`
 */
export async function checkBackup(file: string): Promise<CheckedBackup> {
  const registry = new Registry(1);
  let last = 0;
  const header = await readBackup(file, (fields, { revision, taken }, line) => {
    const { change, left } = readRecord(file, line, fields);
    const { key, instance, generation } = change;
    if (generation <= last || change.revision > revision || generation > change.revision) {
      throw damaged(file, line, 'its revision or generation is out of order');
    }
    if (registry.find(key, instance) !== undefined) throw damaged(file, line, 'the same instance was there before');
    registry.restore({ ...change, expiresAt: taken + left }, revision);
    last = generation;
  });
  registry.restored(header.revision);
  return { header, registry };
}

/** @returns the change that makes the instance, and what it had left, in ms. */
function readRecord(file: string, line: number, fields: Readonly<Record<string, unknown>>) {
  const { status, left } = fields;
  const request = readRegister(file, line, { ...fields, status: status === 'suspect' ? undefined : status });
  const [revision, generation, registered, at] = [
    fields['revision'],
    fields['generation'],
    fields['registered'],
    fields['changed'],
  ].map(asCount);
  if (revision === undefined || generation === undefined || registered === undefined || at === undefined) {
    throw damaged(file, line, 'it lacks a number');
  }
  const isSuspect: boolean = status === 'suspect';
  const kept: Status = isSuspect ? 'suspect' : request.status;
  const { key, instance, ttl, body, linger, owner } = request;
  const common = { revision, key, instance, generation, at, registered, ttl, body, linger, owner };
  const change: RegisterChange = { kind: 'register', ...common, status: kept, expiresAt: at + ttl };
  return { change, left: readLeft(file, line, left, ttl) };
}

/** As a register of the wire, so that nothing comes in by a file that would not come in by a connection. */
function readRegister(file: string, line: number, fields: Readonly<Record<string, unknown>>): RegisterRequest {
  // A generation is claimed with an owner, on the wire; here it is what the instance had.
  const sent = { ...fields, generation: undefined, takeover: undefined, id: undefined, type: 'register' };
  try {
    const request = decodeRequest(Buffer.from(encodeRequest('register', sent)), LIMITS);
    if (request.type === 'register') return request;
  } catch (error) {
    throw damaged(file, line, error instanceof Error ? error.message : String(error));
  }
  throw damaged(file, line, 'it is no registration');
}

function readLeft(file: string, line: number, left: unknown, ttl: number): number {
  if (left === 'never' && ttl === Number.POSITIVE_INFINITY) return ttl;
  if (typeof left === 'number' && left >= 0 && left * 1000 <= ttl && ttl < Number.POSITIVE_INFINITY) return left * 1000;
  throw damaged(file, line, 'what it has left does not go with its timeout');
}

/** The segment before the snapshot: without the one, the other is refused by every start. */
async function writeLog(folder: string, number: number, epoch: string, registry: Registry): Promise<void> {
  const instances = registry.all();
  const { revision } = registry;
  const header: FileHeader = { kind: 'segment', promised: 'replied-is-durable', revision, count: 0, epoch };
  const segment = await Segment.create(folder, number, header);
  await segment.close();
  await writeSnapshot(folder, number, {
    header: { ...header, kind: 'snapshot', count: instances.length },
    instances,
  });
}

/** The deadlines too: they are of another registry. @returns where it is. */
function setAsideAll(folder: string, from: number, wall: number): string {
  const place = setAside(folder, from, wall);
  const deadlines = join(folder, DEADLINES);
  if (existsSync(deadlines)) renameSync(deadlines, join(place, DEADLINES));
  return place;
}
