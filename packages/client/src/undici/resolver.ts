/** What the dispatcher needs to know of services: the part of a discovery that it asks for. */

import type { Address } from '../discovery/address.js';

/** One instance as it is now; where anything but its load changes, it is another object. */
export interface Target {
  /** Absent for the service's unnamed instance. */
  readonly instance?: string;
  readonly generation: number;
  readonly address?: Address;
}

/** The instances of one service, as they come and go. */
export interface View<T extends Target = Target> {
  /** Those that take requests. */
  readonly instances: readonly T[];
  /** One of them; `undefined` where there is none. */
  pick(key?: string): T | undefined;
  /** A request to it begins; the function that it returns ends it. */
  track(instance: T): () => void;
  /** Resolves when there is a first answer. */
  ready(): Promise<unknown>;
  on(event: 'change', listener: () => void): unknown;
  close(): void;
}

export interface Resolver {
  discover(service: string): View;
}
