import { RegistryError, type ResetEvent, type Scope, type WatchRequest } from '@reg/protocol';
import type { Change } from '../change.js';
import type { Sight } from '../registry/selection.js';
import { encodeEnded, encodeProgress, encodeSynced } from './events.js';
import type { Hub } from './hub.js';
import { Scopes } from './scopes.js';
import { lastChangeOf, type State, takeState } from './state.js';
import { Watch } from './watch.js';

/** Where the lines of a feed leave: the outbox of its session, as far as a feed sees it. */
export interface Outlet {
  /** Whether lines may be added: the peer has read what was said so far, and no reply is half said. */
  readonly isOpen: boolean;
  /** How many times something was written. */
  readonly writes: number;
  /** Adds whole lines. They leave with the next `send`. */
  addEvents(lines: string): void;
  send(): void;
  /** Has the feed resumed in the next turn of the loop, as it is when the outlet opens again. */
  yield(): void;
}

/** How many watches several connections have together. */
interface Total {
  watches: number;
}

/** How many changes of the history are looked at before the clock is. */
const LOOKS_PER_STEP = 1000;
/** How long it is waited for one that has fallen behind, at most, before a mass of changes goes on without it. */
const PATIENCE_MS = 100;
/** A connection with a watch never hears nothing for so long, if it reads. */
export const PROGRESS_SECONDS = 5;
/** After so many seconds in which nothing was written there is a `progress`; looked at once a second. */
const QUIET_SECONDS = 3;

/** What a feed that is behind has still to tell. */
interface Gap {
  /** Every change after this revision is still to be looked at. */
  from: number;
  /** Watches that were live had been told everything up to this revision. */
  readonly told: number;
  /** Registry time when it fell behind. */
  readonly since: number;
}

/**
 * The watches of one connection, and how far they were told. While the peer reads, the hub hands it each change as
 * it comes. Nothing is queued for a peer that does not: the feed remembers where it stopped, and is *behind*. When
 * the peer reads again the feed catches up from the registry's history, as far as the peer takes it, and where that
 * does not reach back it begins the watch anew. A watch that resumes is told what it missed in the same way.
 */
export class Feed {
  /** The peer's address, for people. */
  readonly peer: string;
  /** The hub's: whether it is among those that are to be written. */
  isQueued = false;
  readonly #hub: Hub;
  readonly #outlet: Outlet;
  readonly #watches = new Map<number, Watch>();
  #lastNumber = 0;
  /** What its watches are counted in, together with others of its caller; `undefined` where they are not. */
  #total: Total | undefined;
  /** What is behind; `undefined` where the hub hands changes on. */
  #gap: Gap | undefined;
  /** Watches that become live when the gap is closed. */
  #joining: Watch[] = [];
  /** Watches whose state is to be told, one after the other, and the state of the first. */
  #opening: Watch[] = [];
  #state: State | undefined;
  /** Watches that are owed another `synced` when the daemon is no longer warming. */
  readonly #warming = new Set<Watch>();
  /** Its watches by what they look at, from when it first had to catch up. */
  #scopes: Scopes | undefined;
  /** Which services the peer may see; `undefined` for all. */
  #sight: Sight | undefined;
  /** Lines that tell of watches that were ended, as they could not be seen any more. */
  #farewells: string[] = [];
  #writesSeen = 0;
  #quietSeconds = 0;

  constructor(hub: Hub, outlet: Outlet, peer: string) {
    this.#hub = hub;
    this.#outlet = outlet;
    this.peer = peer;
  }

  /** How many watches it has. */
  get watches(): number {
    return this.#watches.size;
  }

  /** Has its watches counted there from now on, and nowhere else. */
  countIn(total: Total | undefined): void {
    if (this.#total !== undefined) this.#total.watches -= this.#watches.size;
    if (total !== undefined) total.watches += this.#watches.size;
    this.#total = total;
  }

  /** Whether the peer leaves what there is to tell unread. */
  get isBehind(): boolean {
    return this.isBusy && !this.#outlet.isOpen;
  }

  /** Whether there is something to tell, beside the changes that the hub hands on. */
  get isBusy(): boolean {
    return this.#gap !== undefined || this.#opening.length > 0 || this.#farewells.length > 0;
  }

  /** Whether it cannot go on before more is durable. */
  get isWaiting(): boolean {
    return this.#state !== undefined && this.#state.shows > this.#hub.durable;
  }

  /**
   * Up to where it was told, where it is behind and is to be waited for: until `PATIENCE_MS` after it fell behind. Who
   * reads has caught up by then, and who does not is waited for once.
   */
  awaitedFrom(now: number): number | undefined {
    return this.#gap !== undefined && now - this.#gap.since < PATIENCE_MS ? this.#gap.from : undefined;
  }

  /** Whether the peer may see a service. */
  sees(service: string): boolean {
    return this.#sight === undefined || this.#sight.has(service);
  }

  /**
   * The identity of what a watch can be told of: the epoch, and where the peer may not see all of its scope, what of it.
   * So a watch that resumes where it may see something else begins anew.
   */
  epochOf(scope: Scope): string {
    const { epoch } = this.#hub;
    const sight = this.sightOf(scope);
    return sight === undefined ? epoch : `${epoch}.${sight.tag}`;
  }

  /** What of a scope the peer may see; `undefined` for all of it. A service is watched by those only who may see it. */
  sightOf(scope: Scope): Sight | undefined {
    return 'service' in scope ? undefined : this.#sight;
  }

  /**
   * From now on the peer may see other services. What it has seen of several begins anew; a watch that would be refused
   * now is ended.
   *
   * @param refusalOf why it would be; `undefined` where it would not.
   */
  regard(sight: Sight | undefined, refusalOf: (scope: Scope) => RegistryError | undefined): void {
    const isOther = sight?.tag !== this.#sight?.tag;
    this.#sight = sight;
    for (const watch of this.#watches.values()) {
      const refusal = refusalOf(watch.scope);
      if (refusal !== undefined) this.#dismiss(watch, refusal);
      else if (isOther && !('service' in watch.scope)) this.#revise(watch);
    }
    if (this.isBusy) this.#hub.putOff(this);
  }

  /** @throws {RegistryError} `too_many_watches` */
  open({ scope, ack }: WatchRequest): Watch {
    const watch = new Watch(this.#lastNumber + 1, this, scope, ack);
    this.#hub.add(watch);
    this.#lastNumber = watch.number;
    this.#watches.set(watch.number, watch);
    if (this.#total !== undefined) this.#total.watches += 1;
    this.#scopes?.add(watch);
    return watch;
  }

  /** Begins to tell a watch, when the reply to it has left. */
  begin(watch: Watch, from: WatchRequest['from']): void {
    watch.isAnswered = true;
    if (watch.farewell !== undefined) this.#farewells.push(watch.farewell);
    if (watch.phase === 'ended') return;
    const { durable } = this.#hub;
    if (from === undefined) {
      this.#opening.push(watch);
    } else if (from.epoch !== this.epochOf(watch.scope) || from.revision > durable) {
      this.#beginAnew(watch, 'epoch');
    } else {
      watch.phase = 'resuming';
      watch.position = from.revision;
      this.#join(watch);
    }
  }

  /** @throws {RegistryError} `unknown_watch` */
  end(number: number): void {
    const watch = this.#find(number);
    this.#hub.remove(watch);
    this.#watches.delete(number);
    if (this.#total !== undefined) this.#total.watches -= 1;
    this.#scopes?.remove(watch);
    watch.phase = 'ended';
    this.#warming.delete(watch);
    const place = this.#opening.indexOf(watch);
    if (place === 0) this.#state = undefined;
    if (place !== -1) this.#opening.splice(place, 1);
  }

  /** @throws {RegistryError} `unknown_watch` */
  acknowledge(number: number, revision: number): void {
    const watch = this.#find(number);
    watch.acknowledged = Math.max(watch.acknowledged, revision);
  }

  /** The connection is over. */
  close(): void {
    this.#gap = undefined;
    this.#opening = [];
    this.#joining = [];
    this.#warming.clear();
    this.#state = undefined;
    this.#farewells = [];
    for (const number of this.#watches.keys()) this.end(number);
  }

  /** Whether a change is to be handed on to one of the watches. Where that cannot be done now the feed is behind. */
  takes(watch: Watch, revision: number): boolean {
    if (this.#gap !== undefined || watch.phase !== 'live' || revision <= watch.position) return false;
    if (this.#outlet.isOpen) return true;
    this.#gap = { from: revision - 1, told: revision - 1, since: this.#hub.clock.latest };
    return false;
  }

  /**
   * Hands a change on to one of the watches that take it. It waits for `write`, but for what is full: that is written
   * at once, so that a burst does not leave behind who reads.
   *
   * @param line the whole of it.
   */
  tell(watch: Watch, revision: number, line: string): void {
    watch.position = revision;
    this.#outlet.addEvents(line);
    if (!this.#outlet.isOpen && this.#hub.hasTime) this.#outlet.send();
  }

  /** Writes what waits, and goes on with what was put off. */
  write(): void {
    const { isBusy } = this;
    this.#outlet.send();
    this.resume();
    // It is the session that is told when the log has gone on, and that closes when everything was told.
    if (this.isWaiting || (isBusy && !this.isBusy)) this.#outlet.yield();
  }

  /** Goes on telling: when the peer has read, when a change has become durable, when a watch begins. */
  resume(): void {
    if (!this.isBusy && this.#warming.size === 0) return;
    while (this.#outlet.isOpen) {
      if (!this.#hub.hasTime) {
        this.#hub.putOff(this);
        break;
      }
      if (!this.#step()) break;
      // What is full is written; if the peer takes that much at once, there may be more.
      if (!this.#outlet.isOpen) this.#outlet.send();
    }
    this.#outlet.send();
  }

  /** What was taken of the registry and is not durable is undone: it is taken anew. */
  rollBack(): void {
    if (this.isWaiting) this.#state = undefined;
  }

  /** Says that all is well where nothing else was said for a while. To be called once a second. */
  tick(): void {
    const { writes } = this.#outlet;
    this.#quietSeconds = writes === this.#writesSeen ? this.#quietSeconds + 1 : 0;
    this.#writesSeen = writes;
    if (this.#quietSeconds < QUIET_SECONDS || this.#gap !== undefined || !this.#outlet.isOpen) return;
    this.#outlet.addEvents(encodeProgress(this.#toldToAll()));
    this.#hub.queue(this);
  }

  /** Up to where every watch has been told, those too that are still to be told that they begin anew. */
  #toldToAll(): number {
    let told = this.#hub.told;
    for (const { reset, position } of this.#opening) if (reset === 'compacted') told = Math.min(told, position);
    return told;
  }

  #find(number: number): Watch {
    const watch = this.#watches.get(number);
    if (watch === undefined) throw new RegistryError('unknown_watch');
    return watch;
  }

  /** Does the next piece of what there is to do. @returns whether there was anything. */
  #step(): boolean {
    const watch = this.#opening[0];
    const farewell = this.#farewells.shift();
    if (farewell !== undefined) this.#outlet.addEvents(farewell);
    else if (this.#gap !== undefined) this.#narrow(this.#gap);
    else if (this.#warming.size > 0 && !this.#hub.isWarming) this.#sayWarm();
    else if (watch === undefined || !this.#tellState(watch)) return false;
    return true;
  }

  /** Has a watch told what it missed, and then made live. */
  #join(watch: Watch): void {
    const { told } = this.#hub;
    const from = lastChangeOf(this.#hub.registry, watch.scope) > watch.position ? Math.min(watch.position, told) : told;
    this.#joining.push(watch);
    this.#gap ??= { from, told, since: this.#hub.clock.latest };
    this.#gap.from = Math.min(this.#gap.from, from);
  }

  #dismiss(watch: Watch, refusal: RegistryError): void {
    this.end(watch.number);
    const line = encodeEnded(watch.number, refusal);
    if (watch.isAnswered) this.#farewells.push(line);
    else watch.farewell = line;
  }

  /** What was told of a watch is void, also where that was a part of its state. */
  #revise(watch: Watch): void {
    if (watch.phase !== 'opening') {
      this.#beginAnew(watch, 'access');
    } else if (watch === this.#opening[0] && this.#state !== undefined) {
      watch.reset ??= 'access';
      this.#state = undefined;
    }
  }

  #beginAnew(watch: Watch, reason: ResetEvent['reason']): void {
    watch.phase = 'opening';
    watch.reset = reason;
    this.#opening.push(watch);
  }

  /** Tells some of what was missed. */
  #narrow(gap: Gap): void {
    const { registry, durable } = this.#hub;
    const { history } = registry;
    if (gap.from < history.since) this.#skip(gap, history.since);
    let index = history.indexAfter(gap.from);
    for (let looks = 0; looks < LOOKS_PER_STEP; looks += 1) {
      const change = history.at(index);
      if (change === undefined || change.revision > durable) {
        this.#admit(durable);
        return;
      }
      if (!this.#tellMissed(change)) return;
      gap.from = change.revision;
      index += 1;
    }
  }

  /** What is before `since` is not held any more: who may have missed something of that begins anew. */
  #skip(gap: Gap, since: number): void {
    gap.from = since;
    for (const watch of this.#watches.values()) {
      if (watch.phase === 'opening') continue;
      const seen = watch.phase === 'live' ? Math.max(watch.position, gap.told) : watch.position;
      if (seen < since && lastChangeOf(this.#hub.registry, watch.scope) > seen) this.#beginAnew(watch, 'compacted');
    }
  }

  /** @returns whether all who see the change were told. */
  #tellMissed(change: Change): boolean {
    if (!this.sees(change.key)) return true;
    this.#scopes ??= new Scopes(this.#watches.values());
    for (const watches of this.#scopes.of(change.key)) {
      for (const watch of watches) {
        if (watch.phase === 'opening' || change.revision <= watch.position) continue;
        if (!this.#outlet.isOpen) return false;
        this.#outlet.addEvents(watch.opening + this.#hub.texts.of(change));
        watch.position = change.revision;
      }
    }
    return true;
  }

  /** Nothing up to `revision` is left to tell: the watches that waited for that are live. */
  #admit(revision: number): void {
    while (this.#outlet.isOpen) {
      const watch = this.#joining.shift();
      if (watch === undefined) {
        this.#gap = undefined;
        return;
      }
      // What begins anew was not told everything up to here.
      if (watch.phase === 'opening') continue;
      watch.position = Math.max(watch.position, revision);
      if (watch.phase === 'resuming') this.#saySynced(watch);
      if (watch.phase === 'resuming' || watch.phase === 'following') watch.phase = 'live';
    }
  }

  /** Tells a piece of the state of a watch. @returns whether it may be told now. */
  #tellState(watch: Watch): boolean {
    this.#state ??= takeState(this.#hub.registry, watch);
    if (this.isWaiting) return false;
    const { revision, lines } = this.#state;
    const line = lines.next();
    if (!line.done) {
      this.#outlet.addEvents(line.value);
      return true;
    }
    this.#opening.shift();
    this.#state = undefined;
    // Nothing of what is not durable yet is of this scope: else it would be shown.
    watch.position = Math.min(revision, this.#hub.durable);
    watch.phase = 'following';
    watch.reset = undefined;
    this.#saySynced(watch);
    this.#join(watch);
    return true;
  }

  #saySynced(watch: Watch): void {
    const { isWarming } = this.#hub;
    this.#outlet.addEvents(encodeSynced(watch.number, this.epochOf(watch.scope), watch.position, isWarming));
    if (isWarming) this.#warming.add(watch);
    else this.#warming.delete(watch);
  }

  #sayWarm(): void {
    const [watch] = this.#warming;
    if (watch === undefined) return;
    this.#warming.delete(watch);
    // One that begins anew is about to be told `synced` anyway.
    if (watch.phase !== 'live') return;
    watch.position = Math.max(watch.position, this.#hub.told);
    this.#saySynced(watch);
  }
}
