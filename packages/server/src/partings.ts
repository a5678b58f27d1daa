import type { Timer } from '@reg/protocol';
import type { RegistryClock } from './clock.js';
import { type Audience, type ExpiryLoop, WAIT_MS } from './expiry.js';
import { type Log, REFUSED_MS, tryToPropose } from './log/log.js';
import type { Holder } from './registry/holder.js';
import { type Instance, isBound, suspicionOf } from './registry/instance.js';
import type { Registry } from './registry/registry.js';

/** How many changes are proposed in one turn, and how many instances looked at, so that all else has its turn. */
const CHANGES_PER_TURN = 2000;
const LOOKS_PER_TURN = 5000;

/**
 * What follows when a connection breaks: from then on, the instances that were bound to it have their linger left, and
 * those that were passing are suspect. The deadlines move at once, in memory; the changes are proposed in turns, and as
 * those who watch can be told, for the reasons that `ExpiryLoop` has. So also when the grace after a start is over, for
 * those whose connection has not come back. Where the log takes none for a while the deadlines hold without them.
 */
export class Partings {
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #audience: Audience;
  readonly #clock: RegistryClock;
  readonly #expiry: ExpiryLoop;
  /** What has parted, from `#next` on, and is to be changed if that is still so when its turn comes. */
  #queue: Instance[] = [];
  #next = 0;
  /** Up to which generation all were looked at for who is left without a connection; `undefined` where none is to be. */
  #swept: number | undefined;
  #isSweeping = false;
  /** Registry time when the grace is over. */
  #warmUntil = 0;
  #graceTimer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #state: 'idle' | 'scheduled' | 'waiting' | 'stopped' = 'idle';

  constructor(registry: Registry, log: Log, audience: Audience, clock: RegistryClock, expiry: ExpiryLoop) {
    this.#registry = registry;
    this.#log = log;
    this.#audience = audience;
    this.#clock = clock;
    this.#expiry = expiry;
  }

  /** @param warmUntil until then, what was restored waits for its connection. */
  start(warmUntil: number): void {
    this.#warmUntil = warmUntil;
    this.#awaitGrace();
  }

  /** What has not had its turn is left as it is: after the next start it waits for its connection again. */
  stop(): void {
    this.#state = 'stopped';
    this.#graceTimer?.cancel();
    this.#retryTimer?.cancel();
    this.#queue = [];
  }

  /** Ends what a connection holds. It may be called once. */
  close(holder: Holder): void {
    for (const instance of holder.close(this.#clock.wall())) this.part(instance);
  }

  /** An instance is without its connection from now on. */
  part(instance: Instance): void {
    if (!isBound(instance)) return;
    const now = this.#clock.now();
    this.#registry.hasten(instance, now + instance.linger);
    if (instance.status !== 'passing' && instance.expiresAt > now) return;
    this.#queue.push(instance);
    this.#schedule();
  }

  /** Changes were undone. What is without a connection, and said to be so by one of them, parts again. */
  onRollback(): void {
    this.#queue = [];
    this.#next = 0;
    this.#beginSweep();
  }

  #awaitGrace(): void {
    const left = this.#warmUntil - this.#clock.now();
    if (left > 0) {
      // Registry time may be behind the timer's by a stall.
      this.#graceTimer = this.#clock.after(left, () => this.#awaitGrace());
      return;
    }
    this.#beginSweep();
  }

  /** It waits for no log: what parts has a deadline from then on, whoever takes the change that says so. */
  #beginSweep(): void {
    this.#swept = 0;
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    setImmediate(() => this.#sweep());
  }

  /** In this turn of the event loop others may part, too. */
  #schedule(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'scheduled';
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    if (this.#state === 'stopped') return;
    const { room } = this.#audience;
    if (room === 0) {
      this.#goOnAfter(WAIT_MS);
      return;
    }
    const isTaken = this.#propose(Math.min(room, CHANGES_PER_TURN));
    this.#state = 'idle';
    if (!isTaken) {
      this.#goOnAfter(REFUSED_MS);
    } else if (this.#next < this.#queue.length) {
      this.#schedule();
    } else {
      this.#queue = [];
      this.#next = 0;
    }
  }

  #goOnAfter(ms: number): void {
    this.#state = 'waiting';
    this.#retryTimer = this.#clock.after(ms, () => this.#turn());
  }

  /** Looks for bound instances that nobody holds, whose connection is known to be closed or had the grace to come back. */
  #sweep(): void {
    if (this.#state === 'stopped' || this.#swept === undefined) return;
    const isGraceOver = this.#clock.now() >= this.#warmUntil;
    let looks = LOOKS_PER_TURN;
    for (const instance of this.#registry.after(this.#swept)) {
      if (looks === 0) {
        setImmediate(() => this.#sweep());
        return;
      }
      looks -= 1;
      this.#swept = instance.generation;
      if (instance.grip === -1 && (isGraceOver || instance.holder !== undefined)) this.part(instance);
    }
    this.#swept = undefined;
    this.#isSweeping = false;
  }

  /** @returns whether the log took it. */
  #propose(most: number): boolean {
    let left = most;
    for (let looks = LOOKS_PER_TURN; left > 0 && looks > 0; looks -= 1) {
      const instance = this.#queue[this.#next];
      if (instance === undefined) return true;
      if (this.#isParted(instance)) {
        if (!this.#change(instance)) return false;
        left -= 1;
      }
      this.#next += 1;
    }
    return true;
  }

  /** Whether it has neither come back nor ended. */
  #isParted(instance: Instance): boolean {
    return instance.grip === -1 && this.#registry.find(instance.key, instance.id) === instance;
  }

  /** @returns whether the log took it. */
  #change(instance: Instance): boolean {
    if (instance.expiresAt <= this.#clock.now()) return this.#expiry.end([instance]);
    const ordered = tryToPropose(this.#log, suspicionOf(instance, this.#clock.wall()));
    if (ordered instanceof Promise) ordered.catch(() => this.#tryAgain(instance));
    return ordered !== undefined;
  }

  #tryAgain(instance: Instance): void {
    this.#queue.push(instance);
    if (this.#state === 'idle') this.#goOnAfter(REFUSED_MS);
  }
}
