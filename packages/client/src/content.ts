import {
  checkName,
  type Json,
  type Labels,
  type OwnStatus,
  parseLinger,
  parseTimeout,
  RegistryError,
  type Timeout,
} from '@reg/protocol';
import { encodeLine } from './wire.js';

/** What a registration is about; it never changes. */
export interface Identity {
  readonly key: string;
  /** `null` for the service's one unnamed instance. */
  readonly instance: string | null;
  /** Seconds. */
  readonly ttl: Timeout;
  /** Seconds that it outlives its connection; `null` where it is bound to none. */
  readonly linger: number | null;
  /** Who has this secret owns it: one registration of this process, and nobody else. */
  readonly owner: string;
}

/** What is given to identify a registration. */
export interface Naming {
  readonly key: string;
  readonly instance: string | null;
  readonly ttl: Timeout | undefined;
  readonly linger: number | null | undefined;
}

/** By what right it is registered, beside the owner's secret. */
export interface Claim {
  /** Which generation is its own, as far as it knows. */
  readonly generation?: number | undefined;
  /** Takes it over from a live owner. */
  readonly takeover?: true | undefined;
}

/** What can change of a registration beside its values. */
export interface Sayings extends Labels {
  readonly status?: OwnStatus;
}

/** What a registration says. */
export interface Content {
  /** Counts up from one content of a registration to the next. */
  readonly version: number;
  readonly values: Json;
  readonly sayings: Sayings;
  /** Which of them it is to change; the others it has from the content before it. */
  readonly changes: Sayings;
}

/** Short enough that a process that was killed is gone before it hurts, long enough for a connection made anew. */
const DEFAULT_LINGER = 2;

/** @throws {RegistryError} `invalid_name`, `reserved_name`, `invalid_timeout` or `invalid_linger`, as the daemon would. */
export function checkIdentity({ key, instance, ttl, linger }: Naming, owner: string): Identity {
  return {
    key: checkName(key, 'key'),
    instance: instance === null ? null : checkName(instance, 'instance'),
    ttl: parseTimeout(ttl),
    linger: linger === undefined ? DEFAULT_LINGER : (parseLinger(linger) ?? null),
    owner,
  };
}

/** What the next content of a registration has from those before it. */
export interface Basis {
  readonly version: number;
  /** It keeps those that it does not change. */
  readonly sayings: Sayings;
  /** Changes that were not sent yet: they go out, and may be refused, with its own. */
  readonly unsent: Sayings;
}

const FIRST: Basis = { version: 1, sayings: {}, unsent: {} };

/**
 * Values and labels are copied: what the caller does to them later changes nothing. Whether they are within
 * the daemon's limits, the daemon says.
 *
 * @throws {RegistryError} `bad_request` where JSON cannot say it.
 */
export function makeContent(values: Json, changed: Sayings, basis: Basis = FIRST): Content {
  const { version, unsent } = basis;
  const changes = { ...unsent, ...copySayings(changed) };
  return { version, values: copyValues(values), sayings: { ...basis.sayings, ...changes }, changes };
}

/** The same content with its changes made to other sayings. */
export function rebase(content: Content, onto: Sayings): Content {
  return { ...content, sayings: { ...onto, ...content.changes } };
}

function copyValues(values: Json): Json {
  let encoded: string | undefined;
  try {
    encoded = JSON.stringify(values);
  } catch (cause) {
    throw new RegistryError('bad_request', '"values" holds what JSON cannot say', { cause });
  }
  if (encoded === undefined) throw new RegistryError('bad_request', '"values" is missing');
  return JSON.parse(encoded);
}

function copySayings({ tags, meta, weight, status }: Sayings): Sayings {
  try {
    return structuredClone({
      ...(tags && { tags }),
      ...(meta && { meta }),
      ...(weight !== undefined && { weight }),
      ...(status !== undefined && { status }),
    });
  } catch (cause) {
    throw new RegistryError('bad_request', 'the labels hold what JSON cannot say', { cause });
  }
}

/** The request that registers it, renews it, or changes it. */
export function registerLine(identity: Identity, { values, sayings }: Content, claim: Claim): string {
  const { key, instance, ttl, linger, owner } = identity;
  const bound = { linger: linger ?? undefined };
  const named = { key, instance: instance ?? undefined };
  return encodeLine('register', { ...named, values, timeout: ttl, ...bound, ...sayings, owner, ...claim });
}

/** The request that ends it, and nobody else's. */
export function destroyLine({ key, instance, owner }: Identity): string {
  return encodeLine('destruction', { key, instance: instance ?? undefined, owner });
}
