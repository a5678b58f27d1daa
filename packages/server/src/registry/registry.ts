import { type EndReason, STATUSES, type Status, UNOWNED } from '@reg/protocol';
import { type Change, type EndChange, type RegisterChange, reasonOf } from '../change.js';
import { Endings } from './endings.js';
import { History } from './history.js';
import type { Holder } from './holder.js';
import { Instance } from './instance.js';
import { type Again, KnownLines, UNKNOWN } from './known-lines.js';
import { Roster } from './roster.js';
import { isSelective, type Selected, type Selection, selectFrom } from './selection.js';
import { Services } from './services.js';
import { TermsTable } from './terms.js';

/**
 * The state of the registry: services, their instances, and when each is due. `apply` is the one function that
 * changes what is registered. It is a function of the state and the change alone, so that the same log gives
 * the same registry everywhere; what it reads no clock for is told to it by who does.
 */
export class Registry {
  readonly history: History;
  readonly endings = new Endings();
  readonly known = new KnownLines();
  readonly #services = new Services();
  readonly #roster = new Roster();
  readonly #terms = new TermsTable();
  #revision = 0;
  #recordBytes = 0;
  /** Revision of the last change that left a service without instances. */
  #lastVanished = 0;
  #renewals = 0;
  readonly #byStatus: Record<Status, number> = { passing: 0, suspect: 0, draining: 0, critical: 0 };

  /** @param historyCapacity how many changes are held for who was away. */
  constructor(historyCapacity: number) {
    this.history = new History(historyCapacity);
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
    this.#forgetAnswer(change.key);
    if (change.kind === 'register') {
      this.history.push(this.#register(current, change));
    } else if (current !== undefined) {
      this.#end(current, change);
      this.history.push(change);
    }
    return true;
  }

  /**
   * Takes one instance of a snapshot; they come in the order of their generations. When others of its service last
   * changed the snapshot does not say, so the service is taken to have changed with the snapshot.
   *
   * @param revision the snapshot's.
   */
  restore(change: RegisterChange, revision: number): void {
    this.#services.restore(revision);
    this.#register(undefined, change);
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
    this.known.clear();
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
      const instance = this.find(old.key, old.id);
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
    return this.#services.find(service, instance);
  }

  /** The instances of a service, in the order of generations, the expired and not yet ended included. */
  instancesOf(service: string): Iterable<Instance> {
    return this.#services.instancesOf(service);
  }

  /** The instances of every service whose name begins with `prefix`, service by service. */
  instancesUnder(prefix: string): Instance[] {
    return this.#services.instancesUnder(prefix);
  }

  /**
   * Revision of the last change of a service. For one that is not there that would be its removal; the last
   * removal of any service stands in for it, which at worst waits for one commit more, and spares the registry
   * a memory of every name that was ever used.
   */
  lastChangeOf(service: string): number {
    return this.#services.lastChangeOf(service) ?? this.#lastVanished;
  }

  /** Moves a deadline on to `expiresAt`: that is all that a heartbeat does. */
  renew(instance: Instance, expiresAt: number): void {
    this.#roster.setDeadline(instance, expiresAt);
    this.#renewals += 1;
  }

  /** Moves a deadline to an earlier time than it had. */
  hasten(instance: Instance, expiresAt: number): void {
    if (expiresAt >= instance.expiresAt) return;
    this.#roster.setDeadline(instance, expiresAt);
    this.#forgetAnswer(instance.key);
  }

  /** Keeps the answer to a line, for as long as it is the answer. */
  keepAnswer(line: Uint8Array, answer: string, again: Again): void {
    const place = this.known.keep(line, answer, again);
    if (again.renewed === undefined) this.known.forget(this.#services.exchangeAnswer(again.service, place));
  }

  /** What is asked for and has not expired at `now`, in the order of generations. */
  select(selection: Selection, now: number): Selected {
    const { service, selector, sight, after, limit, maxBytes } = selection;
    const revision = service === undefined ? this.#revision : this.lastChangeOf(service);
    const isPage = limit < Number.POSITIVE_INFINITY || after > 0;
    const isWhole = !isPage && !isSelective(selector) && sight === undefined;
    if (isWhole && this.#bytesOf(selection) > maxBytes) {
      return { instances: [], bytes: 0, cut: 'bytes', next: 0, revision };
    }
    return selectFrom(this.#candidates(selection), selection, this.#services, revision, now);
  }

  /** The instances with a generation above `generation`, in order. Nothing may change while they are walked. */
  after(generation: number): Iterable<Instance> {
    return this.#roster.after(generation);
  }

  /** Every instance, in the order of generations: a copy, for who walks it over many turns. */
  all(): Instance[] {
    return this.#roster.toArray();
  }

  /** Adds to `due` what has expired at `now`, until there are `most`; see `Roster.collectDue`. */
  collectDue(now: number, most: number, due: Instance[]): boolean {
    return this.#roster.collectDue(now, most, due);
  }

  /** How many have expired at `now` and are not ended yet. Looks at the deadlines of all rows where there may be some. */
  overdue(now: number): number {
    return this.#roster.countDue(now);
  }

  /** Has what has expired not found by `collectDue` while its end is being ordered, and again where that has failed. */
  unfile(instance: Instance): void {
    this.#roster.suspend(instance);
  }

  /** @param expiresAt the deadline that it had. */
  refile(instance: Instance, expiresAt: number): void {
    this.#roster.setDeadline(instance, expiresAt);
  }

  #register(current: Instance | undefined, change: RegisterChange): Instance {
    const old = current?.generation === change.generation ? current : undefined;
    const instance = new Instance(change, this.#terms.of(change), old);
    if (old !== undefined) {
      this.#count(old, -1);
      this.#services.replace(old, instance);
      this.#roster.replace(old, instance, change.expiresAt);
      old.holder?.replace(old, instance);
    } else {
      if (current !== undefined) this.#remove(current, 'superseded', change.revision);
      this.#services.add(instance);
      this.#roster.add(instance, change.expiresAt);
    }
    this.#count(instance, 1);
    return instance;
  }

  #end(instance: Instance, change: EndChange): void {
    const hasOthers = this.#remove(instance, reasonOf(change), change.revision);
    if (!hasOthers) this.#lastVanished = change.revision;
  }

  /** @returns whether its service is there without it. */
  #remove(instance: Instance, reason: EndReason, revision: number): boolean {
    this.#roster.remove(instance);
    this.#count(instance, -1);
    instance.holder?.lose(instance, reason, revision);
    // The history may have it for long, and is not to keep what was known of a connection.
    instance.holder = undefined;
    const { owner, generation } = instance;
    if (reason !== 'expired' && owner !== UNOWNED) this.endings.add(generation, { owner, reason, revision });
    return this.#services.remove(instance, revision);
  }

  #forgetAnswer(service: string): void {
    this.known.forget(this.#services.exchangeAnswer(service, UNKNOWN));
  }

  #count({ recordBytes, status }: Instance, sign: 1 | -1): void {
    this.#recordBytes += sign * recordBytes;
    this.#byStatus[status] += sign;
  }

  /** At least as many bytes as the records of a whole selection. */
  #bytesOf({ service: name, instance: id }: Selection): number {
    if (name === undefined) return this.#recordBytes;
    return id === undefined ? this.#services.recordBytesOf(name) : (this.find(name, id)?.recordBytes ?? 0);
  }

  #candidates({ service: name, instance: id, after }: Selection): Iterable<Instance> {
    if (name === undefined) return this.#roster.after(after);
    if (id === undefined) return this.#services.instancesOf(name);
    const instance = this.find(name, id);
    return instance === undefined ? [] : [instance];
  }
}
