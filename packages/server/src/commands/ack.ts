import { type AckRequest, encodeReply } from '@reg/protocol';
import type { Caller } from '../caller.js';
import type { Core } from '../core.js';
import type { Reply } from '../reply.js';

/** Takes down what a watch has seen, for who asks with `acks`. */
export function ack({ id, watch, revision }: AckRequest, _: Core, { feed }: Caller): Reply {
  feed.acknowledge(watch, revision);
  return { id, shows: 0, line: encodeReply(id, '') };
}
