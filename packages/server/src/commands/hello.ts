import { encodeReply, type HelloReply, PROTOCOL_VERSION, type Request, WIRE_LIMITS } from '@reg/protocol';
import type { Core } from '../core.js';
import type { Reply } from '../reply.js';

/** Tells who answers, which history of revisions it keeps, and what it takes. */
export function hello({ id }: Request, core: Core): Reply {
  const { registry, log, limits, version, clock, warmUntil } = core;
  const reply: HelloReply = {
    server: 'reg',
    version,
    protocol: PROTOCOL_VERSION,
    epoch: log.epoch,
    revision: registry.revision,
    log: log.kind,
    durability: log.durability,
    ...(clock.now() < warmUntil ? { warming: true } : {}),
    limits: { ...limits, ...WIRE_LIMITS },
  };
  return { id, shows: registry.revision, line: encodeReply(id, JSON.stringify(reply).slice(1, -1)) };
}
