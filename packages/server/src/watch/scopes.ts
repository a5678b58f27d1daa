import type { Watch } from './watch.js';

const NONE: readonly Set<Watch>[] = [];

/**
 * Watches by what they look at, so that a change of a service finds its watches and touches no other: by its name,
 * and by each beginning of it that is as long as some watched prefix.
 */
export class Scopes {
  readonly #services = new Map<string, Set<Watch>>();
  readonly #prefixes = new Map<string, Set<Watch>>();
  /** The lengths of the prefixes, and how many there are of each. */
  readonly #lengths = new Map<number, number>();

  constructor(watches: Iterable<Watch> = []) {
    for (const watch of watches) this.add(watch);
  }

  add(watch: Watch): void {
    const { scope } = watch;
    if ('service' in scope) {
      const watches = this.#services.get(scope.service);
      if (watches === undefined) this.#services.set(scope.service, new Set([watch]));
      else watches.add(watch);
      return;
    }
    const watches = this.#prefixes.get(scope.prefix);
    if (watches !== undefined) {
      watches.add(watch);
      return;
    }
    const { length } = scope.prefix;
    this.#prefixes.set(scope.prefix, new Set([watch]));
    this.#lengths.set(length, (this.#lengths.get(length) ?? 0) + 1);
  }

  remove(watch: Watch): void {
    const { scope } = watch;
    if ('service' in scope) {
      removeFrom(this.#services, scope.service, watch);
    } else if (removeFrom(this.#prefixes, scope.prefix, watch)) {
      const { length } = scope.prefix;
      const left = (this.#lengths.get(length) ?? 0) - 1;
      if (left > 0) this.#lengths.set(length, left);
      else this.#lengths.delete(length);
    }
  }

  /** The watches that see a service, in sets; none is in two of them. */
  of(service: string): readonly Set<Watch>[] {
    const own = this.#services.get(service);
    if (this.#lengths.size === 0) return own === undefined ? NONE : [own];
    const found = own === undefined ? [] : [own];
    for (const length of this.#lengths.keys()) {
      const watches = length <= service.length ? this.#prefixes.get(service.slice(0, length)) : undefined;
      if (watches !== undefined) found.push(watches);
    }
    return found;
  }
}

/** @returns whether none is left under the name. */
function removeFrom(table: Map<string, Set<Watch>>, name: string, watch: Watch): boolean {
  const watches = table.get(name);
  if (watches === undefined || !watches.delete(watch) || watches.size > 0) return false;
  return table.delete(name);
}
