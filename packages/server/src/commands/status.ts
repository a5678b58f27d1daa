import { encodeReply, type Request, type StatusReply } from '@reg/protocol';
import type { Core } from '../core.js';
import type { Reply } from '../reply.js';

/** Tells what the daemon holds, does and lacks. It costs a look at what is overdue, and nothing else that grows. */
export function status({ id }: Request, core: Core): Reply {
  const { registry, log, hub, clock, counts, limits, warmUntil } = core;
  const now = clock.now();
  const { rss, heapUsed } = process.memoryUsage();
  const reply: StatusReply = {
    server: 'reg',
    version: core.version,
    pid: process.pid,
    started: core.started,
    epoch: log.epoch,
    // What is not durable yet is not told of, and does not keep this from being answered.
    revision: Math.min(registry.revision, log.durable),
    log: log.kind,
    durability: log.durability,
    ...(now < warmUntil ? { warming: (warmUntil - now) / 1000 } : {}),
    ...(log.refusal === undefined ? {} : { refusing: log.refusal.message }),
    services: registry.services,
    instances: registry.byStatus,
    connections: counts.connections,
    watches: hub.watches,
    maxWatches: limits.maxWatches,
    behind: hub.behind,
    renewals: registry.renewals,
    expired: counts.expired,
    overdue: registry.overdue(now),
    stalled: clock.excluded,
    memory: { resident: rss, heap: heapUsed },
  };
  return { id, shows: 0, line: encodeReply(id, JSON.stringify(reply).slice(1, -1)) };
}
