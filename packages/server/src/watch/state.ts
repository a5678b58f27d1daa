import type { Scope } from '@reg/protocol';
import type { Instance } from '../registry/instance.js';
import type { Registry } from '../registry/registry.js';
import { encodeState } from './events.js';
import type { Watch } from './watch.js';

/** The instances that a watch sees, at one moment, on their way out. */
export interface State {
  /** The last change that it shows: it leaves when that is durable. */
  readonly shows: number;
  /** Every change up to this revision is in it. */
  readonly revision: number;
  readonly lines: Iterator<string, undefined>;
}

/** Costs a look at each instance that is seen, and where the scope is a prefix at the name of each service. */
export function takeState(registry: Registry, { number, feed, scope, reset }: Watch): State {
  const instances = instancesOf(registry, scope);
  return {
    shows: lastChangeOf(registry, scope),
    revision: registry.revision,
    lines: encodeState(number, reset, instances, feed.sightOf(scope)),
  };
}

/** Revision of the last change that a watch of this scope would be told, or of a later one. */
export function lastChangeOf(registry: Registry, scope: Scope): number {
  return 'service' in scope ? registry.lastChangeOf(scope.service) : registry.revision;
}

/** The expired and not yet ended are among them: their end will come as a change. */
function instancesOf(registry: Registry, scope: Scope): Instance[] {
  if ('service' in scope) return [...registry.instancesOf(scope.service)];
  return scope.prefix === '' ? registry.all() : registry.instancesUnder(scope.prefix);
}
