import type { Limits } from '@reg/protocol';
import type { Access } from './access/access.js';
import type { Audit } from './audit.js';
import type { Bounds } from './bounds.js';
import type { RegistryClock, Turn } from './clock.js';
import type { Log } from './log/log.js';
import type { Partings } from './partings.js';
import type { Registry } from './registry/registry.js';
import type { Hub } from './watch/hub.js';

/** What commands work on: the daemon without its doors. */
export interface Core {
  readonly registry: Registry;
  /** Who may do what; `undefined` where everybody may do everything. */
  readonly access: Access | undefined;
  readonly log: Log;
  readonly hub: Hub;
  readonly clock: RegistryClock;
  readonly limits: Limits;
  readonly bounds: Bounds;
  /** `undefined` where nothing is recorded. */
  readonly audit: Audit | undefined;
  readonly partings: Partings;
  readonly counts: Counts;
  /** What answering requests may take of a turn of the loop. */
  readonly turn: Turn;
  /** When the daemon started, in ms since the Unix epoch. */
  readonly started: number;
  /** Version of the software, as `hello` tells it. */
  readonly version: string;
  /** Registry time when the grace after a start ends; until then what is absent may be on its way back. */
  readonly warmUntil: number;
}

/** What the daemon counts around the core, for people. */
export interface Counts {
  /** Connections that are open. */
  readonly connections: number;
  /** Instances that have expired since the start. */
  readonly expired: number;
}
