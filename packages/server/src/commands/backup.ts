import { type BackupRequest, encodeReply, RegistryError, UNOWNED } from '@reg/protocol';
import type { Backup, Caller } from '../caller.js';
import type { Core } from '../core.js';
import { encodeRecord, type Instance } from '../registry/instance.js';
import type { Reply } from '../reply.js';

/** A page has records of about so many bytes, and one at least: a millisecond or two of work. */
const PAGE_BYTES = 256 * 1024;

/**
 * Answers everything that is registered at one moment, secrets of owners too, page by page: the moment is that of the
 * first page, however long the others are waited for. Until the last is asked for, or the connection ends, what was
 * registered then is kept in memory, as far as it is there no more.
 */
export function backup({ id, after }: BackupRequest, core: Core, caller: Caller): Reply {
  if (after === 0) {
    caller.backup = begin(core);
    core.audit?.record(caller, 'backed_up', { revision: core.registry.revision });
  }
  const { backup } = caller;
  if (backup === undefined || (after !== 0 && backup.next !== after)) {
    throw new RegistryError('unknown_backup', 'no backup on this connection goes on there: begin one, without "after"');
  }
  const { epoch, revision, taken, instances } = backup;
  const services = nextPage(backup).join(',');
  const isLast = backup.next === instances.length;
  if (isLast) caller.backup = undefined;
  const head = `"epoch":"${epoch}","revision":${revision},"taken":${taken},"instances":${instances.length}`;
  const onward = isLast ? '' : `,"next":${backup.next}`;
  return { id, shows: revision, line: encodeReply(id, `${head}${onward},"services":[${services}]`) };
}

/**
 * Holds on to this moment: instances never change, but their deadlines do. It is the one thing here that takes the
 * longer the more there is, some 20 ms for a million; a snapshot of the log has the same cost.
 */
function begin({ registry, log, clock }: Core): Backup {
  const now = clock.now();
  const instances = registry.all().filter(({ expiresAt }) => expiresAt > now);
  return {
    epoch: log.epoch,
    revision: registry.revision,
    taken: clock.wall(),
    instances,
    left: Float64Array.from(instances, ({ expiresAt }) => expiresAt - now),
    next: 0,
  };
}

function nextPage(backup: Backup): string[] {
  const { instances, left } = backup;
  const records: string[] = [];
  let bytes = 0;
  for (let instance = instances[backup.next]; instance && bytes < PAGE_BYTES; instance = instances[backup.next]) {
    records.push(encodeKept(instance, left[backup.next] ?? 0));
    bytes += instance.recordBytes;
    backup.next += 1;
  }
  return records;
}

/** The record, with what only a backup tells. */
function encodeKept(instance: Instance, left: number): string {
  const { at, owner } = instance;
  const secret = owner === UNOWNED ? '' : `,"owner":${JSON.stringify(owner)}`;
  return `${encodeRecord(instance, left).slice(0, -1)},"changed":${at}${secret}}`;
}
