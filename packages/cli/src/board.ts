/** What is registered as a table that is drawn again and again, with where it stands. */

import type { WatchEvent } from '@reg/client';
import { STATUSES, statusOf, type Timer } from '@reg/protocol';
import type { Context } from './context.js';
import { lapse } from './duration.js';
import { byName, countOf, tabulate } from './records.js';
import type { Line } from './table.js';
import { View } from './view.js';

/** Changes that come within so many ms are drawn together: nobody reads more often. */
const GATHER_MS = 100;

/** Ages grow without a change. */
const TICK_MS = 1000;

export class Board {
  readonly #title: string;
  readonly #context: Pick<Context, 'output' | 'clock'>;
  readonly #view = new View();
  readonly #stopListening: () => void;
  #timer: Timer | undefined;
  /** Whether the timer is that of a change. */
  #changed = false;
  /** Since when there has been no connection, by the monotonic clock. */
  #lostAt: number | undefined;

  constructor(title: string, context: Pick<Context, 'output' | 'clock'>) {
    this.#title = title;
    this.#context = context;
    this.#stopListening = context.output.onResize(() => this.#draw());
    this.#draw();
  }

  get answered(): boolean {
    return this.#view.standing !== 'unknown';
  }

  take(event: WatchEvent): void {
    this.#view.take(event);
    if (event.type === 'synced') this.#lostAt = undefined;
    this.#drawSoon();
  }

  /** Nothing is known of what happens from now on. */
  lost(): void {
    this.#lostAt ??= this.#context.clock.monotonic();
    this.#drawSoon();
  }

  /** Leaves the terminal with what there was in the end. */
  close(): void {
    this.#stopListening();
    this.#draw();
    this.#timer?.cancel();
    this.#context.output.erase();
  }

  #drawSoon(): void {
    if (!this.#changed) this.#drawIn(GATHER_MS);
    this.#changed = true;
  }

  #drawIn(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#context.clock.after(ms, () => this.#draw());
  }

  #draw(): void {
    const { output, clock } = this.#context;
    const records = this.#view.records.sort(byName);
    // What says that rows are hidden takes the place of one.
    const shown = records.length <= output.room + 1 ? records : records.slice(0, output.room);
    const table = tabulate(shown, { status: true }, clock.wall());
    output.draw({ heading: this.#heading(), table, hidden: records.length - shown.length });
    this.#changed = false;
    this.#drawIn(TICK_MS);
  }

  #heading(): Line {
    const { standing, revision } = this.#view;
    if (standing === 'unknown') return { text: `${this.#title}  connecting`, tone: 'faint' };
    const text = `${this.#title}  ${this.#counts()}`;
    if (this.#lostAt !== undefined) {
      const ago = lapse(this.#context.clock.monotonic() - this.#lostAt);
      return { text: `${text}  reconnecting: this is how it was ${ago} ago`, tone: 'bad' };
    }
    if (standing === 'synced') return { text: `${text}  live at revision ${revision}`, tone: 'good' };
    return { text: `${text}  warming: the registry has restarted, some may be on their way back`, tone: 'doubtful' };
  }

  /** `3 instances: 2 passing, 1 suspect` */
  #counts(): string {
    const { records } = this.#view;
    const counts = STATUSES.flatMap((status) => {
      const count = records.filter((record) => statusOf(record) === status).length;
      return count > 0 ? [`${count} ${status}`] : [];
    });
    return [countOf(records.length, 'instance'), ...(counts.length > 0 ? [counts.join(', ')] : [])].join(': ');
  }
}
