import { Instance } from './instance.js';
import { UNKNOWN } from './known-lines.js';

/** A service of several instances, or of one that was one of several. */
class Group {
  /** By id, in the order of their generations. */
  readonly instances = new Map<string, Instance>();
  /** Revision of the last change of any of its instances, also of one that is gone. */
  revision = 0;
  /** The sum of its instances' `recordBytes`. */
  recordBytes = 0;
  /** The place of the answer to a query of it; see `KnownLines`. */
  answer = UNKNOWN;
}

/**
 * Instances by service and id. A service exists as long as it has an instance. Most have just one, and that one then
 * stands for the service: there is no object beside it, and no map with one entry.
 */
export class Services {
  readonly #byName = new Map<string, Instance | Group>();
  /** What was looked for last, and what there is of that name: a registration looks for it several times. */
  #name = '';
  #found: Instance | Group | undefined;
  /** What a snapshot has restored is taken to have changed with it. */
  #restored = 0;

  /** How many services there are. */
  get size(): number {
    return this.#byName.size;
  }

  find(name: string, id: string): Instance | undefined {
    const found = this.#look(name);
    if (found instanceof Group) return found.instances.get(id);
    return found?.id === id ? found : undefined;
  }

  /** The instances of a service, in the order of generations. */
  instancesOf(name: string): Iterable<Instance> {
    const found = this.#look(name);
    if (found instanceof Group) return found.instances.values();
    return found === undefined ? [] : [found];
  }

  /** The instances of every service whose name begins with `prefix`, service by service. */
  instancesUnder(prefix: string): Instance[] {
    const all: Instance[] = [];
    for (const [name, found] of this.#byName) {
      if (!name.startsWith(prefix)) continue;
      if (found instanceof Group) all.push(...found.instances.values());
      else all.push(found);
    }
    return all;
  }

  /** Revision of the last change of a service; `undefined` where it is not there. */
  lastChangeOf(name: string): number | undefined {
    const found = this.#look(name);
    return found instanceof Instance ? Math.max(found.revision, this.#restored) : found?.revision;
  }

  /** The sum of the `recordBytes` of a service's instances; 0 where it is not there. */
  recordBytesOf(name: string): number {
    return this.#look(name)?.recordBytes ?? 0;
  }

  /** @returns the place that was there before; `UNKNOWN` where there was none. */
  exchangeAnswer(name: string, place: number): number {
    const found = this.#look(name);
    if (found === undefined) return place;
    const before = found.answer;
    found.answer = place;
    return before === place ? UNKNOWN : before;
  }

  /** From here on it restores a snapshot of this revision, or goes on after that. */
  restore(revision: number): void {
    this.#restored = revision;
  }

  /** Adds an instance whose generation is above all others of its service. */
  add(instance: Instance): void {
    const { key, id, revision, recordBytes } = instance;
    const found = this.#look(key);
    if (found === undefined) {
      this.#put(key, instance);
      return;
    }
    const group = found instanceof Group ? found : this.#group(found);
    group.instances.set(id, instance);
    group.revision = Math.max(revision, this.#restored);
    group.recordBytes += recordBytes;
  }

  /** Puts `instance`, which is the same generation, in the place of `old`. */
  replace(old: Instance, instance: Instance): void {
    const found = this.#look(old.key);
    if (found instanceof Group) {
      found.instances.set(instance.id, instance);
      found.revision = instance.revision;
      found.recordBytes += instance.recordBytes - old.recordBytes;
    } else {
      this.#put(old.key, instance);
    }
  }

  /**
   * @param revision the change that removes it.
   * @returns whether its service is there without it.
   */
  remove({ key, id, recordBytes }: Instance, revision: number): boolean {
    const found = this.#look(key);
    if (found instanceof Group) {
      found.instances.delete(id);
      found.revision = revision;
      found.recordBytes -= recordBytes;
      if (found.instances.size > 0) return true;
    }
    this.#byName.delete(key);
    this.#found = undefined;
    return false;
  }

  clear(): void {
    this.#byName.clear();
    this.#found = undefined;
    this.#restored = 0;
  }

  #look(name: string): Instance | Group | undefined {
    if (name !== this.#name) {
      this.#found = this.#byName.get(name);
      this.#name = name;
    }
    return this.#found;
  }

  #put(name: string, found: Instance | Group): void {
    this.#byName.set(name, found);
    this.#name = name;
    this.#found = found;
  }

  #group(instance: Instance): Group {
    const group = new Group();
    group.instances.set(instance.id, instance);
    group.recordBytes = instance.recordBytes;
    this.#put(instance.key, group);
    return group;
  }
}
