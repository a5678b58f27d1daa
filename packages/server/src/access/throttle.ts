import type { RegistryClock } from '../clock.js';

/** How many attempts may fail in a row, and how many ms pass before there is one more. */
interface Allowance {
  readonly burst: number;
  readonly interval: number;
}

/** A program has one token, and at most a stale one before it. */
const CONNECTION: Allowance = { burst: 5, interval: 5000 };
/** Many programs may share an address, and be given the same wrong token. */
const ADDRESS: Allowance = { burst: 20, interval: 1000 };
/** So many addresses are remembered at most. Who has more at hand is only held by what each connection may do. */
const MAX_ADDRESSES = 10_000;

/** Where an attempt comes from. */
export interface Guesser {
  /** Without the port. */
  readonly address: string;
}

/**
 * How often somebody may try to authenticate. Only what fails counts, else ten thousand clients behind one address could
 * not come back at once. Each connection and each address has an allowance that grows again with time; who has used
 * it up is not even looked at. Tokens cannot be guessed in any case: this bounds what trying costs the daemon.
 *
 * What is kept of each is one number: when it will have its whole allowance again, by `RegistryClock.busy`.
 */
export class Throttle {
  readonly #clock: RegistryClock;
  readonly #connections = new WeakMap<Guesser, number>();
  /** Who failed last is last. */
  readonly #addresses = new Map<string, number>();

  constructor(clock: RegistryClock) {
    this.#clock = clock;
  }

  /** For how many ms no attempt is looked at; 0 where one is. */
  wait(guesser: Guesser): number {
    const now = this.#clock.busy();
    return Math.max(
      waitOf(this.#connections.get(guesser), now, CONNECTION),
      waitOf(this.#addresses.get(guesser.address), now, ADDRESS),
    );
  }

  /** Counts an attempt that has failed. */
  fail(guesser: Guesser): void {
    const now = this.#clock.busy();
    const { address } = guesser;
    this.#connections.set(guesser, afterFailure(this.#connections.get(guesser), now, CONNECTION));
    const whole = afterFailure(this.#addresses.get(address), now, ADDRESS);
    this.#addresses.delete(address);
    if (this.#addresses.size >= MAX_ADDRESSES) this.#forget(now);
    this.#addresses.set(address, whole);
  }

  /** How many addresses it remembers. */
  get size(): number {
    return this.#addresses.size;
  }

  /** Makes room: of those that have their whole allowance again nothing needs to be known, and else of the oldest. */
  #forget(now: number): void {
    for (const [address, whole] of this.#addresses) if (whole <= now) this.#addresses.delete(address);
    const [oldest] = this.#addresses.keys();
    if (oldest !== undefined && this.#addresses.size >= MAX_ADDRESSES) this.#addresses.delete(oldest);
  }
}

function waitOf(whole: number | undefined, now: number, { burst, interval }: Allowance): number {
  return whole === undefined ? 0 : Math.max(0, whole - now - (burst - 1) * interval);
}

function afterFailure(whole: number | undefined, now: number, { interval }: Allowance): number {
  return Math.max(whole ?? now, now) + interval;
}
