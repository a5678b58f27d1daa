import { type AuditReply, type AuditRequest, encodeReply, RegistryError } from '@reg/protocol';
import type { Core } from '../core.js';
import type { Reply } from '../reply.js';

/**
 * Tells what was recorded lately.
 *
 * @throws {RegistryError} `too_large`
 */
export function audit({ id, limit, after }: AuditRequest, { audit: kept, registry, limits }: Core): Reply {
  const reply: AuditReply = { kept: kept?.kept ?? 'none', entries: kept?.entries(limit, after) ?? [] };
  const line = encodeReply(id, JSON.stringify(reply).slice(1, -1));
  if (Buffer.byteLength(line) > limits.maxReplyBytes) {
    throw new RegistryError('too_large', `the reply would be over ${limits.maxReplyBytes} bytes: give a "limit"`);
  }
  const latest = Math.max(0, ...reply.entries.map(({ revision = 0 }) => revision));
  // What was undone is durable never.
  return { id, shows: Math.min(latest, registry.revision), line };
}
