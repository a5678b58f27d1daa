import { ALL, LINE_END, openReply, type QueryRequest, RegistryError } from '@reg/protocol';
import type { Core } from '../core.js';
import { encodeRecord, type Instance } from '../registry/instance.js';
import type { Selected } from '../registry/registry.js';
import type { Reply } from '../reply.js';

/** A reply with more records is made in pieces of so many. */
const RECORDS_PER_PIECE = 500;

/**
 * Answers what is registered and has not expired. The records are those of this moment, however long it takes
 * to send them.
 */
export function query(request: QueryRequest, core: Core): Reply {
  const now = core.clock.now();
  const { id, key, instance, after, limit, detail } = request;
  const service = key === ALL ? undefined : key;
  const selected = core.registry.select({ service, instance, after, limit, maxBytes: core.limits.maxReplyBytes }, now);
  const isPage = limit < Number.POSITIVE_INFINITY || after > 0;
  if (selected.cut === 'bytes' && !(isPage && selected.instances.length > 0)) {
    throw new RegistryError(
      'too_large',
      `the reply would be over ${core.limits.maxReplyBytes} bytes: ask for pages, with "limit" and then "after"`,
    );
  }
  const opening = `${openReply(id)},${encodeHead(selected, core, now)}"services":[`;
  const { instances } = selected;
  const leftAt = detail ? now : undefined;
  const line =
    instances.length <= RECORDS_PER_PIECE
      ? `${opening}${encodeRecords(instances, leftAt)}]}${LINE_END}`
      : inPieces(opening, instances, leftAt);
  return { id, shows: selected.revision, line };
}

function encodeHead({ revision, cut, instances }: Selected, { warmUntil }: Core, now: number): string {
  const warming = now < warmUntil ? '"warming":true,' : '';
  const next = cut === undefined ? '' : `"next":${instances.at(-1)?.generation ?? 0},`;
  return `"revision":${revision},${warming}${next}`;
}

function encodeRecords(instances: readonly Instance[], leftAt: number | undefined): string {
  return instances.map((instance) => encodeRecord(instance, leftAt)).join();
}

function* inPieces(opening: string, instances: readonly Instance[], leftAt: number | undefined): Generator<string> {
  yield opening;
  for (let start = 0; start < instances.length; start += RECORDS_PER_PIECE) {
    const records = encodeRecords(instances.slice(start, start + RECORDS_PER_PIECE), leftAt);
    yield start === 0 ? records : `,${records}`;
  }
  yield `]}${LINE_END}`;
}
