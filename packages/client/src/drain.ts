/** How one that leaves waits until nobody sends it anything any more. */

import type { AcksReply, Clock } from '@reg/protocol';
import type { Link } from './link.js';
import { ackDelay } from './schedule.js';
import { encodeLine } from './wire.js';

export interface DrainOptions {
  /** How long to wait for those who watch, in ms; 5000. */
  readonly timeout?: number;
}

/** How many watches that acknowledge there were of the service, and how many had seen that it is leaving. */
export type DrainResult = AcksReply;

export const DRAIN_TIMEOUT = 5000;

/**
 * Asks until every watch that acknowledges has seen a revision, or `until`, by the monotonic clock, or `stop` says so.
 *
 * @throws {RegistryError} where the registry does not answer.
 */
export async function awaitAcks(
  link: Link,
  key: string,
  revision: number,
  until: number,
  stop: () => boolean,
): Promise<DrainResult> {
  const { clock } = link.settings;
  const line = encodeLine('acks', { key, revision });
  for (let asked = 0; ; asked += 1) {
    const left = Math.max(1, until - clock.monotonic());
    const { watches, acknowledged } = await link.call('acks', line, {
      timeout: left,
      repeatable: true,
      keepsAlive: true,
    }).result;
    const delay = ackDelay(asked);
    if (acknowledged >= watches || stop() || clock.monotonic() + delay > until) return { watches, acknowledged };
    await pause(clock, delay);
  }
}

/** The process stays for it. */
function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve).ref());
}
