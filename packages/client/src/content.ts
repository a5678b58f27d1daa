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
  /** Which of the labels it is to change; the others it has from the content before it. */
  readonly changes: Labels;
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

/** What the next content of a registration has from those before it. */
export interface Basis {
  readonly version: number;
  /** It keeps those that it does not change. */
  readonly labels: Labels;
  /** Changes that were not sent yet: they go out, and may be refused, with its own. */
  readonly unsent: Labels;
}

const FIRST: Basis = { version: 1, labels: {}, unsent: {} };

/**
 * Values and labels are copied: what the caller does to them later changes nothing. Whether they are within
 * the daemon's limits, the daemon says.
 *
 * @throws {RegistryError} `bad_request` where JSON cannot say it.
 */
export function makeContent(identity: Identity, values: Json, changed: Labels, basis: Basis = FIRST): Content {
  if (values === undefined) throw new RegistryError('bad_request', '"values" is missing');
  const { key, instance, ttl } = identity;
  const { version, unsent } = basis;
  const changes = { ...unsent, ...copyLabels(changed) };
  const labels = { ...basis.labels, ...changes };
  const message = { key, instance: instance ?? undefined, values, timeout: ttl, ...labels };
  return { version, labels, changes, line: encodeLine('register', message) };
}

/** The same content with its changes made to other labels. */
export function rebase({ version, changes, line }: Content, onto: Labels): Content {
  const labels = { ...onto, ...changes };
  const { tags, meta, weight } = labels;
  // What is not there any more has to go from the line too.
  const message = { ...JSON.parse(line), tags, meta, weight };
  return { version, labels, changes, line: encodeLine('register', message) };
}

function copyLabels({ tags, meta, weight }: Labels): Labels {
  try {
    return structuredClone({ ...(tags && { tags }), ...(meta && { meta }), ...(weight !== undefined && { weight }) });
  } catch (cause) {
    throw new RegistryError('bad_request', 'the labels hold what JSON cannot say', { cause });
  }
}

/** The request that ends it. */
export function destroyLine({ key, instance }: Identity): string {
  return encodeLine('destruction', { key, instance: instance ?? undefined });
}
