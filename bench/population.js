/** Who is there in the load of parts/load.js, by number: what each registers, and what it watches. */

/** Instances of each service. The first of them changes again and again; nobody touches the others. */
export const PER_SERVICE = 10;
/** The names of services begin with that of their group, so that a prefix is a group. */
const GROUPS = 10;
/** One of so many watches a whole group beside the one service that everybody watches. */
const GROUP_WATCHERS = 51;

export class Population {
  /** @param connections a multiple of PER_SERVICE. */
  constructor(connections) {
    this.connections = connections;
    this.services = connections / PER_SERVICE;
  }

  /** @param share, shares which of how many equal parts; each has as many of those that change. */
  numbers(share = 0, shares = 1) {
    return Array.from({ length: this.connections }, (_, n) => n).filter((n) => n % shares === share);
  }

  serviceOf(n) {
    const service = n % this.services;
    return `${groupOf(service)}service-${service}`;
  }

  instanceOf(n) {
    return `${this.changes(n) ? 'changing' : 'steady'}-${n}`;
  }

  changes(n) {
    return n < this.services;
  }

  /** Names of services, or prefixes of them, as `client.watch` takes them. */
  watchedBy(n) {
    const service = this.serviceOf(n + 1);
    return n % GROUP_WATCHERS === 0 ? [service, { prefix: groupOf(n) }] : [service];
  }
}

/** Whether that is the name of an instance that nobody touches. */
export function isSteady(instance) {
  return instance.startsWith('steady-');
}

function groupOf(number) {
  return `group-${number % GROUPS}-`;
}
