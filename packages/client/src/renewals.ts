/**
 * What keeps one instance registered. `#content` is what the registry ought to hold, `#accepted` what it last
 * said that it holds. A renewal sends the former, one at a time; it is first registration, update and
 * heartbeat alike, and whoever wants to know waits for a version. A timer for the next renewal is set whenever
 * none is in flight, unless all is well and there is no ttl.
 */

import { type RegisterReply, RegistryError, type Timer } from '@reg/protocol';
import { type Basis, type Content, rebase } from './content.js';
import { ClosedError, type ConnectionError, ReplyError, type Trace } from './errors.js';
import type { Link, LinkUser } from './link.js';
import type { Call } from './requests.js';
import {
  backoffDelay,
  DEFAULT_BACKOFF,
  firstHeartbeatDelay,
  heartbeatDelay,
  heartbeatPatience,
  retryDelay,
  spreadDelay,
} from './schedule.js';
import { Wait } from './wait.js';

/** Who is told; called last, when the next renewal is seen to. */
export interface RenewalsOwner {
  /** @param before when the confirmed renewal before this was sent, by the monotonic clock; `undefined` at first. */
  confirmed(reply: RegisterReply, before: number | undefined): void;
  /** The registry does not take what it is to hold, and will not take it unchanged. */
  refused(error: RegistryError): void;
}

export class Renewals implements LinkUser {
  readonly #link: Link;
  /** ms */
  readonly #ttl: number;
  readonly #owner: RenewalsOwner;
  #content: Content;
  #accepted: Content | undefined;
  #versions: number;
  #inFlight: { readonly call: Call<'register'>; readonly content: Content } | undefined;
  #timer: Timer | undefined;
  /** When the last renewal was made, and the last confirmed one was sent, by the monotonic clock. */
  #madeAt = 0;
  #confirmedAt: number | undefined;
  /** Nothing was confirmed yet on the present connection. */
  #fresh = true;
  /** Failed renewals in a row, and why the last of them did. */
  #failures = 0;
  #error: RegistryError | undefined;
  /** The registry may hold it: it said so, or was asked and did not answer. */
  #exposed = false;
  #ended = false;
  /** Those who wait until the registry holds a version, or a later one. */
  readonly #waits = new Map<Wait<void>, number>();

  constructor(content: Content, ttl: number, link: Link, owner: RenewalsOwner) {
    this.#content = content;
    this.#versions = content.version;
    this.#ttl = ttl;
    this.#link = link;
    this.#owner = owner;
    link.join(this);
  }

  /** What the next content is made of. */
  get basis(): Basis {
    const { labels, changes } = this.#content;
    const sent = this.#content === this.#accepted || this.#content === this.#inFlight?.content;
    return { version: this.#versions + 1, labels, unsent: sent ? {} : changes };
  }

  /** ms of the ttl that are left by this process's clock, below 0 where it is over; 0 before it was registered. */
  get left(): number {
    if (this.#confirmedAt === undefined) return 0;
    return this.#confirmedAt + this.#ttl - this.#link.settings.clock.monotonic();
  }

  get error(): RegistryError | undefined {
    return this.#error;
  }

  set(content: Content): void {
    this.#content = content;
    this.#versions = content.version;
  }

  /** Makes a renewal now, or as soon as there is a connection and the one in flight is over. */
  renew(): void {
    if (this.#ended || this.#inFlight) return;
    this.#madeAt = this.#link.settings.clock.monotonic();
    if (this.#link.open) {
      this.#send(this.#content);
    } else {
      this.#link.wake();
      this.#schedule(retryDelay(this.#ttl, this.#link.settings.random));
    }
  }

  /**
   * Renews, and resolves when the registry holds the present content. Rejects at once where it refuses that,
   * and when the client's `requestTimeout` is over.
   */
  settled(signal: AbortSignal | undefined, trace: Trace): Promise<void> {
    const { clock, requestTimeout: timeout } = this.#link.settings;
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
    this.#fresh = true;
    if (this.#inFlight) return;
    if (this.#confirmedAt === undefined || this.#waits.size > 0) {
      this.renew();
      return;
    }
    const { clock, random } = this.#link.settings;
    this.#madeAt = clock.monotonic();
    this.#schedule(spreadDelay(this.#ttl, this.left, random));
  }

  /** The link will not try again by itself. */
  gaveUp(makeError: () => ConnectionError): void {
    this.#failWaits(makeError, this.#versions);
  }

  /** Stops for good. Whether the registry may hold it. */
  end(): boolean {
    this.#ended = true;
    this.#link.leave(this);
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
    // Only a heartbeat may judge the connection by the ttl: a change may have to wait for the daemon's disk.
    const patience = content === this.#accepted ? heartbeatPatience(this.#ttl, requestTimeout) : requestTimeout;
    const call = this.#link.call('register', content.line, { timeout: patience, patience });
    this.#inFlight = { call, content };
    call.result.then(
      (reply) => this.#confirmed(reply, content, call.sentAt ?? this.#madeAt),
      (error) => this.#failed(error, content, call.sentAt !== undefined),
    );
  }

  #confirmed(reply: RegisterReply, content: Content, sentAt: number): void {
    this.#inFlight = undefined;
    if (this.#ended) return;
    const before = this.#confirmedAt;
    this.#exposed = true;
    this.#accepted = content;
    this.#confirmedAt = sentAt;
    this.#failures = 0;
    this.#error = undefined;
    this.#resolveWaits(content.version);
    if (content === this.#content) this.#schedule(this.#heartbeatDelay());
    else this.renew();
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
    if (error instanceof ReplyError && !error.retryable) this.#refused(error, content);
    else this.#schedule(this.#retryDelay());
  }

  #refused(error: ReplyError, content: Content): void {
    this.#failWaits(() => error.copy(), content.version);
    if (this.#accepted && content !== this.#accepted) {
      const { labels } = this.#accepted;
      this.#content = content === this.#content ? this.#accepted : rebase(this.#content, labels);
    }
    if (content === this.#content) {
      this.#schedule(retryDelay(this.#ttl, this.#link.settings.random));
      this.#owner.refused(error);
    } else {
      this.renew();
    }
  }

  #heartbeatDelay(): number {
    const delay = this.#fresh ? firstHeartbeatDelay : heartbeatDelay;
    this.#fresh = false;
    return delay(this.#ttl, this.#link.settings.random);
  }

  /** Sooner while somebody waits for the outcome. */
  #retryDelay(): number {
    const { reconnect, random } = this.#link.settings;
    const delay = retryDelay(this.#ttl, random);
    if (this.#waits.size === 0) return delay;
    const soon = backoffDelay(this.#failures - 1, reconnect || DEFAULT_BACKOFF, random);
    return Math.min(delay, this.#link.settings.clock.monotonic() - this.#madeAt + soon);
  }

  /** Sets the next renewal to `delay` ms after the last was made. */
  #schedule(delay: number): void {
    this.#timer?.cancel();
    if (delay === Number.POSITIVE_INFINITY) return;
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
