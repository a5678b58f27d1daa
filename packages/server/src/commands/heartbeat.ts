import { type EndedInstance, encodeReply, type Request, UNNAMED } from '@reg/protocol';
import type { Caller } from '../caller.js';
import type { Core } from '../core.js';
import type { Ended, Holder } from '../registry/holder.js';
import type { Registry } from '../registry/registry.js';
import type { Sight } from '../registry/selection.js';
import type { Reply } from '../reply.js';

/** What a reply has beside the list of what ended. */
const HEAD_BYTES = 512;

/**
 * Renews everything that the connection holds and its caller may register, however much that is, and tells what of it has ended since the last
 * time. What does not fit the reply is told by the next one.
 */
export function heartbeat({ id }: Request, core: Core, caller: Caller): Reply {
  const { registry, clock, log, limits, access } = core;
  const { holder } = caller;
  const now = clock.now();
  holder.beat(now);
  const held = `"held":${renew(holder, registry, access?.sight('register', caller), now)}`;
  const untold = holder.untold(log.durable);
  if (untold.length === 0) return { id, shows: 0, line: encodeReply(id, held) };

  const records: string[] = [];
  let bytes = HEAD_BYTES;
  let shows = 0;
  for (const ended of untold) {
    const record = JSON.stringify(recordOf(ended));
    bytes += Buffer.byteLength(record) + 1;
    if (bytes > limits.maxReplyBytes) break;
    records.push(record);
    shows = Math.max(shows, ended.revision);
  }
  for (const ended of untold.slice(0, records.length)) ended.toldWith = shows;
  return { id, shows, line: encodeReply(id, `${held},"ended":[${records.join(',')}]`) };
}

/**
 * What has expired is as good as ended, though the end may still have to be ordered: nobody sees it any more. What the
 * caller may no longer register stays bound to its connection, and runs out.
 *
 * @returns how many were renewed.
 */
function renew(holder: Holder, registry: Registry, sight: Sight | undefined, now: number): number {
  const { held } = holder;
  let withheld = 0;
  // Backwards: what is lost leaves its place to the last.
  for (let index = held.length - 1; index >= 0; index -= 1) {
    const instance = held[index];
    if (instance === undefined) continue;
    if (instance.expiresAt <= now) holder.lose(instance, 'expired', 0);
    else if (sight !== undefined && !sight.has(instance.key)) withheld += 1;
    else registry.renew(instance, now + instance.ttl);
  }
  return held.length - withheld;
}

function recordOf({ key, instance, generation, reason }: Ended): EndedInstance {
  return instance === UNNAMED ? { key, generation, reason } : { key, instance, generation, reason };
}
