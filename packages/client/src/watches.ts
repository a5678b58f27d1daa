import type { Event, RegistryError, RequestOf, Timer, WatchReply } from '@reg/protocol';
import type { Contracts } from './contracts.js';
import { ClosedError, detached, ReplyError } from './errors.js';
import type { Link, LinkUser } from './link.js';
import type { Call } from './requests.js';
import { afterReading } from './wait.js';
import type { Watcher } from './watcher.js';
import { encodeLine } from './wire.js';

/** What a daemon that has not answered yet is taken to promise, in ms; see `WatchReply.progress`. */
const USUAL_PROGRESS = 5000;
/** Nobody is asked more often for the sake of a daemon that promises more, in ms. */
const MIN_PROGRESS = 1000;

/**
 * The watches of one client. It hands each event to the watcher that it is for, and finds out when the connection is
 * dead: where there is a watch, a daemon that is well is never silent for longer than it has promised. After half as
 * long again it is asked, and after another half without a word the connection is dropped.
 */
export class Watches implements LinkUser {
  readonly link: Link;
  /** What the watchers check what they are told by; `undefined` where nothing was agreed. */
  readonly contracts: Contracts | undefined;
  readonly #watchers = new Set<Watcher>();
  /** By the numbers that they have on the present connection. */
  readonly #numbers = new Map<number, Watcher>();
  /** ms */
  #progress = USUAL_PROGRESS;
  #timer: Timer | undefined;
  #silent = false;
  /** What was sent of the present connection's watches and is not answered. */
  readonly #sends = new Set<Call>();
  #ended = false;

  constructor(link: Link, contracts?: Contracts) {
    this.link = link;
    this.contracts = contracts;
  }

  /** Whether the daemon has been asked why it says nothing, and has not answered. */
  get silent(): boolean {
    return this.#silent;
  }

  /** @throws {ClosedError} */
  add(watcher: Watcher): void {
    if (this.#ended) throw new ClosedError('the client is closed');
    this.#watchers.add(watcher);
    this.link.join(this);
    if (!this.link.open) {
      this.link.wake();
      return;
    }
    this.#listen();
    watcher.connected();
  }

  remove(watcher: Watcher): void {
    if (!this.#watchers.delete(watcher) || this.#watchers.size > 0) return;
    this.#timer?.cancel();
    this.#silent = false;
    this.link.leave(this);
  }

  /** Ends all for good; resolves when nothing is left to be done. It never rejects. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.allSettled([...this.#watchers].map((watcher) => watcher.end()));
  }

  /** From now on the events of this number are the watcher's. */
  assign({ watch, progress }: WatchReply, watcher: Watcher): void {
    this.#numbers.set(watch, watcher);
    this.#progress = Math.max(MIN_PROGRESS, progress * 1000);
    this.#listen();
  }

  unwatch(number: number): void {
    this.#numbers.delete(number);
    // Where the connection has just broken, it is over without a word.
    if (this.link.open) this.send('unwatch', { watch: number });
  }

  /** Tells the daemon something about a watch of this connection: with the connection it is over. */
  send<C extends 'ack' | 'unwatch'>(type: C, message: RequestOf<C>): void {
    const { requestTimeout: timeout } = this.link.settings;
    const call = this.link.call(type, encodeLine(type, message), { timeout });
    const done = () => this.#sends.delete(call);
    this.#sends.add(call);
    call.result.then(done, done);
  }

  connected(): void {
    this.#listen();
    for (const watcher of this.#watchers) watcher.connected();
  }

  disconnected(): void {
    this.#timer?.cancel();
    this.#silent = false;
    this.#numbers.clear();
    // On the next connection the numbers mean others.
    for (const call of this.#sends) this.link.cancel(call, new ClosedError());
    this.#tell((watcher) => watcher.disconnected());
  }

  unreachable(): void {
    this.#tell((watcher) => watcher.failed(this.link.overdueError(0), true));
  }

  gaveUp(makeError: () => RegistryError): void {
    this.#tell((watcher) => watcher.failed(makeError(), false));
  }

  event(event: Event): void {
    this.#hear();
    if (event.type === 'progress') {
      for (const watcher of this.#numbers.values()) watcher.progressed(event.revision);
      return;
    }
    const { watch, ...told } = event;
    const watcher = this.#numbers.get(watch);
    if (told.type === 'ended') {
      this.#numbers.delete(watch);
      watcher?.dismissed(ReplyError.ofDaemon(told.error.code, told.error.message));
    } else {
      watcher?.told(told);
    }
  }

  #tell(what: (watcher: Watcher) => void): void {
    for (const watcher of this.#watchers) detached(() => what(watcher));
  }

  /** Looks again when the daemon could have been silent for too long. */
  #listen(): void {
    const { clock } = this.link.settings;
    this.#timer?.cancel();
    this.#timer = afterReading(clock, Math.max(0, this.#progress * 1.5 - this.#quiet()), () => {
      if (this.#quiet() < this.#progress * 1.5) this.#listen();
      else this.#ask();
    });
  }

  /** For how many ms nothing has come. */
  #quiet(): number {
    const now = this.link.settings.clock.monotonic();
    return now - (this.link.heardAt ?? now);
  }

  #ask(): void {
    this.#silent = true;
    this.#tell((watcher) => watcher.heard());
    // A daemon that says nothing else meanwhile either is dead: the link then drops the connection.
    const timeout = this.#progress / 2;
    const ping = this.link.call('ping', encodeLine('ping', {}), { timeout, patience: timeout });
    const heard = () => this.#hear();
    ping.result.then(heard, heard);
  }

  #hear(): void {
    if (!this.#silent) return;
    this.#silent = false;
    this.#listen();
    this.#tell((watcher) => watcher.heard());
  }
}
