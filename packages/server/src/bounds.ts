import { RegistryError } from '@reg/protocol';
import { Rate } from './rate.js';

/** How much the daemon takes; `Infinity` where there is no bound. The names are those of the daemon's options. */
export interface BoundValues {
  /** Of the daemon as a whole. Memory is in bytes: the heap, and what objects hold outside of it. */
  readonly maxConnections: number;
  readonly maxInstances: number;
  readonly maxMemory: number;
  /** Of one connection: what it holds, and what it asks for in a second. Registrations are those that change something. */
  readonly maxRegistrations: number;
  readonly maxWatchesPerConnection: number;
  readonly maxRequestsPerSecond: number;
  readonly maxRegistrationsPerSecond: number;
  /** The same of one caller, over all its connections. Only those have one that have proved who they are. */
  readonly maxRegistrationsPerCaller: number;
  readonly maxWatchesPerCaller: number;
  readonly maxRequestsPerSecondPerCaller: number;
  readonly maxRegistrationsPerSecondPerCaller: number;
  /** Seconds for which a connection may say nothing, while it holds nothing and watches nothing. */
  readonly idleTimeout: number;
  /** Seconds that a TLS handshake may take, and after that authenticating. Too few, and clients that come back all at once
   * are turned away; many, and whoever says nothing holds a connection for that long. */
  readonly handshakeTimeout: number;
}

type BoundName = keyof BoundValues;

/** What is bounded over all connections of a caller. */
export const CALLER_BOUNDS = [
  'maxRegistrationsPerCaller',
  'maxWatchesPerCaller',
  'maxRequestsPerSecondPerCaller',
  'maxRegistrationsPerSecondPerCaller',
] as const satisfies readonly BoundName[];

/** What a connection or a caller may ask for in a second; `undefined` where that is not bounded. */
export interface Rates {
  readonly requests: Rate | undefined;
  readonly registrations: Rate | undefined;
}

/** What all connections of one caller have together. */
export interface Account {
  readonly rates: Rates;
  connections: number;
  /** How many instances they hold. */
  held: number;
  watches: number;
}

/** Where nobody knows when there will be room again, it is worth asking after so many seconds. */
const RETRY_SECONDS = 5;

/**
 * Refuses what would be too much, each with an `over_limit` that names the bound, so that what is there already goes on:
 * renewals, queries and watches. Looked at where something grows; where it does not, nothing is counted.
 */
export class Bounds {
  readonly values: BoundValues;
  readonly #measureMemory: () => number;
  #memory = 0;

  /** @param measureMemory tells how many bytes are in use. It may take some µs. */
  constructor(values: BoundValues, measureMemory: () => number) {
    this.values = values;
    this.#measureMemory = measureMemory;
  }

  /** Measures what is too dear to be measured for each registration. To be called once a second. */
  look(): void {
    this.#memory = this.#measureMemory();
  }

  /** Whether memory was above its bound at the last look. */
  get isMemoryFull(): boolean {
    return this.#memory > this.values.maxMemory;
  }

  ratesFrom(now: number): Rates {
    const { maxRequestsPerSecond, maxRegistrationsPerSecond } = this.values;
    return { requests: rateOf(maxRequestsPerSecond, now), registrations: rateOf(maxRegistrationsPerSecond, now) };
  }

  /** What the connections of one caller may ask for together. */
  callerRatesFrom(now: number): Rates {
    const { maxRequestsPerSecondPerCaller, maxRegistrationsPerSecondPerCaller } = this.values;
    return {
      requests: rateOf(maxRequestsPerSecondPerCaller, now),
      registrations: rateOf(maxRegistrationsPerSecondPerCaller, now),
    };
  }

  /** Whether anything is bounded over all connections of a caller. */
  get areCallersBounded(): boolean {
    const { values } = this;
    return CALLER_BOUNDS.some((name) => values[name] !== Number.POSITIVE_INFINITY);
  }

  /** The error for one connection more than there may be; `undefined` where there is room. */
  refuseConnection(connections: number): RegistryError | undefined {
    const { maxConnections } = this.values;
    return connections < maxConnections
      ? undefined
      : overLimit('maxConnections', `the daemon takes no more than ${maxConnections} connections`, RETRY_SECONDS);
  }

  /**
   * @param rates of the connection.
   * @throws {RegistryError} `over_limit` where the request comes too soon.
   */
  admitRequest({ requests }: Rates, account: Account | undefined, now: number): void {
    if (requests === undefined && account === undefined) return;
    take('Requests', requests, account?.rates.requests, now);
  }

  /**
   * @param rates of the connection.
   * @throws {RegistryError} `over_limit` where the registration comes too soon.
   */
  admitRegistration({ registrations }: Rates, account: Account | undefined, now: number): void {
    if (registrations === undefined && account === undefined) return;
    take('Registrations', registrations, account?.rates.registrations, now);
  }

  /** @throws {RegistryError} `over_limit` where the registry may hold no instance more. */
  admitInstance(instances: number): void {
    const { maxInstances } = this.values;
    if (instances >= maxInstances) {
      throw overLimit('maxInstances', `the daemon takes no more than ${maxInstances} instances`, RETRY_SECONDS);
    }
    if (this.isMemoryFull) {
      throw overLimit('maxMemory', 'the daemon has as much in memory as it may: it takes nothing new', RETRY_SECONDS);
    }
  }

  /** @throws {RegistryError} `over_limit` where a connection may hold no instance more. */
  admitHeld(held: number): void {
    const { maxRegistrations } = this.values;
    if (held >= maxRegistrations) {
      throw overLimit('maxRegistrations', `a connection may hold no more than ${maxRegistrations} instances`);
    }
  }

  /** @throws {RegistryError} `over_limit` where a connection, or its caller, may have no watch more. */
  admitWatch(watches: number, account: Account | undefined): void {
    const { maxWatchesPerConnection } = this.values;
    if (watches >= maxWatchesPerConnection) {
      const message = `a connection may have no more than ${maxWatchesPerConnection} watches`;
      throw overLimit('maxWatchesPerConnection', message);
    }
    if (account !== undefined) this.admitToAccount(account, 0, 1);
  }

  /**
   * @param held how many instances a caller is to hold beside those that it holds.
   * @param watches how many watches it is to have beside those that it has.
   * @throws {RegistryError} `over_limit` where that is more than it may.
   */
  admitToAccount(account: Account, held: number, watches: number): void {
    const { maxRegistrationsPerCaller, maxWatchesPerCaller } = this.values;
    if (held > 0 && account.held + held > maxRegistrationsPerCaller) {
      const message = `all connections of a caller may hold no more than ${maxRegistrationsPerCaller} instances`;
      throw overLimit('maxRegistrationsPerCaller', message);
    }
    if (watches > 0 && account.watches + watches > maxWatchesPerCaller) {
      const message = `all connections of a caller may have no more than ${maxWatchesPerCaller} watches`;
      throw overLimit('maxWatchesPerCaller', message);
    }
  }
}

/** The error with which a connection is closed that nobody seems to need. */
export function idleError(seconds: number): RegistryError {
  return overLimit('idleTimeout', `nothing was said for ${seconds} seconds`);
}

function rateOf(perSecond: number, now: number): Rate | undefined {
  return perSecond === Number.POSITIVE_INFINITY ? undefined : new Rate(perSecond, now);
}

/**
 * Takes one of what the connection has and of what its caller has, or none of either: what is refused does not count.
 *
 * @throws {RegistryError} `over_limit`
 */
function take(what: 'Requests' | 'Registrations', own: Rate | undefined, shared: Rate | undefined, now: number): void {
  const sharedWait = shared?.wait(now) ?? 0;
  if (shared !== undefined && sharedWait > 0) {
    throw tooFast(`max${what}PerSecondPerCaller`, `${what.toLowerCase()} of one caller`, shared, sharedWait);
  }
  const wait = own?.take(now) ?? 0;
  if (own !== undefined && wait > 0) throw tooFast(`max${what}PerSecond`, what.toLowerCase(), own, wait);
  shared?.take(now);
}

function tooFast(limit: BoundName, what: string, { perSecond }: Rate, wait: number): RegistryError {
  return overLimit(limit, `no more than ${perSecond} ${what} a second`, Math.ceil(wait * 1000) / 1000);
}

/** @param retryAfter seconds; `undefined` where it helps to let go of something, and not to wait. */
function overLimit(limit: BoundName, message: string, retryAfter?: number): RegistryError {
  return new RegistryError('over_limit', message, { limit, retryAfter });
}
