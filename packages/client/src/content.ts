import { checkName, type Json, type Labels, parseTimeout, RegistryError, type Timeout } from '@reg/protocol';
import { encodeLine } from './wire.js';

/** What a registration is about; it never changes. */
export interface Identity {
  readonly key: string;
  /** `null` for the service's one unnamed instance. */
  readonly instance: string | null;
  /** Seconds. */
  readonly ttl: Timeout;
}

/** What a registration says, frozen into the line that says it: heartbeats send it many times. */
export interface Content {
  /** Counts up from one content of a registration to the next. */
  readonly version: number;
  readonly labels: Labels;
  /** The whole register request. */
  readonly line: string;
}

/** @throws {RegistryError} `invalid_name`, `reserved_name` or `invalid_timeout`, as the daemon would answer. */
export function checkIdentity(key: string, instance: string | null, ttl: Timeout | undefined): Identity {
  return {
    key: checkName(key, 'key'),
    instance: instance === null ? null : checkName(instance, 'instance'),
    ttl: parseTimeout(ttl),
  };
}

/**
 * Values and labels are copied: what the caller does to them later changes nothing. Whether they are within
 * the daemon's limits, the daemon says.
 *
 * @throws {RegistryError} `bad_request` where JSON cannot say it.
 */
export function makeContent(identity: Identity, values: Json, labels: Labels, version: number): Content {
  if (values === undefined) throw new RegistryError('bad_request', '"values" is missing');
  const { key, instance, ttl } = identity;
  const { tags, meta, weight } = labels;
  const message = { key, instance: instance ?? undefined, values, timeout: ttl, tags, meta, weight };
  const line = encodeLine('register', message);
  return { version, labels: structuredClone(pickLabels(labels)), line };
}

/** The labels of `changes`, and of `labels` where `changes` says nothing. */
export function mergeLabels(labels: Labels, changes: Labels): Labels {
  return { ...labels, ...pickLabels(changes) };
}

function pickLabels({ tags, meta, weight }: Labels): Labels {
  return { ...(tags && { tags }), ...(meta && { meta }), ...(weight !== undefined && { weight }) };
}

/** The request that ends it. */
export function destroyLine({ key, instance }: Identity): string {
  return encodeLine('destruction', { key, instance: instance ?? undefined });
}
