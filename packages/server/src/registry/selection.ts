/** Which instances a query is answered with. Whoever holds the instances hands them over in order. */

import { hasLabels, type Labels, type Selector } from '@reg/protocol';
import type { Instance } from './instance.js';
import type { Services } from './services.js';

/** Which services somebody may see, where that is not all. */
export interface Sight {
  has(service: string): boolean;
  /** Two that see the same have the same. */
  readonly tag: string;
}

/** What a query asks for. */
export interface Selection {
  /** The service; `undefined` for all. */
  readonly service: string | undefined;
  /** One instance of it; `undefined` for all. */
  readonly instance: string | undefined;
  readonly selector: Selector;
  /** Only services that are in it; `undefined` where one was asked for, or all may be seen. */
  readonly sight: Sight | undefined;
  /** Only generations above this. */
  readonly after: number;
  /** At most so many instances. */
  readonly limit: number;
  /** At most so many bytes of records. */
  readonly maxBytes: number;
}

export interface Selected {
  readonly instances: Instance[];
  /** At most so many bytes are their records. */
  readonly bytes: number;
  /** What cut the selection short; `undefined` where it is whole. */
  readonly cut: 'limit' | 'bytes' | 'looks' | undefined;
  /** Every generation up to this one was decided upon: where the next page begins. */
  readonly next: number;
  /** The selection shows every change up to this revision, so it has to wait until that is durable. */
  readonly revision: number;
}

/** So many instances are looked at for a reply that leaves some out: some 10 ms, where each body has to be parsed. */
export const MAX_LOOKS = 50_000;

/** Whether it leaves out instances for what they say, so that their number says nothing of the answer's. */
export function isSelective({ status, tags, meta }: Selector): boolean {
  return (status !== undefined && status !== 'any') || tags.length > 0 || meta.length > 0;
}

/** Selects among `candidates`, which come in the order of generations. */
export function selectFrom(
  candidates: Iterable<Instance>,
  { instance: id, selector, sight, after, limit, maxBytes }: Selection,
  services: Services,
  revision: number,
  now: number,
): Selected {
  const sieve = new Sieve(selector, sight, id === undefined ? services : undefined, now);
  const instances: Instance[] = [];
  let bytes = 0;
  let looked = after;
  // That of the last one taken: what lies between two that are told is for nobody who may not see it.
  let next = after;
  for (const instance of candidates) {
    if (instance.generation <= after || instance.expiresAt <= now) continue;
    if (sieve.looks >= MAX_LOOKS) return { instances, bytes, cut: 'looks', next: looked, revision };
    looked = instance.generation;
    if (!sieve.takes(instance)) continue;
    if (bytes + instance.recordBytes > maxBytes) return { instances, bytes, cut: 'bytes', next, revision };
    if (instances.length === limit) return { instances, bytes, cut: 'limit', next, revision };
    bytes += instance.recordBytes;
    instances.push(instance);
    next = looked;
  }
  return { instances, bytes, cut: undefined, next, revision };
}

/** Decides instance by instance, for one query at one moment. */
class Sieve {
  /** How many instances were looked at, where any may be left out. */
  looks = 0;
  /** What a look counts. */
  readonly #look: 0 | 1;
  readonly #selector: Selector;
  readonly #sight: Sight | undefined;
  readonly #services: Services | undefined;
  readonly #now: number;
  /** Texts that a body must hold, as they are in it. They may stand there for something else. */
  readonly #marks: readonly string[];
  /** Whether a service has a passing instance that the selector takes, for those where it was asked. */
  readonly #hasPassing = new Map<string, boolean>();

  /** @param services where the others of a service count for what is taken; `undefined` where one was asked for. */
  constructor(selector: Selector, sight: Sight | undefined, services: Services | undefined, now: number) {
    this.#look = isSelective(selector) || sight !== undefined ? 1 : 0;
    this.#selector = selector;
    this.#sight = sight;
    this.#services = services;
    this.#now = now;
    this.#marks = [
      ...selector.tags.map((tag) => JSON.stringify(tag)),
      ...selector.meta.map(([name, text]) => `${JSON.stringify(name)}:${JSON.stringify(text)}`),
    ];
  }

  takes(instance: Instance): boolean {
    this.looks += this.#look;
    if (this.#sight !== undefined && !this.#sight.has(instance.key)) return false;
    const wanted = this.#selector.status;
    const { status } = instance;
    if (wanted === 'any' || wanted === status) return this.#matches(instance);
    if (wanted !== undefined) return false;
    if (status === 'passing') return this.#matches(instance);
    return status === 'suspect' && this.#matches(instance) && !this.#isSpare(instance);
  }

  /** Whether its service has a better one. */
  #isSpare({ key }: Instance): boolean {
    if (this.#services === undefined) return false;
    let hasPassing = this.#hasPassing.get(key);
    if (hasPassing === undefined) {
      hasPassing = this.#findPassing(this.#services.instancesOf(key));
      this.#hasPassing.set(key, hasPassing);
    }
    return hasPassing;
  }

  /** It ends with the service, not with `MAX_LOOKS`: else pages of a large service might never get on. */
  #findPassing(instances: Iterable<Instance>): boolean {
    for (const instance of instances) {
      this.looks += this.#look;
      if (instance.status === 'passing' && instance.expiresAt > this.#now && this.#matches(instance)) return true;
    }
    return false;
  }

  #matches({ body }: Instance): boolean {
    if (this.#marks.length === 0) return true;
    return this.#marks.every((mark) => body.includes(mark)) && this.#says(body);
  }

  #says(body: string): boolean {
    const labels: Labels = JSON.parse(`{${body}}`);
    return hasLabels(labels, this.#selector.tags, this.#selector.meta);
  }
}
