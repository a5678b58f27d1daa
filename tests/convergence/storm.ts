import { setTimeout as sleep } from 'node:timers/promises';
import type { Arena } from './arena.js';
import { nameOf } from './comparison.js';
import type { Place } from './fleet.js';
import type { Deed, Kind, Partition, Step, WorkerFault } from './schedule.js';

/** Carries a schedule out. */
export class Storm {
  /** How often each thing was done; of partitions how often each kind. */
  readonly counts: Record<string, number> = {};
  readonly #arena: Arena;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Resolves when all is done and whole again: every process runs, every proxy passes. */
  async run(steps: readonly Step[]): Promise<void> {
    const start = performance.now();
    const running: Promise<void>[] = [];
    for (const step of steps) {
      await sleep(Math.max(0, start + step.at - performance.now()));
      const performing = this.#perform(step);
      // What fails is thrown at the end, when nothing is under way any more.
      performing.catch(() => {});
      running.push(performing);
    }
    await Promise.allSettled(running);
    await Promise.all(running);
  }

  async #perform(step: Step): Promise<void> {
    if (step.kind === 'crash') {
      this.#count('crash');
      await this.#arena.restartDaemon(step.lasts);
    } else {
      const place = this.#arena.places[step.worker];
      if (place === undefined) throw new Error(`there is no process ${step.worker}`);
      if ('client' in step) await this.#do(step, place);
      else await place.alone(() => this.#strike(step, place));
    }
  }

  #count(kind: Kind | `partition: ${string}`): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }

  async #do({ kind, client }: Deed, place: Place): Promise<void> {
    this.#count(kind);
    const member = place.members[client];
    if (member === undefined) throw new Error(`there is no client ${client}`);
    if (kind !== 'destroy') place.order(kind, client);
    else {
      // It may be gone as soon as this is said, and comes back much later than the reply.
      const saidAt = Date.now();
      const wasThere = await this.#arena.prober.destroy(member.key, member.instance);
      if (wasThere) this.#arena.ledger.leaving(nameOf(member), saidAt);
    }
  }

  async #strike(step: WorkerFault | Partition, place: Place): Promise<void> {
    if (step.kind === 'kill' || step.kind === 'leave') await this.#restart(step, place);
    else await this.#disturb(step, place);
  }

  async #restart({ kind, lasts }: WorkerFault, place: Place): Promise<void> {
    this.#count(kind);
    const over = sleep(lasts);
    await place.end(kind === 'kill' ? 'SIGKILL' : 'SIGTERM');
    await over;
    place.start();
  }

  async #disturb(step: WorkerFault | Partition, place: Place): Promise<void> {
    this.#arena.ledger.disturbed(place.index, true, Date.now());
    if (step.kind === 'partition') await this.#partition(step, place);
    else if (step.kind === 'vanish') await this.#vanish(step, place);
    else await this.#stop(step, place);
    this.#arena.ledger.disturbed(place.index, false, Date.now());
  }

  async #partition({ mode, delay, lasts }: Partition, { proxy }: Place): Promise<void> {
    this.#count(`partition: ${mode}`);
    proxy.set(mode, delay);
    await sleep(lasts);
    proxy.set('pass');
  }

  async #vanish({ kind, lasts }: WorkerFault, place: Place): Promise<void> {
    this.#count(kind);
    const over = sleep(lasts);
    place.proxy.set('blackhole');
    await place.end('SIGKILL');
    await over;
    place.proxy.set('pass');
    place.start();
  }

  /** What does not own all that it registers is only stopped: what it is about to register it may take back. */
  async #stop({ kind, lasts }: WorkerFault, place: Place): Promise<void> {
    const replaced = kind === 'replace' && place.settled;
    this.#count(replaced ? 'replace' : 'stop');
    place.signal('SIGSTOP');
    if (replaced) place.replace();
    await sleep(lasts);
    if (replaced) place.wakeRetired();
    else place.signal('SIGCONT');
  }
}
