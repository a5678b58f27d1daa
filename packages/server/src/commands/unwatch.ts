import { encodeReply, type UnwatchRequest } from '@reg/protocol';
import type { Caller } from '../caller.js';
import type { Core } from '../core.js';
import type { Reply } from '../reply.js';

/** Ends a watch. No event of it follows the reply. */
export function unwatch({ id, watch }: UnwatchRequest, _: Core, { feed }: Caller): Reply {
  feed.end(watch);
  return { id, shows: 0, line: encodeReply(id, '') };
}
