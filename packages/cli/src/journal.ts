/** What happens to what is registered, a line for each change; for a program the events as they come. */

import type { WatchEvent } from '@reg/client';
import { statusOf } from '@reg/protocol';
import { WARMING } from './commands/query.js';
import type { Context } from './context.js';
import { moment } from './duration.js';
import { nameOf } from './names.js';
import { STATUS_TONES, showValue } from './records.js';
import { type Happening, View } from './view.js';

/** As wide as the widest word of a happening. */
const WORD_WIDTH = 10;

export class Journal {
  readonly #title: string;
  readonly #context: Pick<Context, 'output' | 'clock'>;
  readonly #view = new View();
  #lost = false;

  constructor(title: string, context: Pick<Context, 'output' | 'clock'>) {
    this.#title = title;
    this.#context = context;
  }

  get answered(): boolean {
    return this.#view.standing !== 'unknown';
  }

  take(event: WatchEvent): void {
    const { output } = this.#context;
    const first = !this.answered;
    const happenings = this.#view.take(event);
    if (output.json) output.result(event, '');
    else for (const happening of happenings) this.#tell(happening);
    if (event.type !== 'synced') return;
    if (first) output.note('watching', `watching ${this.#title} from revision ${event.revision} on; Ctrl-C ends it`);
    else if (this.#lost) output.note('connected', 'connected again');
    if (event.warming) output.note('warming', WARMING);
    this.#lost = false;
  }

  /** Nothing is known of what happens from now on. */
  lost(error: Error): void {
    this.#lost = true;
    this.#context.output.note('reconnecting', `reconnecting: ${error.message}`);
  }

  close(): void {}

  #tell({ what, record, at }: Happening): void {
    const { output, clock } = this.#context;
    const words = [moment(at ?? clock.wall()), what.padEnd(WORD_WIDTH), nameOf(record)];
    const isThere = 'values' in record && !ENDS.includes(what);
    if (isThere) words.push(showValue(record.values));
    output.report(record, [{ text: words.join('  '), tone: isThere ? STATUS_TONES[statusOf(record)] : 'faint' }]);
  }
}

const ENDS: readonly Happening['what'][] = ['expired', 'destroyed', 'gone'];
