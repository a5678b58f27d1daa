/**
 * What registers one instance, and registers it again whenever the registry may not have it as it ought to: at first,
 * for an update, on every new connection, after a failure. `#content` is what the registry ought to hold, `#accepted`
 * what it last said that it holds. One register is in flight at a time, and whoever wants to know waits for a version.
 * In between the heartbeats renew it.
 */

import { type EndReason, lingerToMs, type RegisterReply, RegistryError, type Timer, timeoutToMs } from '@reg/protocol';
import { type Basis, type Claim, type Content, type Identity, rebase, registerLine } from './content.js';
import { ClosedError, ReplyError, type Trace } from './errors.js';
import type { Heartbeats, Member } from './heartbeats.js';
import type { Link } from './link.js';
import type { Call } from './requests.js';
import { backoffDelay, DEFAULT_BACKOFF, heartbeatDelay, heartbeatPatience, spreadDelay } from './schedule.js';
import { Wait } from './wait.js';

/** An end that is for good: it is not registered again. */
export type FinalReason = Exclude<EndReason, 'expired'>;

/** Who is told; called last, when the next renewal is seen to. */
export interface RenewalsOwner {
  /** @param before when the confirmed renewal before this was sent, by the monotonic clock; `undefined` at first. */
  confirmed(reply: RegisterReply, before: number | undefined): void;
  /** A heartbeat has renewed it. */
  renewed(): void;
  /** The registry has dropped it. */
  forgotten(): void;
  /** The registry does not take what it is to hold, and will not take it unchanged. */
  refused(error: RegistryError): void;
  /** It is gone for good. */
  ended(reason: FinalReason): void;
  /** The ttl is over, and no reply that is still to be read can say otherwise. */
  overdue(): void;
}

export class Renewals implements Member {
  readonly ttl: number;
  /** ms; `Infinity` where it is bound to no connection. */
  readonly #linger: number;
  readonly #identity: Identity;
  readonly #takeover: boolean;
  readonly #heartbeats: Heartbeats;
  readonly #link: Link;
  readonly #owner: RenewalsOwner;
  #content: Content;
  #accepted: Content | undefined;
  #versions: number;
  #generation: number | undefined;
  #inFlight: { readonly call: Call<'register'>; readonly content: Content } | undefined;
  #timer: Timer | undefined;
  /** When the last register was made, and the last confirmed renewal was sent, by the monotonic clock. */
  #madeAt = 0;
  #confirmedAt: number | undefined;
  /** Failed registers in a row, and why the last of them did. */
  #failures = 0;
  #error: RegistryError | undefined;
  /** The registry may hold it: it said so, or was asked and did not answer. */
  #exposed = false;
  #ended = false;
  /** Those who wait until the registry holds a version, or a later one. */
  readonly #waits = new Map<Wait<void>, number>();

  /** @param takeover whether the first registration takes it over from a live owner. */
  constructor(identity: Identity, content: Content, takeover: boolean, heartbeats: Heartbeats, owner: RenewalsOwner) {
    this.#identity = identity;
    this.ttl = timeoutToMs(identity.ttl);
    this.#linger = lingerToMs(identity.linger ?? undefined);
    this.#content = content;
    this.#versions = content.version;
    this.#takeover = takeover;
    this.#heartbeats = heartbeats;
    this.#link = heartbeats.link;
    this.#owner = owner;
    heartbeats.join(this);
  }

  get key(): string {
    return this.#identity.key;
  }

  get instance(): string | null {
    return this.#identity.instance;
  }

  get generation(): number | undefined {
    return this.#generation;
  }

  /** What the registry ought to hold. */
  get content(): Content {
    return this.#content;
  }

  /** The request that leaves it to its ttl, bound to no connection. */
  get parting(): string {
    return registerLine({ ...this.#identity, linger: null }, this.#accepted ?? this.#content, this.#claim());
  }

  /** What the next content is made of. */
  get basis(): Basis {
    const { sayings, changes } = this.#content;
    const sent = this.#content === this.#accepted || this.#content === this.#inFlight?.content;
    return { version: this.#versions + 1, sayings, unsent: sent ? {} : changes };
  }

  /** ms of the ttl that are left by this process's clock, below 0 where it is over; 0 before it was registered. */
  get left(): number {
    if (this.#confirmedAt === undefined) return 0;
    return this.#confirmedAt + this.ttl - this.#link.settings.clock.monotonic();
  }

  /** When the last confirmed renewal was sent, by the monotonic clock; `undefined` before the first. */
  get confirmedAt(): number | undefined {
    return this.#confirmedAt;
  }

  get error(): RegistryError | undefined {
    return this.#error;
  }

  set(content: Content): void {
    this.#content = content;
    this.#versions = content.version;
  }

  /** Registers it now, or as soon as there is a connection and the register in flight is over. */
  renew(): void {
    if (this.#ended || this.#inFlight) return;
    this.#madeAt = this.#link.settings.clock.monotonic();
    if (this.#link.open) {
      this.#send(this.#content);
    } else {
      this.#link.wake();
      this.#schedule(heartbeatDelay(this.ttl, this.#link.settings.random));
    }
  }

  /**
   * Registers it, and resolves when the registry holds the present content. Rejects at once where it refuses that,
   * and when `timeout` ms are over.
   */
  settled(
    signal: AbortSignal | undefined,
    trace: Trace,
    timeout: number = this.#link.settings.requestTimeout,
  ): Promise<void> {
    const { clock } = this.#link.settings;
    const wait = new Wait<void>({ timeout, keepsAlive: true, signal, trace });
    this.#waits.set(wait, this.#content.version);
    const fail = (error: RegistryError) => {
      this.#waits.delete(wait);
      wait.reject(error);
    };
    wait.start(clock, () => fail(this.#overdueError(timeout)), fail);
    this.renew();
    return wait.result;
  }

  /** The link has opened. What somebody waits for, or the registry never had, goes out now. */
  connected(): void {
    if (this.#inFlight) return;
    if (this.#confirmedAt === undefined || this.#waits.size > 0) {
      this.renew();
      return;
    }
    const { clock, random } = this.#link.settings;
    this.#madeAt = clock.monotonic();
    this.#schedule(spreadDelay(this.ttl, this.#linger, this.left, random));
  }

  /** The next connection brings it back; and where nobody makes one by himself, this asks for it. */
  disconnected(): void {
    if (this.#inFlight) return;
    const { clock, random } = this.#link.settings;
    this.#madeAt = clock.monotonic();
    this.#schedule(heartbeatDelay(this.ttl, random));
  }

  renewed(sentAt: number): void {
    this.#confirmedAt = Math.max(sentAt, this.#confirmedAt ?? sentAt);
    this.#owner.renewed();
  }

  ended(reason: EndReason): void {
    if (reason === 'expired') {
      this.renew();
      this.#owner.forgotten();
    } else {
      this.#endFor(reason, () => new RegistryError(reason));
    }
  }

  stoodStill(beatAt: number | undefined): void {
    const { clock } = this.#link.settings;
    const hope = Math.max(this.#confirmedAt ?? 0, beatAt ?? 0, this.#inFlight?.call.sentAt ?? 0);
    if (hope + this.ttl <= clock.monotonic()) this.#owner.overdue();
  }

  /** The link will not try again by itself. */
  gaveUp(makeError: () => RegistryError): void {
    this.#failWaits(makeError, this.#versions);
  }

  /** Stops for good. Whether the registry may hold it. */
  end(): boolean {
    this.#ended = true;
    this.#heartbeats.leave(this);
    this.#timer?.cancel();
    this.#failWaits(() => new ClosedError('the registration was closed'), this.#versions);
    if (this.#inFlight) {
      const { call } = this.#inFlight;
      this.#exposed ||= call.sentAt !== undefined;
      this.#link.cancel(call, new ClosedError());
    }
    return this.#exposed;
  }

  #send(content: Content): void {
    this.#timer?.cancel();
    const { requestTimeout } = this.#link.settings;
    // Only a renewal may judge the connection by the ttl: a change may have to wait for the daemon's disk.
    const patience = content === this.#accepted ? heartbeatPatience(this.ttl, requestTimeout) : requestTimeout;
    const line = registerLine(this.#identity, content, this.#claim());
    const call = this.#link.call('register', line, { timeout: patience, patience });
    this.#inFlight = { call, content };
    call.result.then(
      (reply) => this.#confirmed(reply, content, call),
      (error) => this.#failed(error, content, call.sentAt !== undefined),
    );
  }

  #claim(): Claim {
    if (this.#generation !== undefined) return { generation: this.#generation };
    return this.#takeover ? { takeover: true } : {};
  }

  #confirmed(reply: RegisterReply, content: Content, call: Call<'register'>): void {
    // First: while this is in flight it is known that its reply may save it, and a listener may close it.
    this.#heartbeats.look();
    this.#inFlight = undefined;
    if (this.#ended) return;
    const before = this.#confirmedAt;
    const sentAt = call.sentAt ?? this.#madeAt;
    this.#exposed = true;
    this.#accepted = content;
    this.#generation = reply.generation;
    this.#confirmedAt = sentAt;
    this.#failures = 0;
    this.#error = undefined;
    this.#timer?.cancel();
    this.#resolveWaits(content.version);
    // A connection that is gone since holds nothing.
    const held = this.#link.open && call.session === this.#link.session;
    if (held) this.#heartbeats.hold(this, sentAt);
    if (!held || content !== this.#content) this.renew();
    this.#owner.confirmed(reply, before);
  }

  #failed(reason: unknown, content: Content, sent: boolean): void {
    this.#inFlight = undefined;
    if (this.#ended) return;
    const error = reason instanceof RegistryError ? reason : new RegistryError('internal', String(reason));
    const answered = error instanceof ReplyError && error.daemonCode !== undefined;
    if (sent && !answered) this.#exposed = true;
    this.#failures += 1;
    this.#error = error;
    if (!(error instanceof ReplyError) || error.retryable) {
      // Asked sooner than it says, the daemon would only refuse again.
      this.#schedule(Math.max(this.#retryDelay(), (error.retryAfter ?? 0) * 1000));
    } else if (isFinal(error.code) && this.#generation !== undefined) this.#endFor(error.code, () => error.copy());
    else this.#refused(error, content);
  }

  #endFor(reason: FinalReason, makeError: () => RegistryError): void {
    this.#error = makeError();
    this.#failWaits(makeError, this.#versions);
    this.#owner.ended(reason);
  }

  #refused(error: ReplyError, content: Content): void {
    this.#failWaits(() => error.copy(), content.version);
    if (this.#accepted && content !== this.#accepted) {
      const { sayings } = this.#accepted;
      this.#content = content === this.#content ? this.#accepted : rebase(this.#content, sayings);
    }
    if (content === this.#content) {
      this.#schedule(heartbeatDelay(this.ttl, this.#link.settings.random));
      this.#owner.refused(error);
    } else {
      this.renew();
    }
  }

  /** Sooner while somebody waits for the outcome. */
  #retryDelay(): number {
    const { reconnect, random } = this.#link.settings;
    const delay = heartbeatDelay(this.ttl, random);
    if (this.#waits.size === 0) return delay;
    const soon = backoffDelay(this.#failures - 1, reconnect || DEFAULT_BACKOFF, random);
    return Math.min(delay, this.#link.settings.clock.monotonic() - this.#madeAt + soon);
  }

  /** Sets the next register to `delay` ms after the last was made. */
  #schedule(delay: number): void {
    this.#timer?.cancel();
    const { clock } = this.#link.settings;
    const left = Math.max(0, this.#madeAt + delay - clock.monotonic());
    this.#timer = clock.after(left, () => this.renew());
  }

  /** What the registry last answered tells more than that time is up. */
  #overdueError(timeout: number): RegistryError {
    return this.#error instanceof ReplyError ? this.#error.copy() : this.#link.overdueError(timeout);
  }

  #resolveWaits(upTo: number): void {
    for (const [wait, version] of this.#waits) {
      if (version > upTo) continue;
      this.#waits.delete(wait);
      wait.resolve();
    }
  }

  #failWaits(makeError: () => RegistryError, upTo: number): void {
    for (const [wait, version] of this.#waits) {
      if (version > upTo) continue;
      this.#waits.delete(wait);
      wait.reject(makeError());
    }
  }
}

function isFinal(code: string): code is FinalReason {
  return code === 'destroyed' || code === 'superseded';
}
