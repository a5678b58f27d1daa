import { encodeReply, type Request } from '@reg/protocol';
import type { Reply } from '../reply.js';

/** Shows that the daemon is there and answers. */
export function ping({ id }: Request): Reply {
  return { id, shows: 0, line: encodeReply(id, '') };
}
