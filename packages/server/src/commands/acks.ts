import { type AcksRequest, encodeReply } from '@reg/protocol';
import type { Core } from '../core.js';
import type { Reply } from '../reply.js';

/** Tells who drains how many of those that acknowledge have seen it leave. */
export function acks({ id, key, revision }: AcksRequest, { hub }: Core): Reply {
  const { watches, acknowledged } = hub.acknowledgementsOf(key, revision);
  return { id, shows: 0, line: encodeReply(id, `"watches":${watches},"acknowledged":${acknowledged}`) };
}
