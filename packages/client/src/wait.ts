import { setMaxListeners } from 'node:events';
import type { Clock, RegistryError, Timer } from '@reg/protocol';
import { AbortError, retrace, type Trace } from './errors.js';

export interface WaitOptions {
  /** ms until it is given up. */
  readonly timeout: number;
  /** Whether the process has to stay for it. */
  readonly keepsAlive?: boolean;
  /** One that has not fired yet; see `checkSignal`. */
  readonly signal?: AbortSignal | undefined;
  /** Where the caller stood; absent for what the client does of its own accord. */
  readonly trace?: Trace | undefined;
}

/** Comes before anything is made or sent: what is given up already must leave no mark. @throws {AbortError} */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError(signal.reason);
}

/**
 * A result that somebody waits for, for so long and until a signal at most. It is settled once; what comes
 * later is ignored.
 */
export class Wait<T, O extends WaitOptions = WaitOptions> {
  readonly result: Promise<T>;
  readonly options: O;
  readonly #resolvers: Resolvers<T>;
  #settled = false;
  #timer: Timer | undefined;
  #stopListening: (() => void) | undefined;

  constructor(options: O) {
    this.options = options;
    [this.result, this.#resolvers] = makePromise<T>();
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Starts its time. `overdue` is called when that is over, `aborted` when the caller gives up. */
  start(clock: Clock, overdue: () => void, aborted: (error: AbortError) => void): void {
    const { timeout, keepsAlive, signal } = this.options;
    this.#timer = afterReading(clock, timeout, overdue);
    // This is all that keeps a process alive: sockets never do, and are read while a timer does.
    if (keepsAlive) this.#timer.ref();
    if (!signal) return;
    const listener = () => aborted(new AbortError(signal.reason));
    // One signal for a thousand requests is ordinary use, and Node would take the eleventh for a leak.
    setMaxListeners(0, signal);
    signal.addEventListener('abort', listener, { once: true });
    this.#stopListening = () => signal.removeEventListener('abort', listener);
  }

  resolve(value: T): void {
    if (this.#settle()) this.#resolvers.resolve(value);
  }

  reject(error: RegistryError): void {
    const { trace } = this.options;
    if (this.#settle()) this.#resolvers.reject(trace ? retrace(error, trace) : error);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#timer?.cancel();
    this.#stopListening?.();
    return true;
  }
}

/**
 * Calls `action` in `ms` milliseconds, and not before what had arrived by then was read. A process that was
 * stopped, or busy, finds its timers due before it looks at its sockets; one more turn lets it look.
 */
export function afterReading(clock: Clock, ms: number, action: () => void): Timer {
  let kept = false;
  let timer = clock.after(ms, () => {
    timer = clock.after(0, action);
    if (kept) timer.ref();
  });
  return {
    cancel: () => timer.cancel(),
    ref: () => {
      kept = true;
      timer.ref();
    },
  };
}

interface Resolvers<T> {
  resolve(value: T): void;
  reject(error: RegistryError): void;
}

/** `Promise.withResolvers`, which Node 20 does not have. */
function makePromise<T>(): [Promise<T>, Resolvers<T>] {
  const resolvers: Resolvers<T> = { resolve: () => {}, reject: () => {} };
  const promise = new Promise<T>((resolve, reject) => {
    resolvers.resolve = resolve;
    resolvers.reject = reject;
  });
  return [promise, resolvers];
}
