/** Whether the registry, its owners and its watchers agree. */

import type { InstanceRecord } from '@reg/protocol';

/** What an owner believes to have registered. */
export interface Owned {
  readonly key: string;
  readonly instance: string;
  readonly values: unknown;
  /** `registered`, unless something is wrong: the client's own word. */
  readonly state: string;
  /** Who it is, for messages. */
  readonly owner: string;
}

/** What is compared of an instance that is listed; the wire's records, and what clients make of them, have it. */
export type Listed = Pick<InstanceRecord, 'key' | 'instance' | 'values' | 'generation' | 'revision'> & {
  readonly status?: string;
};

/** What a watcher believes to be there. */
export interface View {
  /** Who it is, for messages. */
  readonly name: string;
  /** A service's name, every service whose name begins so, or `all`. */
  readonly what: What;
  readonly listed: readonly Listed[];
}

export type What = string | { readonly prefix: string };

/** Everything that is not as it should be, in words; empty where all agree. */
export function compare(owned: readonly Owned[], registry: readonly Listed[], views: readonly View[]): string[] {
  return [...compareOwners(owned, registry), ...views.flatMap((view) => compareView(view, registry))];
}

/** Whether a watch of this is told of that service. */
export function covers(what: What, key: string): boolean {
  return typeof what === 'string' ? what === 'all' || what === key : key.startsWith(what.prefix);
}

function compareOwners(owned: readonly Owned[], registry: readonly Listed[]): string[] {
  const wrong: string[] = [];
  const left = new Map<string, Listed>();
  for (const listed of registry) {
    if (left.has(nameOf(listed))) wrong.push(`${nameOf(listed)} is registered twice`);
    left.set(nameOf(listed), listed);
  }
  for (const { owner, state, ...expected } of owned) {
    const name = nameOf(expected);
    const listed = left.get(name);
    left.delete(name);
    if (state !== 'registered') wrong.push(`${name} of ${owner}: its owner says that it is ${state}`);
    if (listed === undefined) wrong.push(`${name} of ${owner} is not registered`);
    else if (!isSame(listed.values, expected.values)) {
      wrong.push(`${name} of ${owner} has ${JSON.stringify(listed.values)}, not ${JSON.stringify(expected.values)}`);
    } else if ((listed.status ?? 'passing') !== 'passing') wrong.push(`${name} of ${owner} is ${listed.status}`);
  }
  for (const name of left.keys()) wrong.push(`${name} is registered, and nobody owns it`);
  return wrong;
}

function compareView({ name, what, listed }: View, registry: readonly Listed[]): string[] {
  const wrong: string[] = [];
  const left = new Map(registry.filter(({ key }) => covers(what, key)).map((record) => [nameOf(record), record]));
  for (const seen of listed) {
    const record = left.get(nameOf(seen));
    if (record === undefined) wrong.push(`${name} sees ${describe(seen)}, which is not there or seen twice`);
    else if (!isSame(comparable(seen), comparable(record))) {
      wrong.push(`${name} sees ${describe(seen)}, which is ${describe(record)}`);
    }
    left.delete(nameOf(seen));
  }
  for (const record of left.values()) wrong.push(`${name} does not see ${describe(record)}`);
  return wrong;
}

export function nameOf({ key, instance = '' }: { readonly key: string; readonly instance?: string }): string {
  return `${key}/${instance}`;
}

/** What has to be equal, in an order of its own. */
function comparable({ generation, revision, status = 'passing', values }: Listed): readonly unknown[] {
  return [generation, revision, status, values];
}

function describe(listed: Listed): string {
  return `${nameOf(listed)} ${JSON.stringify(comparable(listed))}`;
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
