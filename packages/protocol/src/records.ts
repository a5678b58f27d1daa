/** What a record of the wire says without saying it, and whether it is one that was asked for. */

import type { InstanceRecord, Labels, Status } from './messages.js';

/** A record leaves out that an instance is passing. */
export function statusOf({ status }: Pick<InstanceRecord, 'status'>): Status {
  return status ?? 'passing';
}

/** Whether something has all of these tags, and in its metadata all of these texts under these names. */
export function hasLabels(
  { tags: own = [], meta: ownMeta = {} }: Labels,
  tags: readonly string[],
  meta: readonly (readonly [string, string])[],
): boolean {
  return (
    tags.every((tag) => own.includes(tag)) &&
    meta.every(([name, text]) => Object.hasOwn(ownMeta, name) && ownMeta[name] === text)
  );
}
