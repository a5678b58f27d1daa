import type { Duplex } from 'node:stream';
import { encodeError, type RegistryError } from '@reg/protocol';
import type { Logger } from './logger.js';

/** So many refused connections may be on their way out. Each has a descriptor, of which there are not many more. */
export const MAX_LEAVING = 256;
/** How many ticks one has for that. */
const TICKS = 2;

/**
 * Connections for which there is no room. Each is told why in one line, and has a second or two to read that: closed
 * at once, with something unread on it, the system would take the line back. Where many come at a time they are closed
 * without a word.
 */
export class Refusals {
  readonly #logger: Logger;
  /** With how many ticks each has left. */
  readonly #leaving = new Map<Duplex, number>();
  /** Since the last tick. */
  #refused = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  refuse(stream: Duplex, error: RegistryError): void {
    this.count();
    // Whoever resets a connection that is being refused has no more to say.
    stream.on('error', () => {});
    if (this.#leaving.size >= MAX_LEAVING) {
      stream.destroy();
      return;
    }
    this.#leaving.set(stream, TICKS);
    stream.on('close', () => this.#leaving.delete(stream));
    stream.resume();
    stream.end(encodeError(undefined, error));
  }

  /** One was closed without a word before it got here. */
  count(): void {
    this.#refused += 1;
  }

  /** To be called once a second. */
  tick(): void {
    for (const [stream, left] of this.#leaving) {
      if (left === 1) stream.destroy();
      else this.#leaving.set(stream, left - 1);
    }
    if (this.#refused > 0) this.#logger.warn({ refused: this.#refused }, 'connections were refused: there is no room');
    this.#refused = 0;
  }

  close(): void {
    for (const stream of this.#leaving.keys()) stream.destroy();
  }
}
