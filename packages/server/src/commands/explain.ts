import {
  type AuditEntry,
  type ExplainReply,
  type ExplainRequest,
  encodeReply,
  type HolderReply,
  UNOWNED,
} from '@reg/protocol';
import { type Change, reasonOf } from '../change.js';
import type { Core } from '../core.js';
import type { Holder } from '../registry/holder.js';
import { encodeRecord, type Instance, isBound } from '../registry/instance.js';
import type { Registry } from '../registry/registry.js';
import type { Reply } from '../reply.js';

/** So many changes are looked through at most for how one ended: a few ms. */
const MAX_LOOKS = 100_000;

/** Tells what is known of one instance: who registered it, from where, how it was renewed, and who watches. */
export function explain({ id, key, instance: name }: ExplainRequest, { registry, hub, clock, audit }: Core): Reply {
  const now = clock.now();
  const revision = registry.lastChangeOf(key);
  const watchers = hub.watchersOf(key);
  const found = registry.find(key, name);
  const instance = found !== undefined && found.expiresAt > now ? found : undefined;
  const service = instance === undefined ? '' : `,"service":${encodeRecord(instance, instance.expiresAt - now)}`;
  const rest: Omit<ExplainReply, 'revision' | 'service'> = {
    ...(instance === undefined ? endedOf(registry, key, name) : detailsOf(instance, clock.wall() - now)),
    watches: watchers.count,
    watchers: watchers.peers,
    ...auditOf(audit?.of(key, name)),
  };
  return {
    id,
    shows: revision,
    line: encodeReply(id, `"revision":${revision}${service},${JSON.stringify(rest).slice(1, -1)}`),
  };
}

/** @param skew what is to be added to registry time to get the wall clock's. */
function detailsOf(instance: Instance, skew: number): Partial<ExplainReply> {
  const { owner, at, ttl, expiresAt, grip, holder } = instance;
  // The deadline of one that is without its connection says when that broke.
  const isRenewed = ttl < Number.POSITIVE_INFINITY && (grip !== -1 || !isBound(instance));
  return {
    owned: owner !== UNOWNED,
    changed: at,
    ...(isRenewed ? { renewed: Math.round(expiresAt - ttl + skew) } : {}),
    ...(holder === undefined ? {} : { holder: describe(holder) }),
  };
}

function auditOf(entries: readonly AuditEntry[] = []): Pick<ExplainReply, 'audit'> {
  return entries.length === 0 ? {} : { audit: entries };
}

function describe(holder: Holder): HolderReply {
  const { peer, opened, closed, heartbeats } = holder;
  return { peer, opened, ...(closed === undefined ? {} : { closed }), heartbeats, intervals: holder.intervals() };
}

function endedOf(registry: Registry, key: string, name: string): Partial<ExplainReply> {
  const change = latestOf(registry, key, name);
  if (change === undefined || change.kind === 'register') return {};
  const { revision, at } = change;
  return { ended: { reason: reasonOf(change), revision, at } };
}

function latestOf({ history, revision }: Registry, key: string, name: string): Change | undefined {
  const end = history.indexAfter(revision);
  for (let index = end - 1; index >= Math.max(0, end - MAX_LOOKS); index -= 1) {
    const change = history.at(index);
    if (change?.key === key && change.instance === name) return change;
  }
  return undefined;
}
