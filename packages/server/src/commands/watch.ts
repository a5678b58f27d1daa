import { encodeReply, type WatchRequest } from '@reg/protocol';
import type { Caller } from '../caller.js';
import type { Core } from '../core.js';
import type { Reply } from '../reply.js';
import { PROGRESS_SECONDS } from '../watch/feed.js';

/** Begins a watch. Its events follow the reply, whenever that leaves. */
export function watch(request: WatchRequest, { bounds }: Core, { feed, account }: Caller): Reply {
  bounds.admitWatch(feed.watches, account);
  const opened = feed.open(request);
  const fields = `"watch":${opened.number},"epoch":${JSON.stringify(feed.epochOf(request.scope))},"progress":${PROGRESS_SECONDS}`;
  return {
    id: request.id,
    shows: 0,
    line: encodeReply(request.id, fields),
    onSent: () => feed.begin(opened, request.from),
  };
}
