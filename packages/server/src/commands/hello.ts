import { encodeReply, type HelloReply, PROTOCOL_VERSION, type Request, WIRE_LIMITS } from '@reg/protocol';
import type { Caller } from '../caller.js';
import type { Core } from '../core.js';
import type { Reply } from '../reply.js';

/**
 * Tells who answers, which history of revisions it keeps, and what it takes. Who still has to authenticate is told only
 * what is needed for that.
 */
export function hello({ id }: Request, core: Core, { identity }: Caller): Reply {
  const { registry, log, limits, version, clock, warmUntil, access } = core;
  const common = { server: 'reg', protocol: PROTOCOL_VERSION } as const;
  const all = { ...limits, ...WIRE_LIMITS };
  if (access !== undefined && identity === undefined) {
    return answer(id, 0, { ...common, authentication: 'required', limits: all });
  }
  return answer(id, registry.revision, {
    server: common.server,
    version,
    protocol: common.protocol,
    authentication: access === undefined ? 'none' : 'required',
    epoch: log.epoch,
    revision: registry.revision,
    log: log.kind,
    durability: log.durability,
    ...(clock.now() < warmUntil ? { warming: true } : {}),
    limits: all,
  });
}

function answer(id: Request['id'], shows: number, reply: HelloReply): Reply {
  return { id, shows, line: encodeReply(id, JSON.stringify(reply).slice(1, -1)) };
}
