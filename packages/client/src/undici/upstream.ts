import { isIPv6 } from 'node:net';
import { Pool } from 'undici';
import type { Address } from '../discovery/address.js';
import { Health } from './health.js';
import type { Target } from './resolver.js';

/** One instance as requests see it: its sockets, and how it fares. It lasts as long as the instance takes requests. */
export class Upstream {
  readonly origin: string;
  readonly health = new Health();
  /** As last heard of. */
  target: Target;
  readonly #options: Pool.Options;
  /** Made with the first request: most callers need few of many instances. */
  #pool: Pool | undefined;

  constructor(origin: string, target: Target, options: Pool.Options) {
    this.origin = origin;
    this.target = target;
    this.#options = options;
  }

  get pool(): Pool {
    this.#pool ??= new Pool(this.origin, this.#options);
    return this.#pool;
  }

  /** Resolves when what is under way is over and its sockets are closed. */
  async close(): Promise<void> {
    await this.#pool?.close();
  }

  async destroy(error: Error): Promise<void> {
    await this.#pool?.destroy(error);
  }
}

/** @param protocol with its colon. `undefined` where the host is one that no URL can have. */
export function originOf(protocol: string, { host, port }: Address): string | undefined {
  const origin = `${protocol}//${isIPv6(host) ? `[${host}]` : host}:${port}`;
  return URL.canParse(origin) ? origin : undefined;
}
