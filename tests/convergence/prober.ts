import { setTimeout as sleep } from 'node:timers/promises';
import type { InstanceRecord } from '@reg/protocol';
import { Wire } from '../processes.js';
import { nameOf } from './comparison.js';
import type { Ledger } from './ledger.js';

/** ms between two looks: how exactly the ledger knows what the registry listed. */
export const PROBE_EVERY = 50;

/** Asks the daemon itself, without a proxy or a client between, what it lists. */
export class Prober {
  readonly #port: number;
  readonly #ledger: Ledger;
  #wire: Promise<Wire> | undefined;
  #known = new Set<string>();
  #isOver = false;
  readonly #running: Promise<void>;

  /** @param port the daemon's. */
  constructor(port: number, ledger: Ledger) {
    this.#port = port;
    this.#ledger = ledger;
    this.#running = this.#run();
  }

  /** Everything that is registered, whatever its status. @throws where the daemon does not answer. */
  async query(): Promise<readonly InstanceRecord[]> {
    const { services } = await this.#ask({ type: 'query', key: 'all', status: 'any' });
    return services as InstanceRecord[];
  }

  /** Ends an instance that belongs to somebody else. @returns whether it was there; `undefined` where nobody knows. */
  async destroy(key: string, instance: string): Promise<boolean | undefined> {
    try {
      const { removed } = await this.#ask({ type: 'destruction', key, instance });
      return removed === 1;
    } catch {
      return undefined;
    }
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#running;
    await this.#drop();
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      try {
        this.#note(await this.query());
      } catch {
        this.#ledger.watching(this.#ledger.prober, false, Date.now());
      }
      await sleep(PROBE_EVERY);
    }
  }

  #note(records: readonly InstanceRecord[]): void {
    const at = Date.now();
    const { prober } = this.#ledger;
    this.#ledger.watching(prober, true, at);
    const gone = this.#known;
    this.#known = new Set();
    for (const record of records) {
      const name = nameOf(record);
      gone.delete(name);
      this.#known.add(name);
      this.#ledger.seen(prober, name, record.status ?? 'passing', at);
    }
    for (const name of gone) this.#ledger.seen(prober, name, undefined, at);
  }

  async #ask(request: object): Promise<Record<string, unknown>> {
    try {
      this.#wire ??= Wire.open(this.#port);
      const wire = await this.#wire;
      const reply = await wire.ask(request);
      if (reply['ok'] !== true) throw new Error(`refused: ${JSON.stringify(reply)}`);
      return reply;
    } catch (error) {
      await this.#drop();
      throw error;
    }
  }

  async #drop(): Promise<void> {
    const wire = this.#wire;
    this.#wire = undefined;
    await wire?.then(
      ({ socket }) => socket.destroy(),
      () => {},
    );
  }
}
