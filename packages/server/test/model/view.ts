import type { ChangeEvent, Event, InstanceRecord, ResetEvent, StateEvent, SyncedEvent } from '@reg/protocol';
import { expect } from 'vitest';
import type { Model } from './model.js';
import { isIn, nameOf, type Scope } from './terms.js';

/** Where a watch has come to: what the next one can resume from. */
export interface Position {
  readonly scope: Scope;
  readonly epoch: string;
  readonly revision: number;
  readonly view: ReadonlyMap<string, InstanceRecord>;
}

/** What a watch has to begin with. Where the history does not reach back it begins anew, unless it has missed nothing. */
export type Beginning = 'state' | 'changes' | 'changes, or anew' | 'reset epoch';

/** What one watch was told, held against the model: every change once, in order, and no other. */
export class View {
  readonly scope: Scope;
  readonly #model: Model;
  readonly #epoch: string;
  readonly #history: number;
  #beginning: Beginning | undefined;
  /** It is being told the state; the changes that it missed; or what happens. */
  #phase: 'state' | 'missed' | 'live';
  #view: Map<string, InstanceRecord>;
  #revision: number;
  #isWarming = false;

  /** @param from where it resumes. */
  constructor(
    model: Model,
    { scope, epoch, history }: { scope: Scope; epoch: string; history: number },
    beginning: Beginning,
    from?: Position,
  ) {
    this.scope = scope;
    this.#model = model;
    this.#epoch = epoch;
    this.#history = history;
    this.#beginning = beginning;
    this.#phase = beginning === 'state' ? 'state' : 'missed';
    this.#view = new Map(beginning === 'reset epoch' ? [] : from?.view);
    this.#revision = from?.revision ?? 0;
  }

  /** Whether it has come anywhere. */
  get canResume(): boolean {
    return this.#phase !== 'state' && this.#beginning === undefined;
  }

  get position(): Position {
    return { scope: this.scope, epoch: this.#epoch, revision: this.#revision, view: this.#view };
  }

  /** Whether it looks at a service. */
  watches(key: string): boolean {
    return isIn(this.scope, key);
  }

  take(event: Event): void {
    if (event.type === 'reset') this.#reset(event.reason);
    else if (event.type === 'state') this.#takeState(event);
    else if (event.type === 'synced') this.#takeSynced(event);
    else if (event.type === 'change') this.#takeChange(event);
    else if (event.type === 'progress') this.#takeProgress(event.revision);
    else expect.unreachable('everybody may see everything');
  }

  /** Everything that was to be told has been told. */
  check(): void {
    expect(this.#phase, 'a watch that was told all is synced').toBe('live');
    expect(this.#model.nextIn(this.scope, this.#revision), 'a change was not told').toBeUndefined();
    if (!this.#model.isJustWarm) expect(this.#isWarming, 'warming').toBe(this.#model.isWarming);
    this.#compare(this.#model.revision);
  }

  #reset(reason: ResetEvent['reason']): void {
    if (this.#beginning !== undefined) {
      const expected = { 'changes, or anew': 'compacted', 'reset epoch': 'epoch', changes: '', state: '' };
      expect(reason).toBe(expected[this.#beginning]);
    } else {
      expect(reason, 'no other epoch can begin while it is watched').toBe('compacted');
      expect(this.#phase, 'no reset while a state is told').not.toBe('state');
      const missed = this.#model.revision - this.#revision;
      expect(missed, 'a reset where the history reaches back').toBeGreaterThan(this.#history);
    }
    this.#beginning = undefined;
    this.#phase = 'state';
    this.#view = new Map();
  }

  #takeState({ services }: StateEvent): void {
    expect(this.#phase, 'a state out of place').toBe('state');
    for (const record of services) {
      const name = nameOf(record.key, record.instance);
      expect(isIn(this.scope, record.key), `${name} is not what is watched`).toBe(true);
      expect(this.#view.has(name), `${name} is twice in the state`).toBe(false);
      this.#view.set(name, record);
    }
  }

  #takeSynced({ epoch, revision, ...event }: SyncedEvent): void {
    const warming = event.warming ?? false;
    expect(epoch).toBe(this.#epoch);
    expect(this.#beginning, 'what it has to begin with').not.toBe('reset epoch');
    if (this.#phase === 'state') this.#revision = revision;
    else this.#tell(revision);
    if (this.#phase === 'live') expect({ was: this.#isWarming, is: warming }).toEqual({ was: true, is: false });
    this.#phase = 'live';
    this.#beginning = undefined;
    this.#isWarming = warming;
    this.#compare(revision);
  }

  #takeChange({ revision, change, service }: ChangeEvent): void {
    expect(this.#phase, 'a change within a state').not.toBe('state');
    expect(this.#beginning ?? 'changes', 'what it has to begin with').toContain('changes');
    expect({ revision, change, service }).toEqual(this.#model.nextIn(this.scope, this.#revision));
    this.#revision = revision;
    const name = nameOf(service.key, service.instance);
    if (change === 'registered' || change === 'updated') this.#view.set(name, service);
    else expect(this.#view.delete(name), `${name} has ended and was never there`).toBe(true);
  }

  #takeProgress(revision: number): void {
    if (this.#phase === 'live') this.#tell(revision);
  }

  /** The daemon says that everything up to `revision` was told. */
  #tell(revision: number): void {
    expect(revision).toBeGreaterThanOrEqual(this.#revision);
    expect(revision).toBeLessThanOrEqual(this.#model.revision);
    const missing = this.#model.nextIn(this.scope, this.#revision);
    if (missing !== undefined) expect(missing.revision, 'a change was passed over').toBeGreaterThan(revision);
    this.#revision = revision;
  }

  #compare(revision: number): void {
    expect(Object.fromEntries(this.#view)).toEqual(Object.fromEntries(this.#model.viewAt(this.scope, revision)));
  }
}
