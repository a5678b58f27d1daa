/** A registration as its owner sees it: a promise that is kept, and announced when it is broken. */

import { EventEmitter } from 'node:events';
import type { Json, Labels, OwnStatus, RegisterReply, RegistryError, Timer } from '@reg/protocol';
import { type Content, destroyLine, type Identity, makeContent, type Sayings } from './content.js';
import type { InputCheck } from './contracts.js';
import { awaitAcks, DRAIN_TIMEOUT, type DrainOptions, type DrainResult } from './drain.js';
import { ClosedError, captureTrace, type Trace } from './errors.js';
import type { Heartbeats } from './heartbeats.js';
import type { Link } from './link.js';
import { checkDelay } from './options.js';
import { type FinalReason, Renewals } from './renewals.js';
import type { CallOptions } from './requests.js';
import { MAX_DELAY } from './schedule.js';
import { afterReading, checkSignal } from './wait.js';

export type RegistrationState = 'pending' | 'registered' | 'lost' | 'closed';

export interface LostEvent {
  /**
   * `expired`: a whole ttl has passed, by this process's clock, since the last confirmed renewal was sent.
   * `blocked`: the same, because this process stood still; `blockedFor` says how long.
   * `forgotten`: the registry had dropped it.
   * `refused`: the registry refused to register it again, with `error`.
   * `destroyed`, `superseded`: somebody ended it, or took it over. That is for good, and it is closed.
   */
  readonly reason: 'expired' | 'blocked' | 'forgotten' | 'refused' | FinalReason;
  /** From when the registry may not have had it, in ms since the Unix epoch. */
  readonly since: number;
  /** For how many ms the event loop of this process did not run, at least. */
  readonly blockedFor?: number;
  readonly error?: RegistryError;
}

export interface RecoveredEvent {
  /** ms from the `since` of the `lost` before it; the registry may have had it for part of them. */
  readonly lostFor: number;
}

/** When each of them is emitted, and when not, the README says. */
export interface RegistrationEvents {
  /** The registry has it for the first time. */
  registered: [];
  /** The registry refuses what it never had. It is tried again. */
  refused: [{ readonly error: RegistryError }];
  lost: [LostEvent];
  /** The registry has it again. */
  recovered: [RecoveredEvent];
}

export interface UpdateOptions extends Labels {
  readonly signal?: AbortSignal;
}

export interface StatusOptions {
  readonly signal?: AbortSignal;
}

type Phase =
  | { readonly name: 'pending' | 'registered' | 'closed' }
  /** `since` by the monotonic clock. */
  | { readonly name: 'lost'; readonly since: number };

const PENDING: Phase = { name: 'pending' };
const REGISTERED: Phase = { name: 'registered' };
const CLOSED: Phase = { name: 'closed' };

export class Registration extends EventEmitter<RegistrationEvents> {
  readonly #identity: Identity;
  readonly #heartbeats: Heartbeats;
  readonly #link: Link;
  readonly #renewals: Renewals;
  readonly #onEnd: (registration: Registration) => void;
  readonly #check: InputCheck | undefined;
  #phase: Phase = PENDING;
  /** To the last confirmed register. */
  #reply: RegisterReply | undefined;
  #expiry: Timer | undefined;
  #draining: Promise<DrainResult> | undefined;
  #closing: Promise<void> = Promise.resolve();

  /**
   * @param onEnd is called once, when it renews nothing any more.
   * @param check comes before every change of values or metadata.
   */
  constructor(
    identity: Identity,
    content: Content,
    takeover: boolean,
    heartbeats: Heartbeats,
    onEnd: (registration: Registration) => void,
    check: InputCheck | undefined,
  ) {
    super();
    this.#identity = identity;
    this.#heartbeats = heartbeats;
    this.#link = heartbeats.link;
    this.#onEnd = onEnd;
    this.#check = check;
    this.#renewals = new Renewals(identity, content, takeover, heartbeats, {
      confirmed: (reply, before) => this.#confirm(reply, before),
      renewed: () => this.#renew(),
      forgotten: () => this.#forget(),
      refused: (error) => this.#refuse(error),
      ended: (reason) => this.#endFor(reason),
      overdue: () => this.#expire(),
    });
  }

  // Static, so that they are the client's and not part of what its users hold.

  static start(registration: Registration): void {
    registration.#renewals.renew();
  }

  /** Begins, and resolves when the registry has it. What fails leaves nothing behind. */
  static async establish(registration: Registration, signal: AbortSignal | undefined, trace: Trace): Promise<void> {
    try {
      await registration.#renewals.settled(signal, trace);
    } catch (error) {
      // The registry may have it all the same. Nobody waits for this, and it may fail: the ttl remains.
      if (registration.state !== 'closed' && registration.#end()) {
        registration.#destroy({}).catch(() => {});
      }
      throw error;
    }
  }

  get key(): string {
    return this.#identity.key;
  }

  /** `null` for the service's one unnamed instance. */
  get instance(): string | null {
    return this.#identity.instance;
  }

  get state(): RegistrationState {
    return this.#phase.name;
  }

  /** Of its last change, as the registry last said; `undefined` while pending. */
  get revision(): number | undefined {
    return this.#reply?.revision;
  }

  /** Revision of its first registration; another one is another life. `undefined` while pending. */
  get generation(): number | undefined {
    return this.#reply?.generation;
  }

  /** Why it could not be registered the last time, or is gone for good; `undefined` where all is well. */
  get error(): RegistryError | undefined {
    return this.#renewals.error;
  }

  /**
   * Changes what is registered; labels that are not given stay, and a weight can be changed but not taken away.
   * Resolves when the registry holds it, or a later update. A refused update is taken back, and so are those
   * that waited to be sent with it. After any other error the new content stays, and goes out with
   * the next renewal.
   *
   * @throws {RegistryError} as `Client.register` does, and `closed`.
   */
  async update(values: Json, options: UpdateOptions = {}): Promise<void> {
    const trace = captureTrace();
    const checking = this.#check?.(values, options.meta);
    if (checking) await checking;
    await this.#change(values, options, options.signal, trace);
  }

  /**
   * Says how it is: callers leave out what is `critical`, until it is `passing` again. Resolves, and fails, as `update`
   * does.
   *
   * @throws {RegistryError} as `Client.register` does, and `closed`.
   */
  async setStatus(status: Exclude<OwnStatus, 'draining'>, options: StatusOptions = {}): Promise<void> {
    await this.#change(this.#renewals.content.values, { status }, options.signal, captureTrace());
  }

  /**
   * Leaves without losing a request: says that it is `draining`, waits until every watch that acknowledges has seen
   * that, or `timeout` is over, and closes. It closes in any case, and rejects as `close` does.
   */
  drain(options: DrainOptions = {}): Promise<DrainResult> {
    this.#draining ??= this.#drain(checkDelay(options.timeout ?? DRAIN_TIMEOUT, 'timeout'));
    return this.#draining;
  }

  /**
   * Stops the heartbeats and destroys it. Rejects where the registry did not confirm that within the client's
   * `requestTimeout`; its ttl then ends it.
   */
  close(): Promise<void> {
    if (this.state !== 'closed' && this.#end())
      this.#closing = this.#destroy({ keepsAlive: true, trace: captureTrace() });
    return this.#closing;
  }

  /**
   * Lets go of it: it is left to its ttl, whatever becomes of the connection; without a ttl it stays until somebody
   * destroys it. For that one that is bound is registered once more, unbound. Rejects where the registry did not
   * confirm that within the client's `requestTimeout`; its linger or its ttl then ends it.
   */
  release(): Promise<void> {
    if (this.state === 'closed' || !this.#end() || this.#identity.linger === null) return this.#closing;
    this.#closing = this.#loosen({ keepsAlive: true, trace: captureTrace() });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @param timeout ms, instead of the client's `requestTimeout`. */
  async #change(
    values: Json,
    changed: Sayings,
    signal: AbortSignal | undefined,
    trace: Trace,
    timeout?: number,
  ): Promise<void> {
    this.#heartbeats.look();
    if (this.state === 'closed') throw new ClosedError('the registration is closed');
    checkSignal(signal);
    this.#renewals.set(makeContent(values, changed, this.#renewals.basis));
    await this.#renewals.settled(signal, trace, timeout);
  }

  async #drain(timeout: number): Promise<DrainResult> {
    const until = this.#now() + timeout;
    let result: DrainResult = { watches: 0, acknowledged: 0 };
    if (this.#reply && this.state !== 'closed') {
      const { values } = this.#renewals.content;
      try {
        await this.#change(values, { status: 'draining' }, undefined, captureTrace(), timeout);
        result = await awaitAcks(this.#link, this.key, this.#reply.revision, until, () => this.state === 'closed');
      } catch {
        // Whoever could not be told finds out when it is gone.
      }
    }
    await this.close();
    return result;
  }

  #confirm(reply: RegisterReply, before: number | undefined): void {
    const known = this.#reply?.generation;
    this.#reply = reply;
    this.#watchExpiry();
    if (before === undefined) {
      this.#phase = REGISTERED;
      this.emit('registered');
      return;
    }
    const forgotten = reply.result === 'registered' || reply.generation !== known;
    if (forgotten && this.state === 'registered') this.#lose('forgotten', before);
    this.#recover();
  }

  #renew(): void {
    this.#watchExpiry();
    this.#recover();
  }

  #forget(): void {
    if (this.state === 'registered') this.#lose('forgotten', this.#renewals.confirmedAt ?? this.#now());
  }

  #refuse(error: RegistryError): void {
    if (this.state === 'registered') this.#lose('refused', this.#now(), { error });
    else if (this.state === 'pending') this.emit('refused', { error });
  }

  /** It is closed before anybody is told: there is nothing left that a listener could do. */
  #endFor(reason: FinalReason): void {
    const since = this.#phase.name === 'lost' ? this.#phase.since : (this.#renewals.confirmedAt ?? this.#now());
    const error = this.error;
    this.#end();
    this.#tellLost(reason, since, error && { error });
  }

  #expire(): void {
    if (this.state !== 'registered' || this.#renewals.left > 0) return;
    const since = this.#now() + this.#renewals.left;
    const block = this.#heartbeats.blockAt(since);
    // Looking may have told it.
    if (this.state !== 'registered') return;
    if (block) this.#lose('blocked', since, { blockedFor: Math.round(block.length) });
    else this.#lose('expired', since);
  }

  #lose(reason: LostEvent['reason'], since: number, why?: Pick<LostEvent, 'blockedFor' | 'error'>): void {
    this.#phase = { name: 'lost', since };
    this.#tellLost(reason, since, why);
  }

  #tellLost(reason: LostEvent['reason'], since: number, why?: Pick<LostEvent, 'blockedFor' | 'error'>): void {
    const wallSince = Math.round(this.#link.settings.clock.wall() - (this.#now() - since));
    this.emit('lost', { reason, since: wallSince, ...why });
  }

  /** A listener may have closed it a moment ago. */
  #recover(): void {
    if (this.#phase.name !== 'lost') return;
    const { since } = this.#phase;
    this.#phase = REGISTERED;
    this.emit('recovered', { lostFor: Math.round(this.#now() - since) });
  }

  /** One timer for many renewals: it looks again when it finds that there were some. */
  #watchExpiry(): void {
    const { left } = this.#renewals;
    if (this.#expiry || left === Number.POSITIVE_INFINITY) return;
    this.#expiry = afterReading(this.#link.settings.clock, Math.min(Math.max(0, left), MAX_DELAY), () => {
      this.#expiry = undefined;
      if (this.#renewals.left > 0) this.#watchExpiry();
      else this.#expire();
    });
  }

  #now(): number {
    return this.#link.settings.clock.monotonic();
  }

  /** Whether there may be something to destroy. */
  #end(): boolean {
    this.#phase = CLOSED;
    this.#expiry?.cancel();
    const exposed = this.#renewals.end();
    this.#onEnd(this);
    return exposed;
  }

  /** Repeatable, as a destruction is not otherwise: it ends nothing but what this registration wanted gone. */
  async #destroy(options: Pick<CallOptions, 'keepsAlive' | 'trace'>): Promise<void> {
    const { requestTimeout: timeout } = this.#link.settings;
    const line = destroyLine(this.#identity);
    try {
      await this.#link.call('destruction', line, { ...options, timeout, repeatable: true }).result;
    } catch (error) {
      this.#heartbeats.disown(line);
      throw error;
    }
  }

  /** Repeatable because it takes nothing over. */
  async #loosen(options: Pick<CallOptions, 'keepsAlive' | 'trace'>): Promise<void> {
    const { requestTimeout: timeout } = this.#link.settings;
    await this.#link.call('register', this.#renewals.parting, { ...options, timeout, repeatable: true }).result;
  }
}
