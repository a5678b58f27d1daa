/** The processes under test: each in a place of its own, with its proxy, and with successors. */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { covers, nameOf, type Owned, type View, type What } from './comparison.js';
import type { Ledger, Watcher } from './ledger.js';
import type { TcpProxy } from './proxy.js';

const PROGRAM = fileURLToPath(new URL('worker.js', import.meta.url));

/** A client of a process: what it registers, and what it watches or discovers. */
export interface Member {
  readonly key: string;
  readonly instance: string;
  readonly what: What;
  readonly discovers: boolean;
}

/** What a process is told when it starts, but for its name and port. */
export interface Habits {
  /** Seconds. */
  readonly ttl: number;
  readonly linger: number;
  /** The folder of its last-known-good files. */
  readonly cache: string;
}

/** What one of its clients owns and sees. */
export interface MemberReport {
  readonly owned: Owned;
  readonly view: View;
}

/** When, what, which client, and two details; see worker.js. */
type Note = readonly [
  at: number,
  what: 'live' | 'leaving' | 'left' | 'lost' | 'watching' | 'seen' | 'wrong',
  member: number,
  detail?: string,
  status?: string,
];

interface Told {
  readonly notes?: readonly Note[];
  readonly report?: readonly MemberReport[];
}

/** A place in the fleet: one process after the other has it, and registers the same instances. */
export class Place implements AsyncDisposable {
  readonly index: number;
  readonly proxy: TcpProxy;
  readonly members: readonly Member[];
  /** What it should not have seen, in words. */
  readonly wrong: string[] = [];
  /** How often a registration was lost, for each reason. */
  readonly lost = new Map<string, number>();
  readonly #ledger: Ledger;
  readonly #habits: Habits;
  readonly #retired: Life[] = [];
  #life: Life | undefined;
  #lives = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(index: number, proxy: TcpProxy, members: readonly Member[], habits: Habits, ledger: Ledger) {
    this.index = index;
    this.proxy = proxy;
    this.members = members;
    this.#habits = habits;
    this.#ledger = ledger;
  }

  /** Does something to it when what was done before is over: a process that leaves may take longer than was planned. */
  alone(action: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(action);
    return this.#last;
  }

  /** Starts a process; what was there before must have ended. @param takeover it takes what another one still has. */
  start(takeover = false): void {
    this.#lives += 1;
    this.#life = this.#makeLife(`w${this.index}.${this.#lives}`, takeover);
  }

  /** Whether everything that its process registers is live. */
  get settled(): boolean {
    return this.#life !== undefined && this.#life.live.size === this.members.length;
  }

  order(order: 'update' | 'renew', client: number): void {
    this.#life?.send({ order, client });
  }

  signal(signal: NodeJS.Signals): void {
    this.#life?.child.kill(signal);
  }

  /** Ends its process, and resolves when that is gone and all that it said was heard. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    this.#life = undefined;
    life.isOver = true;
    const killedAt = Date.now();
    life.child.kill(signal);
    await life.gone;
    this.#bury(life, signal === 'SIGKILL' ? killedAt : Date.now());
  }

  /** Another process takes its place and what it has, while it is stopped; it stays, and owns nothing any more. */
  replace(): void {
    const life = this.#life;
    if (life === undefined) return;
    life.retiredAt = Date.now();
    life.send({ order: 'retire' });
    this.#retired.push(life);
    this.start(true);
  }

  /** Continues those that were replaced. */
  wakeRetired(): void {
    for (const { child } of this.#retired) child.kill('SIGCONT');
  }

  /** What its process owns and sees, and what those that were replaced do. */
  async report(): Promise<{ readonly present: readonly MemberReport[]; readonly retired: readonly MemberReport[] }> {
    const present = (await this.#life?.report()) ?? [];
    const retired = await Promise.all(this.#retired.map((life) => life.report()));
    return { present, retired: retired.flat() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
    for (const life of this.#retired) {
      life.isOver = true;
      life.child.kill('SIGKILL');
    }
    await Promise.all(this.#retired.map(({ gone }) => gone));
    await this.proxy[Symbol.asyncDispose]();
  }

  #makeLife(name: string, takeover: boolean): Life {
    const setup = { name, takeover, port: this.proxy.port, clients: this.members, ...this.#habits };
    const watchers = this.members.map(({ what }, member) =>
      this.#ledger.watcher(`${name}/${member}`, this.index, (key) => covers(what, key)),
    );
    const life: Life = new Life(JSON.stringify(setup), watchers, (notes) => {
      for (const note of notes) this.#take(life, note, name);
    });
    life.gone.then(() => {
      if (!life.isOver) this.wrong.push(`${name} has ended by itself`);
    });
    return life;
  }

  #take(life: Life, [at, what, member, detail = '', status]: Note, name: string): void {
    const watcher = life.watchers[member];
    if (what === 'wrong') this.wrong.push(`${name}/${member}: ${detail}`);
    else if (what === 'lost') this.lost.set(detail, (this.lost.get(detail) ?? 0) + 1);
    else if (what === 'seen' && watcher !== undefined) this.#ledger.seen(watcher, detail, status ?? undefined, at);
    else if (what === 'watching' && watcher !== undefined) this.#ledger.watching(watcher, true, at);
    if (life.retiredAt === undefined || at < life.retiredAt) this.#account(life, at, what, member, detail);
  }

  /** What counts for the instance while the process has its place. */
  #account(life: Life, at: number, what: Note[1], index: number, detail: string): void {
    const member = this.members[index];
    if (member === undefined) return;
    const isOver = what === 'leaving' || (what === 'lost' && (detail === 'destroyed' || detail === 'superseded'));
    if (what === 'live') life.live.add(index);
    else if (isOver) life.live.delete(index);
    if (what === 'live') this.#ledger.live(nameOf(member), at);
    else if (isOver) this.#ledger.leaving(nameOf(member), at);
    else if (what === 'left') this.#ledger.dead(nameOf(member), at);
  }

  #bury(life: Life, at: number): void {
    for (const member of this.members) this.#ledger.dead(nameOf(member), at);
    for (const watcher of life.watchers) this.#ledger.watching(watcher, false, at);
  }
}

/** One process. */
class Life {
  readonly child: ChildProcess;
  readonly watchers: readonly Watcher[];
  /** Resolves when it has ended and nothing more can come from it. */
  readonly gone: Promise<unknown>;
  /** Which of its clients have what they register. */
  readonly live = new Set<number>();
  /** When another took its place, in ms since the Unix epoch. */
  retiredAt: number | undefined;
  /** It was ended. */
  isOver = false;
  #reported: (report: readonly MemberReport[]) => void = () => {};

  constructor(setup: string, watchers: readonly Watcher[], onNotes: (notes: readonly Note[]) => void) {
    this.watchers = watchers;
    this.child = fork(PROGRAM, [setup], { execArgv: [] });
    this.gone = Promise.all([once(this.child, 'exit'), once(this.child, 'disconnect')]);
    this.child.on('message', ({ notes, report }: Told) => {
      if (notes !== undefined) onNotes(notes);
      if (report !== undefined) this.#reported(report);
    });
  }

  send(order: object): void {
    if (this.child.connected) this.child.send(order, () => {});
  }

  /** @returns nothing where it has ended. */
  report(): Promise<readonly MemberReport[]> {
    return new Promise((resolve) => {
      this.#reported = resolve;
      this.gone.then(() => resolve([]));
      this.send({ order: 'report' });
    });
  }
}
