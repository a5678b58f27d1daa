import { type EndReason, STATUSES, type Status, UNOWNED } from '@reg/protocol';
import type { Change, EndChange, RegisterChange } from '../change.js';
import { Answers } from './answers.js';
import { Endings } from './endings.js';
import { History } from './history.js';
import type { Holder } from './holder.js';
import { createInstance, createService, type Instance, type Service } from './instance.js';
import { Roster } from './roster.js';
import { isSelective, type Selected, type Selection, selectFrom } from './selection.js';
import { TimingWheel } from './wheel.js';

/**
 * The state of the registry: services, their instances, and when each is due. `apply` is the one function that
 * changes what is registered. It is a function of the state and the change alone, so that the same log gives
 * the same registry everywhere; what it reads no clock for is told to it by who does.
 */
export class Registry {
  readonly history: History;
  readonly endings = new Endings();
  readonly answers = new Answers();
  readonly #services = new Map<string, Service>();
  readonly #roster = new Roster();
  readonly #wheel: TimingWheel;
  #revision = 0;
  #recordBytes = 0;
  /** Revision of the last change that left a service without instances. */
  #lastVanished = 0;
  #renewals = 0;
  readonly #byStatus: Record<Status, number> = { passing: 0, suspect: 0, draining: 0, critical: 0 };

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

  /** How many services have an instance. */
  get services(): number {
    return this.#services.size;
  }

  /** How many instances there are of each status, the expired and not yet ended included. */
  get byStatus(): Readonly<Record<Status, number>> {
    return this.#byStatus;
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
    else if (current !== undefined) this.#end(current, change);
    this.answers.drop(change.key);
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

  /** Forgets everything but how others ended, to be filled from the log again; `inherit` has to follow. */
  clear(): void {
    this.#services.clear();
    this.#recordBytes = 0;
    for (const status of STATUSES) this.#byStatus[status] = 0;
    this.#roster.clear();
    this.#wheel.clear();
    this.answers.clear();
    this.restored(0);
  }

  /**
   * Ends a filling after changes were undone: what is as it was, or was changed back, has the holder that it had.
   *
   * @param before every instance as it was, the undone changes included.
   */
  inherit(before: readonly Instance[]): void {
    this.endings.undo(this.#revision);
    for (const old of before) {
      const instance = this.find(old.service.name, old.id);
      if (instance?.generation === old.generation) old.holder?.replace(old, instance);
      else old.holder?.release(old);
    }
  }

  /** Gives a connection back what it had lost by changes that are undone; to be called after `inherit`. */
  giveBack(holder: Holder): void {
    for (const { key, instance: id, generation } of holder.withdraw(this.#revision)) {
      const instance = this.find(key, id);
      if (instance?.generation === generation) holder.hold(instance);
    }
  }

  find(service: string, instance: string): Instance | undefined {
    return this.#services.get(service)?.instances.get(instance);
  }

  /** The instances of a service, in the order of generations, the expired and not yet ended included. */
  instancesOf(service: string): Iterable<Instance> {
    return this.#services.get(service)?.instances.values() ?? [];
  }

  /** The instances of every service whose name begins with `prefix`, service by service. */
  instancesUnder(prefix: string): Instance[] {
    const found: Instance[] = [];
    for (const { name, instances } of this.#services.values()) {
      if (name.startsWith(prefix)) for (const instance of instances.values()) found.push(instance);
    }
    return found;
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

  /** Moves a deadline to an earlier time than it had. */
  hasten(instance: Instance, expiresAt: number): void {
    if (expiresAt >= instance.expiresAt) return;
    instance.expiresAt = expiresAt;
    this.#wheel.refile(instance);
    this.answers.drop(instance.service.name);
  }

  /** What is asked for and has not expired at `now`, in the order of generations. */
  select(selection: Selection, now: number): Selected {
    const { service, selector, after, limit, maxBytes } = selection;
    const revision = service === undefined ? this.#revision : this.lastChangeOf(service);
    const isWhole = limit === Number.POSITIVE_INFINITY && after === 0 && !isSelective(selector);
    if (isWhole && this.#bytesOf(selection) > maxBytes) {
      return { instances: [], bytes: 0, cut: 'bytes', next: 0, revision };
    }
    return { ...selectFrom(this.#candidates(selection), selection, now), revision };
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

  /** How many have expired at `now` and are not ended yet. Looks at those, and at who was renewed just in time. */
  overdue(now: number): number {
    return this.#wheel.countDue(now);
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
      old.holder?.replace(old, instance);
    } else {
      if (old !== undefined) this.#remove(old, 'superseded', change.revision);
      this.#services.set(service.name, service);
      this.#roster.add(instance);
    }
    service.instances.set(instance.id, instance);
    this.#count(instance, 1);
    this.#wheel.file(instance);
    return service;
  }

  #end(instance: Instance, { kind, revision }: EndChange): void {
    this.#remove(instance, kind === 'expire' ? 'expired' : 'destroyed', revision);
    const { service } = instance;
    service.revision = revision;
    if (service.instances.size > 0) return;
    this.#services.delete(service.name);
    this.#lastVanished = revision;
  }

  #remove(instance: Instance, reason: EndReason, revision: number): void {
    this.#wheel.remove(instance);
    instance.service.instances.delete(instance.id);
    this.#roster.remove(instance);
    this.#count(instance, -1);
    instance.holder?.lose(instance, reason, revision);
    const { owner, generation } = instance;
    if (reason !== 'expired' && owner !== UNOWNED) this.endings.add(generation, { owner, reason, revision });
  }

  #count({ service, recordBytes, status }: Instance, sign: 1 | -1): void {
    service.recordBytes += sign * recordBytes;
    this.#recordBytes += sign * recordBytes;
    this.#byStatus[status] += sign;
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
