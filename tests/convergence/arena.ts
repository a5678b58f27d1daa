/** All that takes part: the daemon, the places of the processes, and the prober. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DaemonProcess, startDaemon } from '../processes.js';
import { compare, type Listed, nameOf, type Owned, type View } from './comparison.js';
import { type Habits, type Member, Place } from './fleet.js';
import { Ledger } from './ledger.js';
import { Prober } from './prober.js';
import { TcpProxy } from './proxy.js';
import type { Report } from './report.js';
import type { Shape } from './schedule.js';

/** Seconds. Small, so that a minute has many of them; the grace has to be longer than clients take to come back. */
const HABITS = { ttl: 3, linger: 1, grace: 2 };

/** ms between two looks whether all agree. */
const LOOK_EVERY = 200;

export class Arena implements AsyncDisposable {
  readonly places: readonly Place[];
  readonly ledger: Ledger;
  readonly prober: Prober;
  readonly #startDaemon: () => Promise<DaemonProcess>;
  #daemon: DaemonProcess;
  #restarted: Promise<void> = Promise.resolve();

  private constructor(
    daemon: DaemonProcess,
    startAgain: () => Promise<DaemonProcess>,
    proxies: readonly TcpProxy[],
    members: readonly (readonly Member[])[],
    habits: Habits,
  ) {
    this.#daemon = daemon;
    this.#startDaemon = startAgain;
    this.ledger = new Ledger(
      members.flatMap((some, worker) => some.map((member) => ({ key: member.key, name: nameOf(member), worker }))),
    );
    this.prober = new Prober(daemon.port, this.ledger);
    this.places = proxies.map((proxy, index) => new Place(index, proxy, members[index] ?? [], habits, this.ledger));
  }

  /** @param folder an empty one. */
  static async open(shape: Shape, folder: string): Promise<Arena> {
    const cache = join(folder, 'cache');
    mkdirSync(cache, { mode: 0o700 });
    const start = (port: number): Promise<DaemonProcess> =>
      startDaemon(['--data-dir', join(folder, 'data'), '--grace', String(HABITS.grace)], port);
    const daemon = await start(0);
    const members = makeMembers(shape);
    const proxies = await Promise.all(members.map(() => TcpProxy.open(daemon.port)));
    return new Arena(daemon, () => start(daemon.port), proxies, members, { ...HABITS, cache });
  }

  /** Kills the daemon, and starts it on the same folder and port `lasts` ms later. One restart follows the other. */
  restartDaemon(lasts: number): Promise<void> {
    this.#restarted = this.#restarted.then(() => this.#restartDaemon(lasts));
    return this.#restarted;
  }

  /** Resolves with what is not as it should be when nothing is, or else when `within` ms are over. */
  async agreement(within: number): Promise<readonly string[]> {
    const deadline = performance.now() + within;
    for (;;) {
      const wrong = await this.#compare();
      if (wrong.length === 0 || performance.now() > deadline) return wrong;
      await sleep(LOOK_EVERY);
    }
  }

  /** What is to be told, up to this moment. */
  outcome(): Omit<Report, 'seed' | 'shape' | 'done' | 'settled'> {
    const lost: Record<string, number> = {};
    for (const [reason, count] of this.places.flatMap((place) => [...place.lost])) {
      lost[reason] = (lost[reason] ?? 0) + count;
    }
    return { lost, wrong: this.places.flatMap((place) => place.wrong), ...this.ledger.figures(Date.now()) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.prober.end();
    await Promise.all(this.places.map((place) => place[Symbol.asyncDispose]()));
    await this.#daemon.stop('SIGKILL');
  }

  async #restartDaemon(lasts: number): Promise<void> {
    this.ledger.away(true, Date.now());
    await this.#daemon.stop('SIGKILL');
    await sleep(lasts);
    this.#daemon = await this.#startDaemon();
    this.ledger.away(false, Date.now());
  }

  async #compare(): Promise<string[]> {
    const reports = await Promise.all(this.places.map((place) => place.report()));
    const registry = await this.prober.query();
    const present = reports.flatMap((report) => report.present);
    const retired = reports.flatMap((report) => report.retired);
    const owned: Owned[] = present.map((report) => report.owned);
    const views: View[] = [...present, ...retired].map((report) => report.view);
    const zombies = retired.filter((report) => report.owned.state !== 'closed');
    return [
      ...compare(owned, registry satisfies readonly Listed[], views),
      ...zombies.map(({ owned: { owner, state } }) => `${owner} was replaced, and says that it is ${state}`),
    ];
  }
}

/** A service has ten instances, each in another process. Every tenth client watches all, every tenth a prefix. */
function makeMembers({ workers, clients }: Shape): Member[][] {
  const services = Math.ceil((workers * clients) / 10);
  const service = (n: number): string => `service-${n % services}`;
  return Array.from({ length: workers }, (_, worker) =>
    Array.from({ length: clients }, (__, client) => {
      const n = worker * clients + client;
      const what = n % 10 === 0 ? 'all' : n % 10 === 5 ? { prefix: 'service-1' } : service(n * 7 + 3);
      return { key: service(n), instance: `i-${n}`, what, discovers: n % 10 > 5 };
    }),
  );
}
