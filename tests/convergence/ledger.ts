/**
 * What was true and what was seen, as it happened, and the figures that come of it.
 *
 * `live`: from the moment a client hears that its registration is made until it begins to end it, its process is
 * killed, or somebody else destroys it or takes it over. `dead`: from the moment it has ended it, or its process was
 * killed, until the name is live again. A view's `listed` is what its client shows, whatever the status; `usable` is
 * what is passing besides. A view counts from its first `synced` until its process ends. The registry itself is a view
 * too, that of the prober.
 *
 * `disturbed` is a process while it is stopped or partitioned, and the daemon while it is away, and either for
 * `AFTERMATH` ms more. That a process is killed disturbs nobody, and above all not the view that others have of it.
 */

import { both, type Spans, Timeline, total, union, without } from './timeline.js';

/** ms in which everything should be as before when a disturbance is over. */
export const AFTERMATH = 5000;

/** A watcher and what it saw. */
export interface Watcher {
  readonly name: string;
  /** Which process it is in; none for the prober. */
  readonly worker: number | undefined;
  /** Whether it is told of this service. */
  readonly covers: (key: string) => boolean;
  readonly watching: Timeline;
  /** By the names of instances, as `nameOf` has them. */
  readonly listed: Timelines;
  readonly usable: Timelines;
}

/** A span of time: how long it was, of which instance, for whom, and when it began, in ms since the Unix epoch. */
interface Episode {
  readonly ms: number;
  readonly instance?: string;
  readonly watcher?: string;
  readonly from?: number;
}

/** The longest without any disturbance, and with one. */
export interface Figure {
  readonly undisturbed: Episode;
  readonly disturbed: Episode;
}

/** What is said of the registry, or of the worst of all views. */
export interface Figures {
  /** A live instance was not listed. */
  readonly missing: Figure;
  /** A live instance was not passing, or not listed. */
  readonly unusable: Figure;
  /** A dead instance was listed, as what ever. */
  readonly lingering: Figure;
  /** A dead instance was listed as passing. */
  readonly misleading: Figure;
  /** How much of the time in which a view should have shown a live instance was undisturbed, from 0 to 1. */
  readonly calm: number;
}

/** An instance that processes register, one after the other. */
interface Slot {
  readonly key: string;
  readonly name: string;
  readonly worker: number;
}

export class Ledger {
  readonly #slots: readonly Slot[];
  readonly #watchers: Watcher[] = [];
  readonly #prober: Watcher;
  readonly #live = new Timelines();
  readonly #dead = new Timelines();
  readonly #away = new Timeline();
  readonly #disturbed = new Timelines();
  /** What is to be noted. Processes tell of it late: it is brought in order before it counts. */
  #notes: { readonly at: number; readonly apply: () => void }[] = [];

  constructor(slots: readonly Slot[]) {
    this.#slots = slots;
    this.#prober = makeWatcher('prober', undefined, () => true);
  }

  get prober(): Watcher {
    return this.#prober;
  }

  /** A view in a process. */
  watcher(name: string, worker: number, covers: (key: string) => boolean): Watcher {
    const watcher = makeWatcher(name, worker, covers);
    this.#watchers.push(watcher);
    return watcher;
  }

  watching(watcher: Watcher, on: boolean, at: number): void {
    this.#note(at, () => watcher.watching.set(on, at));
  }

  /** @param status `undefined` where it is gone. */
  seen(watcher: Watcher, name: string, status: string | undefined, at: number): void {
    this.#note(at, () => {
      watcher.listed.of(name).set(status !== undefined, at);
      watcher.usable.of(name).set(status === 'passing', at);
    });
  }

  live(name: string, at: number): void {
    this.#note(at, () => {
      this.#live.of(name).set(true, at);
      this.#dead.of(name).set(false, at);
    });
  }

  /** It is being ended, and neither live nor dead. */
  leaving(name: string, at: number): void {
    this.#note(at, () => this.#live.of(name).set(false, at));
  }

  dead(name: string, at: number): void {
    this.#note(at, () => {
      this.#live.of(name).set(false, at);
      this.#dead.of(name).set(true, at);
    });
  }

  disturbed(worker: number, on: boolean, at: number): void {
    this.#note(at, () => this.#disturbed.of(String(worker)).set(on, at));
  }

  away(on: boolean, at: number): void {
    this.#note(at, () => this.#away.set(on, at));
  }

  /** What is to be said of the registry, as the prober saw it, and of the worst of all views, up to `end`. */
  figures(end: number): { readonly registry: Figures; readonly views: Figures } {
    for (const { apply } of this.#notes.sort((a, b) => a.at - b.at)) apply();
    this.#notes = [];
    return { registry: this.#worst([this.#prober], end), views: this.#worst(this.#watchers, end) };
  }

  #note(at: number, apply: () => void): void {
    this.#notes.push({ at, apply });
  }

  #worst(watchers: readonly Watcher[], end: number): Figures {
    const worst = { missing: new Worst(), unusable: new Worst(), lingering: new Worst(), misleading: new Worst() };
    let all = 0;
    let calm = 0;
    for (const watcher of watchers) {
      const watching = watcher.watching.spans(end);
      for (const { name, key, worker } of this.#slots) {
        if (!watcher.covers(key)) continue;
        const disturbed = this.#disturbances([worker, watcher.worker], end);
        const live = both(this.#live.of(name).spans(end), watching);
        const dead = both(this.#dead.of(name).spans(end), watching);
        const listed = watcher.listed.of(name).spans(end);
        const usable = watcher.usable.of(name).spans(end);
        all += total(live);
        calm += total(without(live, disturbed));
        const note = (worst: Worst, spans: Spans): void => worst.add(spans, disturbed, name, watcher.name);
        note(worst.missing, without(live, listed));
        note(worst.unusable, without(live, usable));
        note(worst.lingering, both(dead, listed));
        note(worst.misleading, both(dead, usable));
      }
    }
    return { ...worst, calm: calm / all };
  }

  #disturbances(workers: readonly (number | undefined)[], end: number): Spans {
    const timelines = workers.map((worker) => this.#disturbed.of(String(worker)));
    return union([this.#away.spans(end), ...timelines.map((timeline) => timeline.spans(end))], AFTERMATH);
  }
}

function makeWatcher(name: string, worker: number | undefined, covers: (key: string) => boolean): Watcher {
  return { name, worker, covers, watching: new Timeline(), listed: new Timelines(), usable: new Timelines() };
}

/** The longest spans so far. */
class Worst implements Figure {
  undisturbed: Episode = { ms: 0 };
  disturbed: Episode = { ms: 0 };

  add(spans: Spans, disturbances: Spans, instance: string, watcher: string): void {
    for (const [from, to] of without(spans, disturbances)) {
      if (to - from > this.undisturbed.ms) this.undisturbed = { ms: to - from, instance, watcher, from };
    }
    for (const [from, to] of spans) {
      const isLonger = to - from > this.disturbed.ms;
      if (isLonger && both([[from, to]], disturbances).length > 0) {
        this.disturbed = { ms: to - from, instance, watcher, from };
      }
    }
  }
}

class Timelines {
  readonly #timelines = new Map<string, Timeline>();

  of(name: string): Timeline {
    let timeline = this.#timelines.get(name);
    if (timeline === undefined) {
      timeline = new Timeline();
      this.#timelines.set(name, timeline);
    }
    return timeline;
  }
}
