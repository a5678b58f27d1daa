/** A registration as its owner sees it: a promise that is kept, and announced when it is broken. */

import { EventEmitter } from 'node:events';
import { type Json, type Labels, type RegisterReply, type RegistryError, type Timer, timeoutToMs } from '@reg/protocol';
import { type Content, destroyLine, type Identity, makeContent } from './content.js';
import { ClosedError, captureTrace, type Trace } from './errors.js';
import type { Link } from './link.js';
import { Renewals } from './renewals.js';
import type { CallOptions } from './requests.js';
import { MAX_DELAY } from './schedule.js';
import { afterReading, checkSignal } from './wait.js';

export type RegistrationState = 'pending' | 'registered' | 'lost' | 'closed';

export interface LostEvent {
  /**
   * `expired`: a whole ttl has passed, by this process's clock, since the last confirmed renewal was sent.
   * `forgotten`: a renewal was answered as a new registration, so the registry had lost it in between.
   * `refused`: the registry refused a renewal, with `error`.
   */
  readonly reason: 'expired' | 'forgotten' | 'refused';
  /** From when the registry may not have had it, in ms since the Unix epoch. */
  readonly since: number;
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

type Phase =
  | { readonly name: 'pending' | 'registered' | 'closed' }
  /** `since` by the monotonic clock. */
  | { readonly name: 'lost'; readonly since: number };

const PENDING: Phase = { name: 'pending' };
const REGISTERED: Phase = { name: 'registered' };
const CLOSED: Phase = { name: 'closed' };

export class Registration extends EventEmitter<RegistrationEvents> {
  readonly #identity: Identity;
  readonly #link: Link;
  readonly #renewals: Renewals;
  readonly #onEnd: (registration: Registration) => void;
  #phase: Phase = PENDING;
  /** To the last confirmed renewal. */
  #reply: RegisterReply | undefined;
  #expiry: Timer | undefined;
  #closing: Promise<void> = Promise.resolve();

  /** @param onEnd is called once, when it renews nothing any more. */
  constructor(identity: Identity, content: Content, link: Link, onEnd: (registration: Registration) => void) {
    super();
    this.#identity = identity;
    this.#link = link;
    this.#onEnd = onEnd;
    this.#renewals = new Renewals(content, timeoutToMs(identity.ttl), link, {
      confirmed: (reply, before) => this.#confirm(reply, before),
      refused: (error) => this.#refuse(error),
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

  /** Why the last renewal failed; `undefined` where it did not. */
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
    if (this.state === 'closed') throw new ClosedError('the registration is closed');
    checkSignal(options.signal);
    this.#renewals.set(makeContent(this.#identity, values, options, this.#renewals.basis));
    await this.#renewals.settled(options.signal, trace);
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

  /** Stops the heartbeats and leaves it to its ttl; without one it stays until somebody destroys it. */
  release(): void {
    if (this.state !== 'closed') this.#end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
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

  #refuse(error: RegistryError): void {
    if (this.state === 'registered') this.#lose('refused', this.#now(), error);
    else if (this.state === 'pending') this.emit('refused', { error });
  }

  #lose(reason: LostEvent['reason'], since: number, error?: RegistryError): void {
    this.#phase = { name: 'lost', since };
    const wallSince = Math.round(this.#link.settings.clock.wall() - (this.#now() - since));
    this.emit('lost', { reason, since: wallSince, ...(error && { error }) });
  }

  /** A listener may have closed it a moment ago. */
  #recover(): void {
    if (this.#phase.name !== 'lost') return;
    const { since } = this.#phase;
    this.#phase = REGISTERED;
    this.emit('recovered', { lostFor: Math.round(this.#now() - since) });
  }

  #watchExpiry(): void {
    this.#expiry?.cancel();
    const { left } = this.#renewals;
    if (left === Number.POSITIVE_INFINITY) return;
    this.#expiry = afterReading(this.#link.settings.clock, Math.min(Math.max(0, left), MAX_DELAY), () => {
      if (this.#renewals.left > 0) this.#watchExpiry();
      else if (this.state === 'registered') this.#lose('expired', this.#now() + this.#renewals.left);
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
    await this.#link.call('destruction', line, { ...options, timeout, repeatable: true }).result;
  }
}
