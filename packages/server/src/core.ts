import type { Limits } from '@reg/protocol';
import type { RegistryClock } from './clock.js';
import type { Log } from './log/log.js';
import type { Registry } from './registry/registry.js';

/** What commands work on: the daemon without its doors. */
export interface Core {
  readonly registry: Registry;
  readonly log: Log;
  readonly clock: RegistryClock;
  readonly limits: Limits;
  /** Version of the software, as `hello` tells it. */
  readonly version: string;
  /** Registry time when the grace after a restart ends; until then what is absent may be on its way back. */
  readonly warmUntil: number;
}
