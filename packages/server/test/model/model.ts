/**
 * What a registry should do, as plainly as it can be said: a map of instances, a list of changes, and a number that
 * is the time. It knows of no log, wheel, holder or stream, and looks at everything whenever it wants to know
 * something. Written from the semantics, not from the daemon.
 *
 * In what order changes of one moment come it does not say. It is told what was observed, and refuses what cannot be.
 */

import type { EndedInstance, EndReason, InstanceRecord, Status } from '@reg/protocol';
import {
  type Due,
  goneRecordOf,
  type Instance,
  inOrder,
  isIn,
  isSame,
  type ModelChange,
  msOf,
  nameOf,
  type Outcome,
  type Registration,
  recordOf,
  type Scope,
  type Selection,
  type Told,
} from './terms.js';

export class Model {
  readonly #startWall: number;
  /** ms. */
  readonly #grace: number;
  readonly #instances = new Map<string, Instance>();
  /** Every change that there ever was. */
  readonly changes: ModelChange[] = [];
  /** How generations ended for good that had an owner. */
  readonly #endings = new Map<number, { readonly owner: string; readonly reason: 'destroyed' | 'superseded' }>();
  /** What ended of each connection since it was told. */
  readonly #ended = new Map<number, EndedInstance[]>();
  /** Model time, in ms. */
  now = 0;
  revision = 0;
  /** When the grace is over; 0 where there is none. */
  warmUntil = 0;
  /** Expiries since the start. */
  expired = 0;
  /** No change can be kept. */
  isFull = false;
  /** It has been found to be full: until it is tried again, changes are refused at once. */
  #isRefusing = false;
  /** Something was undone: the revisions that it had are not used again. */
  #isGapAhead = false;
  /** Names of those that parted and could not be said to be suspect. */
  readonly #unsaid = new Set<string>();

  constructor(startWall: number, grace: number) {
    this.#startWall = startWall;
    this.#grace = grace;
  }

  get isWarming(): boolean {
    return this.now < this.warmUntil;
  }

  /** Within a second after the grace who watches has to be told that it is over. */
  get isJustWarm(): boolean {
    return !this.isWarming && this.now < this.warmUntil + 1000;
  }

  get wall(): number {
    return this.#startWall + this.now;
  }

  register(connection: number, request: Registration, told: Told[]): Outcome {
    const { key, instance, owner, generation: _, takeover: __, status = 'passing', ...content } = inOrder(request);
    const current = this.#instances.get(nameOf(key, instance));
    // It has to end before anything else can be of its name.
    if (current !== undefined && current.deadline <= this.now) return this.#undo(undefined, undefined);
    const claim = this.#claimOn(current, request);
    if (claim === 'owned' || claim === 'superseded' || claim === 'destroyed') return { error: claim };
    const deadline = this.now + msOf(content.timeout);
    const old = claim === 'again' ? current : undefined;
    if (old !== undefined && isSame(old, content, status)) {
      old.deadline = deadline;
      old.holder = connection;
      this.#unsaid.delete(nameOf(key, instance));
      const { revision, generation, registered } = old;
      if (old.status === status) return { result: 'renewed', revision, generation, registered };
    }
    if (this.isFull) return this.#undo(current, old === undefined ? undefined : connection);
    const result = old === undefined ? 'registered' : 'updated';
    const registered = old?.registered ?? this.wall;
    const put = (revision: number): void => {
      if (claim === 'takeover' && current !== undefined) this.#finish(current, 'superseded');
      const given = { key, instance, content, owner, status, registered, deadline, holder: connection };
      this.#instances.set(nameOf(key, instance), { ...given, revision, generation: old?.generation ?? revision });
    };
    this.#applyInAnyOrder([{ change: result, key, instance, apply: put }], told);
    return { result, revision: this.revision, generation: old?.generation ?? this.revision, registered };
  }

  /**
   * A register finds that nothing can be kept. The first that does was believed to have been done for a moment: what
   * it would have updated, or taken over, is as if renewed.
   */
  #undo(current: Instance | undefined, holder: number | undefined): Outcome {
    if (!this.#isRefusing && current !== undefined) {
      current.deadline = this.now + msOf(current.content.timeout);
      current.holder = holder ?? current.holder;
      if (current.holder === undefined || (current.holder === 'lost' && !this.isWarming)) this.#part([current], []);
    }
    this.#refuse();
    return { error: 'storage_full' };
  }

  #refuse(): void {
    this.#isRefusing = true;
    this.#isGapAhead = true;
  }

  /** What a register of a name means to what is there. */
  #claimOn(
    current: Instance | undefined,
    { owner, generation, takeover }: Registration,
  ): 'first' | 'again' | 'takeover' | 'owned' | 'superseded' | 'destroyed' {
    if (current === undefined) {
      const ending = this.#endings.get(generation ?? 0);
      return ending !== undefined && ending.owner === owner ? ending.reason : 'first';
    }
    if (current.owner === owner) return 'again';
    if (generation) return 'superseded';
    if (current.owner === undefined || takeover || current.status === 'suspect') return 'takeover';
    return 'owned';
  }

  /** What ended comes in the order of generations. */
  heartbeat(connection: number): { held: number; ended?: EndedInstance[] } {
    let held = 0;
    for (const instance of this.#all().filter(({ holder }) => holder === connection)) {
      if (instance.deadline > this.now) {
        held += 1;
        instance.deadline = this.now + msOf(instance.content.timeout);
      } else {
        // Gone for everybody, though its end cannot be kept yet.
        this.#lose(instance, 'expired');
      }
    }
    const ended = this.#ended.get(connection) ?? [];
    this.#ended.delete(connection);
    return ended.length === 0 ? { held } : { held, ended: ended.sort((a, b) => a.generation - b.generation) };
  }

  /** @param connection the one that asks. */
  destroy(
    connection: number,
    { key, instance, owner }: { key: string; instance?: string; owner?: string },
    told: Told[],
  ): { removed: number; left: number } | { error: 'storage_full' } {
    const doomed = this.#live().filter((found) => {
      const isNamed = found.key === key && (instance === '*' || found.instance === instance);
      return isNamed && (owner === undefined || found.owner === owner);
    });
    if (this.isFull && doomed.length > 0) {
      this.#refuse();
      return { error: 'storage_full' };
    }
    this.#applyInAnyOrder(
      doomed.map((found) =>
        this.#end(found, 'destroyed', () => {
          if (found.holder === connection) found.holder = undefined;
        }),
      ),
      told,
    );
    return { removed: doomed.length, left: this.#live().filter((found) => found.key === key).length };
  }

  /** A connection broke. */
  disconnect(connection: number, told: Told[]): void {
    this.#ended.delete(connection);
    this.#part(
      this.#all().filter(({ holder }) => holder === connection),
      told,
    );
  }

  /** The daemon ended, in order or not, and started again, in no time. */
  restart(): void {
    this.#ended.clear();
    this.#unsaid.clear();
    this.#isRefusing = false;
    this.warmUntil = this.now + this.#grace;
    this.expired = 0;
    for (const instance of this.#all()) {
      instance.holder = 'lost';
      const ttl = msOf(instance.content.timeout);
      instance.deadline = this.now + Math.min(ttl, Math.max(instance.deadline - this.now, this.#grace));
    }
  }

  /**
   * After a crash it is not said whether the registry remembers that a connection had broken before it, where no
   * change says so: then the instance waits for it again, and parts with the end of the grace.
   */
  adopt(records: readonly { readonly key: string; readonly instance?: string; readonly left?: unknown }[]): void {
    for (const { key, instance, left } of records) {
      const found = this.#instances.get(nameOf(key, instance));
      const isForgotten = left === 'never' && found?.content.timeout === 'never' && found.status !== 'suspect';
      if (isForgotten) found.deadline = Number.POSITIVE_INFINITY;
    }
  }

  advance(ms: number, told: Told[]): void {
    const end = this.now + ms;
    for (;;) {
      const isGraceAhead = this.now < this.warmUntil;
      const deadlines = this.#live().map(({ deadline }) => deadline);
      const next = Math.min(...deadlines, isGraceAhead ? this.warmUntil : Number.POSITIVE_INFINITY);
      if (next > end) break;
      this.now = next;
      this.#expire(told);
      if (isGraceAhead && next === this.warmUntil) {
        this.#part(
          this.#all().filter(({ holder }) => holder === 'lost'),
          told,
        );
      }
    }
    this.now = end;
  }

  /**
   * There is room again, which is found within `ms`. What could not be kept comes then, in any order; whether that is
   * suspect for a moment which expires in that time is not said.
   */
  recover(ms: number, told: Told[]): void {
    this.isFull = false;
    if (!this.#isRefusing) {
      this.advance(ms, told);
      return;
    }
    this.isFull = true;
    this.advance(ms, []);
    this.isFull = false;
    this.#isRefusing = false;
    while (told.length > 0) this.#applyInAnyOrder([this.#overdueBy(told[0])], told);
    const late = [...this.#unsaid, ...this.#all().flatMap((found) => (found.deadline > this.now ? [] : [found.key]))];
    if (late.length > 0) throw new Error(`not made up for: ${late}`);
  }

  /** What could not be kept, and now is. */
  #overdueBy(told: Told | undefined): Due {
    const { key = '', instance } = told?.service ?? {};
    const found = this.#instances.get(nameOf(key, instance));
    if (found !== undefined && told?.change === 'updated' && this.#unsaid.has(nameOf(key, instance))) {
      return this.#suspect(found);
    }
    if (found !== undefined && told?.change === 'expired' && found.deadline <= this.now) {
      return this.#end(found, 'expired');
    }
    throw new Error(`not overdue: ${JSON.stringify(told)}`);
  }

  #expire(told: Told[]): void {
    const due = this.#all().filter(({ deadline }) => deadline <= this.now);
    if (this.isFull && due.length > 0) this.#refuse();
    if (this.isFull) return;
    this.#applyInAnyOrder(
      due.map((instance) => this.#end(instance, 'expired')),
      told,
    );
  }

  /** What a query answers, in the order of generations; without `left`. */
  query(selection: Selection): InstanceRecord[] {
    const { key, instance, status, tags = [] } = selection;
    const matching = this.#live().filter(
      (found) =>
        (key === 'all' || found.key === key) &&
        (instance === undefined || found.instance === instance) &&
        tags.every((tag) => found.content.tags?.includes(tag)),
    );
    const isPassing = (found: Instance): boolean => found.status === 'passing';
    const chosen = matching.filter((found) => {
      if (status === 'any') return true;
      if (status !== undefined) return found.status === status;
      const isServed = matching.some((other) => other.key === found.key && isPassing(other));
      return isServed ? isPassing(found) : found.status === 'suspect';
    });
    return chosen.sort((a, b) => a.generation - b.generation).map(recordOf);
  }

  /** What a record's instance has left, in ms. */
  leftOf({ key, instance }: { readonly key: string; readonly instance?: string }): number {
    return (this.#instances.get(nameOf(key, instance))?.deadline ?? Number.NaN) - this.now;
  }

  /** The present generation of a name, and all before it, the latest first. */
  generationsOf(key: string, instance: string | undefined): number[] {
    const generations = this.changes.filter(({ service }) => service.key === key && service.instance === instance);
    return [...new Set(generations.map(({ service }) => service.generation))].reverse();
  }

  /** How many instances there are of each status, and how many services. */
  counts(): { services: number; instances: Record<Status, number> } {
    const instances = { passing: 0, suspect: 0, draining: 0, critical: 0 };
    for (const { status } of this.#all()) instances[status] += 1;
    return { services: new Set(this.#all().map(({ key }) => key)).size, instances };
  }

  /** The next change that a watch has to be told after `revision`. */
  nextIn(scope: Scope, revision: number): ModelChange | undefined {
    return this.changes.find((change) => change.revision > revision && isIn(scope, change.service.key));
  }

  /** What a watch has to know at a revision, by name. */
  viewAt(scope: Scope, revision: number): Map<string, InstanceRecord> {
    const view = new Map<string, InstanceRecord>();
    for (const change of this.changes) {
      if (change.revision > revision || !isIn(scope, change.service.key)) continue;
      const name = nameOf(change.service.key, change.service.instance);
      if ('values' in change.service) view.set(name, change.service);
      else view.delete(name);
    }
    return view;
  }

  #all(): Instance[] {
    return [...this.#instances.values()];
  }

  /** Without what has expired, and whose end could not be kept. */
  #live(): Instance[] {
    return this.#all().filter(({ deadline }) => deadline > this.now);
  }

  /** What happens to instances whose connection is gone. */
  #part(instances: Instance[], told: Told[]): void {
    const due: Due[] = [];
    for (const instance of instances) {
      const { content, status, deadline } = instance;
      instance.holder = undefined;
      if (content.linger === undefined) continue;
      instance.deadline = Math.min(deadline, this.now + content.linger * 1000);
      if (instance.deadline <= this.now) due.push(this.#end(instance, 'expired'));
      else if (status === 'passing') due.push(this.#suspect(instance));
    }
    if (!this.isFull) {
      this.#applyInAnyOrder(due, told);
    } else if (due.length > 0) {
      this.#refuse();
      for (const { change, key, instance } of due) if (change === 'updated') this.#unsaid.add(nameOf(key, instance));
    }
  }

  #suspect(found: Instance): Due {
    const { key, instance } = found;
    const apply = (revision: number): void => {
      this.#unsaid.delete(nameOf(key, instance));
      this.#instances.set(nameOf(key, instance), { ...found, status: 'suspect', revision });
    };
    return { change: 'updated', key, instance, apply };
  }

  #end(instance: Instance, reason: 'expired' | 'destroyed', before = () => {}): Due {
    const end = (): void => {
      before();
      this.#finish(instance, reason);
      if (reason === 'expired') this.expired += 1;
    };
    return { change: reason, key: instance.key, instance: instance.instance, apply: end };
  }

  #finish(instance: Instance, reason: EndReason): void {
    const name = nameOf(instance.key, instance.instance);
    this.#instances.delete(name);
    this.#unsaid.delete(name);
    const { owner, generation } = instance;
    if (reason !== 'expired' && owner !== undefined) this.#endings.set(generation, { owner, reason });
    this.#lose(instance, reason);
  }

  #lose(ended: Instance, reason: EndReason): void {
    const { key, instance, generation, holder } = ended;
    if (typeof holder !== 'number') return;
    ended.holder = undefined;
    const entry = { key, ...(instance === undefined ? {} : { instance }), generation, reason };
    this.#ended.set(holder, [...(this.#ended.get(holder) ?? []), entry]);
  }

  #applyInAnyOrder(due: readonly Due[], told: Told[]): void {
    const left = [...due];
    while (left.length > 0) {
      const next = told.shift();
      const index = left.findIndex(
        ({ change, key, instance }) =>
          change === next?.change && key === next.service.key && instance === next.service.instance,
      );
      const [found] = index === -1 ? [] : left.splice(index, 1);
      const isNext =
        next?.revision === this.revision + 1 || (this.#isGapAhead && Number(next?.revision) > this.revision);
      if (next === undefined || found === undefined || !isNext) {
        const words = left.map(({ change, key, instance }) => `${change} ${nameOf(key, instance)}`);
        throw new Error(`due after ${this.revision}: ${words.join(', ')}; observed: ${JSON.stringify(next)}`);
      }
      this.revision = next.revision;
      this.#isGapAhead = false;
      const gone = this.#instances.get(nameOf(found.key, found.instance));
      found.apply(next.revision);
      const there = this.#instances.get(nameOf(found.key, found.instance));
      const service = there === undefined ? goneRecordOf(gone) : recordOf(there);
      this.changes.push({ revision: next.revision, change: found.change, service });
    }
  }
}
