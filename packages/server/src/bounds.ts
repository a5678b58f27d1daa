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
  /** Seconds for which a connection may say nothing, while it holds nothing and watches nothing. */
  readonly idleTimeout: number;
}

type BoundName = keyof BoundValues;

/** What one connection may ask for in a second; `undefined` where that is not bounded. */
export interface Rates {
  readonly requests: Rate | undefined;
  readonly registrations: Rate | undefined;
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

  /** The error for one connection more than there may be; `undefined` where there is room. */
  refuseConnection(connections: number): RegistryError | undefined {
    const { maxConnections } = this.values;
    return connections < maxConnections
      ? undefined
      : overLimit('maxConnections', `the daemon takes no more than ${maxConnections} connections`, RETRY_SECONDS);
  }

  /** @throws {RegistryError} `over_limit` where the request comes too soon. */
  admitRequest({ requests }: Rates, now: number): void {
    if (requests === undefined) return;
    const wait = requests.take(now);
    if (wait > 0) throw tooFast('maxRequestsPerSecond', 'requests', requests, wait);
  }

  /** @throws {RegistryError} `over_limit` where the registration comes too soon. */
  admitRegistration({ registrations }: Rates, now: number): void {
    if (registrations === undefined) return;
    const wait = registrations.take(now);
    if (wait > 0) throw tooFast('maxRegistrationsPerSecond', 'registrations', registrations, wait);
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

  /** @throws {RegistryError} `over_limit` where a connection may have no watch more. */
  admitWatch(watches: number): void {
    const { maxWatchesPerConnection } = this.values;
    if (watches >= maxWatchesPerConnection) {
      const message = `a connection may have no more than ${maxWatchesPerConnection} watches`;
      throw overLimit('maxWatchesPerConnection', message);
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

function tooFast(limit: BoundName, what: string, { perSecond }: Rate, wait: number): RegistryError {
  return overLimit(limit, `no more than ${perSecond} ${what} a second`, Math.ceil(wait * 1000) / 1000);
}

/** @param retryAfter seconds; `undefined` where it helps to let go of something, and not to wait. */
function overLimit(limit: BoundName, message: string, retryAfter?: number): RegistryError {
  return new RegistryError('over_limit', message, { limit, retryAfter });
}
