import { isIPv6 } from 'node:net';
import type { RegistryClock } from '../clock.js';

/** How many attempts may fail in a row, and how many ms pass before there is one more. */
interface Allowance {
  readonly burst: number;
  readonly interval: number;
}

/** A program has one token, and at most a stale one before it. */
const CONNECTION: Allowance = { burst: 5, interval: 5000 };
/** Many programs may share a network, and be given the same wrong token. */
const NETWORK: Allowance = { burst: 20, interval: 1000 };
/** So many networks are remembered at most. Who has more at hand is only held by what each connection may do. */
const MAX_NETWORKS = 10_000;
/** So many of them are looked at for each failure, to forget them again. */
const MAX_LOOKS = 16;

/** Where an attempt comes from. */
export interface Guesser {
  /** Without the port. */
  readonly address: string;
}

/**
 * How often somebody may try to authenticate. Only what fails counts, else ten thousand clients behind one address could
 * not come back at once. Each connection and each network has an allowance that grows again with time; who has used
 * it up is not even looked at. Tokens cannot be guessed in any case: this bounds what trying costs the daemon.
 *
 * A network is an IPv4 address, or the /64 of an IPv6 address: one machine is given all of that, and may have a new
 * address of it for each attempt.
 *
 * What is kept of each is one number: when it will have its whole allowance again, by `RegistryClock.busy`.
 */
export class Throttle {
  readonly #clock: RegistryClock;
  readonly #connections = new WeakMap<Guesser, number>();
  /** Who failed last is last. */
  readonly #networks = new Map<string, number>();

  constructor(clock: RegistryClock) {
    this.#clock = clock;
  }

  /** For how many ms no attempt is looked at; 0 where one is. */
  wait(guesser: Guesser): number {
    const now = this.#clock.busy();
    return Math.max(
      waitOf(this.#connections.get(guesser), now, CONNECTION),
      waitOf(this.#networks.get(networkOf(guesser.address)), now, NETWORK),
    );
  }

  /** Counts an attempt that has failed. */
  fail(guesser: Guesser): void {
    const now = this.#clock.busy();
    const network = networkOf(guesser.address);
    this.#connections.set(guesser, afterFailure(this.#connections.get(guesser), now, CONNECTION));
    const whole = afterFailure(this.#networks.get(network), now, NETWORK);
    this.#networks.delete(network);
    this.#forget(now);
    this.#networks.set(network, whole);
  }

  /** How many networks it remembers. */
  get size(): number {
    return this.#networks.size;
  }

  /**
   * Makes room, among those who failed longest ago: of who has the whole allowance again nothing needs to be known. If
   * nobody has, the first of them is forgotten. Few are looked at, so that no failure costs more than another.
   */
  #forget(now: number): void {
    let looks = 0;
    for (const [network, whole] of this.#networks) {
      if (whole <= now) this.#networks.delete(network);
      looks += 1;
      if (looks === MAX_LOOKS) break;
    }
    const [oldest] = this.#networks.keys();
    if (oldest !== undefined && this.#networks.size >= MAX_NETWORKS) this.#networks.delete(oldest);
  }
}

function waitOf(whole: number | undefined, now: number, { burst, interval }: Allowance): number {
  return whole === undefined ? 0 : Math.max(0, whole - now - (burst - 1) * interval);
}

function afterFailure(whole: number | undefined, now: number, { interval }: Allowance): number {
  return Math.max(whole ?? now, now) + interval;
}

/** The network that an address counts for. What is no IPv6 address is one by itself, whatever it is. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const groups = groupsOf(address);
  const [, , , , , marker = 0, high = 0, low = 0] = groups;
  // An IPv4 peer of a port for both: `::ffff:10.0.0.5`.
  const isMapped = marker === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  if (isMapped) return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
  const prefix = groups.slice(0, 4).map((group) => group.toString(16));
  return `${prefix.join(':')}::/64`;
}

/** The eight numbers of an IPv6 address, whatever the form in which it is written. */
function groupsOf(address: string): number[] {
  const text = address.replace(/%.*$/, '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [before = [], after = []] = text.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const gap = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...gap, ...after].map((group) => Number.parseInt(group, 16));
}
