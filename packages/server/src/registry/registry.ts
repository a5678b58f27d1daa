import type { Change, RegisterChange } from '../change.js';
import { History } from './history.js';
import { createInstance, createService, type Instance, type Service } from './instance.js';
import { Roster } from './roster.js';
import { TimingWheel } from './wheel.js';

/** What a query asks for. */
export interface Selection {
  /** The service; `undefined` for all. */
  readonly service: string | undefined;
  /** One instance of it; `undefined` for all. */
  readonly instance: string | undefined;
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
  readonly cut: 'limit' | 'bytes' | undefined;
  /** The selection shows every change up to this revision, so it has to wait until that is durable. */
  readonly revision: number;
}

/**
 * The state of the registry: services, their instances, and when each is due. `apply` is the one function that
 * changes what is registered. It is a function of the state and the change alone, so that the same log gives
 * the same registry everywhere; what it reads no clock for is told to it by who does.
 */
export class Registry {
  readonly history: History;
  readonly #services = new Map<string, Service>();
  readonly #roster = new Roster();
  readonly #wheel: TimingWheel;
  #revision = 0;
  #recordBytes = 0;
  /** Revision of the last change that left a service without instances. */
  #lastVanished = 0;
  #renewals = 0;

  /**
   * @param historyCapacity how many changes are held for who was away.
   * @param now registry time at the start.
   */
  constructor(historyCapacity: number, now: number) {
    this.history = new History(historyCapacity);
    this.#wheel = new TimingWheel(now);
  }

  /** Revision of the last change. */
  get revision(): number {
    return this.#revision;
  }

  /** How many instances are registered, the expired and not yet ended included. */
  get size(): number {
    return this.#roster.size;
  }

  /** How many times a deadline was moved by a renewal, since the start. */
  get renewals(): number {
    return this.#renewals;
  }

  /** @returns whether it took effect: a change of a generation that has passed does not. */
  apply(change: Change): boolean {
    this.#revision = change.revision;
    const current = this.find(change.key, change.instance);
    const isFirst = change.kind === 'register' && change.generation === change.revision;
    if (!isFirst && current?.generation !== change.generation) return false;
    if (change.kind === 'register') this.#register(current, change).revision = change.revision;
    else if (current !== undefined) this.#end(current, change.revision);
    this.history.push(change);
    return true;
  }

  /**
   * Takes one instance of a snapshot; they come in the order of their generations. When others of its service last
   * changed the snapshot does not say, so the service is taken to have changed with the snapshot.
   *
   * @param revision the snapshot's.
   */
  restore(change: RegisterChange, revision: number): void {
    this.#register(undefined, change).revision = revision;
  }

  /** Ends a restoring: history begins after `revision`. */
  restored(revision: number): void {
    this.#revision = revision;
    this.#lastVanished = revision;
    this.history.restart(revision);
  }

  /** Forgets everything, to be filled from the log again. */
  clear(): void {
    this.#services.clear();
    this.#recordBytes = 0;
    this.#roster.clear();
    this.#wheel.clear();
    this.restored(0);
  }

  find(service: string, instance: string): Instance | undefined {
    return this.#services.get(service)?.instances.get(instance);
  }

  /** The instances of a service, in the order of generations, the expired and not yet ended included. */
  instancesOf(service: string): Iterable<Instance> {
    return this.#services.get(service)?.instances.values() ?? [];
  }

  /**
   * Revision of the last change of a service. For one that is not there that would be its removal; the last
   * removal of any service stands in for it, which at worst waits for one commit more, and spares the registry
   * a memory of every name that was ever used.
   */
  lastChangeOf(service: string): number {
    return this.#services.get(service)?.revision ?? this.#lastVanished;
  }

  /** Moves a deadline on to `expiresAt`: that is all that a heartbeat does. The wheel finds out when it comes round. */
  renew(instance: Instance, expiresAt: number): void {
    instance.expiresAt = expiresAt;
    this.#renewals += 1;
  }

  /** What is asked for and has not expired at `now`, in the order of generations. */
  select(selection: Selection, now: number): Selected {
    const { service, after, limit, maxBytes } = selection;
    const revision = service === undefined ? this.#revision : this.lastChangeOf(service);
    if (limit === Number.POSITIVE_INFINITY && after === 0 && this.#bytesOf(selection) > maxBytes) {
      return { instances: [], bytes: 0, cut: 'bytes', revision };
    }
    const instances: Instance[] = [];
    let bytes = 0;
    let cut: Selected['cut'];
    for (const instance of this.#candidates(selection)) {
      if (instance.generation <= after || instance.expiresAt <= now) continue;
      if (bytes + instance.recordBytes > maxBytes) cut = 'bytes';
      else if (instances.length === limit) cut = 'limit';
      if (cut !== undefined) break;
      bytes += instance.recordBytes;
      instances.push(instance);
    }
    return { instances, bytes, cut, revision };
  }

  /** The instances with a generation above `generation`, in order. Nothing may change while they are walked. */
  after(generation: number): Iterable<Instance> {
    return this.#roster.after(generation);
  }

  /** Every instance, in the order of generations: a copy, for who walks it over many turns. */
  all(): Instance[] {
    return this.#roster.toArray();
  }

  /** Adds to `due` what has expired at `now`, looking at `most` instances; see `TimingWheel.collect`. */
  collectDue(now: number, most: number, due: Instance[]): boolean {
    return this.#wheel.collect(now, most, due);
  }

  /** Takes an instance out of the wheel while its end is being ordered, and puts it back where that has failed. */
  unfile(instance: Instance): void {
    this.#wheel.remove(instance);
  }

  refile(instance: Instance): void {
    if (this.find(instance.service.name, instance.id) === instance) this.#wheel.refile(instance);
  }

  /** Sets every deadline anew, after a restart, when `deadlineOf` can tell what is left. */
  setDeadlines(deadlineOf: (instance: Instance) => number): void {
    for (const instance of this.#roster.after(0)) {
      instance.expiresAt = deadlineOf(instance);
      this.#wheel.refile(instance);
    }
  }

  /** @returns the service that has it now. */
  #register(old: Instance | undefined, change: RegisterChange): Service {
    const service = this.#services.get(change.key) ?? createService(change.key);
    const instance = createInstance(service, change);
    if (old?.generation === change.generation) {
      this.#wheel.remove(old);
      this.#count(old, -1);
      this.#roster.replace(old, instance);
    } else {
      if (old !== undefined) this.#remove(old);
      this.#services.set(service.name, service);
      this.#roster.add(instance);
    }
    service.instances.set(instance.id, instance);
    this.#count(instance, 1);
    this.#wheel.file(instance);
    return service;
  }

  #end(instance: Instance, revision: number): void {
    this.#remove(instance);
    const { service } = instance;
    service.revision = revision;
    if (service.instances.size > 0) return;
    this.#services.delete(service.name);
    this.#lastVanished = revision;
  }

  #remove(instance: Instance): void {
    this.#wheel.remove(instance);
    instance.service.instances.delete(instance.id);
    this.#roster.remove(instance);
    this.#count(instance, -1);
  }

  #count({ service, recordBytes }: Instance, sign: 1 | -1): void {
    service.recordBytes += sign * recordBytes;
    this.#recordBytes += sign * recordBytes;
  }

  /** At least as many bytes as the records of a whole selection. */
  #bytesOf({ service: name, instance: id }: Selection): number {
    if (name === undefined) return this.#recordBytes;
    const service = this.#services.get(name);
    return (id === undefined ? service?.recordBytes : service?.instances.get(id)?.recordBytes) ?? 0;
  }

  #candidates({ service: name, instance: id, after }: Selection): Iterable<Instance> {
    if (name === undefined) return this.#roster.after(after);
    const service = this.#services.get(name);
    if (service === undefined) return [];
    if (id === undefined) return service.instances.values();
    const instance = service.instances.get(id);
    return instance === undefined ? [] : [instance];
  }
}
