/** What the model speaks of: plain values in the units of the wire, and what is easily said of them. */

import type { GoneRecord, InstanceRecord, OwnStatus, Status } from '@reg/protocol';

/** What an instance is registered with; all in the units of the wire. */
interface Content {
  readonly values: number | string;
  readonly timeout: number | 'never';
  readonly tags?: readonly string[];
  readonly linger?: number;
  readonly status?: OwnStatus;
}

export interface Registration extends Content {
  readonly key: string;
  readonly instance?: string;
  readonly owner?: string;
  readonly generation?: number;
  readonly takeover?: boolean;
}

export interface Instance {
  readonly key: string;
  readonly instance: string | undefined;
  readonly content: Omit<Content, 'status'>;
  readonly owner: string | undefined;
  readonly status: Status;
  readonly revision: number;
  readonly generation: number;
  /** ms since the Unix epoch. */
  readonly registered: number;
  /** Model time in ms. */
  deadline: number;
  /** Number of the connection that holds it; `lost` where that is not known since a restart. */
  holder: number | 'lost' | undefined;
}

type Kind = 'registered' | 'updated' | 'expired' | 'destroyed';

/** A change, as every watch of it has to be told. */
export interface ModelChange {
  readonly revision: number;
  readonly change: Kind;
  readonly service: InstanceRecord | GoneRecord;
}

/** A change that was observed. */
export interface Told {
  readonly revision: number;
  readonly change: Kind;
  readonly service: { readonly key: string; readonly instance?: string };
}

/** A change that is due. */
export interface Due {
  readonly change: Kind;
  readonly key: string;
  readonly instance: string | undefined;
  readonly apply: (revision: number) => void;
}

/** What a watch looks at. */
export interface Scope {
  readonly key?: string;
  readonly prefix?: string;
}

export interface Selection {
  readonly key: string;
  readonly instance?: string;
  readonly status?: Status | 'any';
  readonly tags?: readonly string[];
}

export type Outcome =
  | {
      readonly result: 'registered' | 'updated' | 'renewed';
      readonly revision: number;
      readonly generation: number;
      readonly registered: number;
    }
  | { readonly error: 'owned' | 'superseded' | 'destroyed' | 'storage_full' };

export function nameOf(key: string, instance: string | undefined): string {
  return `${key}/${instance ?? ''}`;
}

export function isIn({ key, prefix = '' }: Scope, name: string): boolean {
  return key === undefined || key === 'all' ? name.startsWith(prefix) : name === key;
}

export function recordOf({
  key,
  instance,
  content,
  status,
  revision,
  generation,
  registered,
}: Instance): InstanceRecord {
  return {
    key,
    ...(instance === undefined ? {} : { instance }),
    ...content,
    ...(status === 'passing' ? {} : { status }),
    revision,
    generation,
    registered,
  };
}

export function goneRecordOf(gone: Instance | undefined): GoneRecord {
  if (gone === undefined) throw new Error('what was not there has ended');
  const { key, instance, generation } = gone;
  return { key, ...(instance === undefined ? {} : { instance }), generation };
}

/** A copy whose contents say the same where their texts are equal. */
export function inOrder(request: Registration): Registration {
  const { values, timeout, tags, linger, ...rest } = request;
  const labels = { ...(tags === undefined ? {} : { tags }), ...(linger === undefined ? {} : { linger }) };
  return { ...rest, values, timeout, ...labels };
}

/** Whether a registration says nothing new, but that it is not suspect. */
export function isSame(old: Instance, content: Instance['content'], status: OwnStatus): boolean {
  const isText = JSON.stringify(old.content) === JSON.stringify(content);
  return isText && (old.status === status || old.status === 'suspect');
}

export function msOf(timeout: number | 'never'): number {
  return timeout === 'never' ? Number.POSITIVE_INFINITY : timeout * 1000;
}
