import type { WatchEvent } from './watcher.js';

/**
 * What a watch acknowledges: that an instance is draining, and nothing else. Who drains waits for that alone, and a
 * line for every change of every watch would cost the registry more than the changes do.
 */
export class Acks {
  readonly #send: (revision: number) => boolean;
  /** A state shows one that is draining; its revision comes with `synced`. */
  #shown = false;
  /** What is to be acknowledged, and what the registry was told of that; 0 for nothing. */
  #due = 0;
  #sent = 0;

  /** @param send gives `false` where there is nobody to send it to; `again` is called when there is. */
  constructor(send: (revision: number) => boolean) {
    this.#send = send;
  }

  /** The reader of the watch has heeded an event. */
  seen(event: WatchEvent): void {
    if (event.type === 'reset') {
      this.#shown = false;
      this.#due = 0;
      this.#sent = 0;
    } else if (event.type === 'state') {
      this.#shown ||= event.services.some(({ status }) => status === 'draining');
    } else if (event.type === 'synced') {
      if (this.#shown) this.#owe(event.revision);
      this.#shown = false;
    } else if ('status' in event.service && event.service.status === 'draining') {
      this.#owe(event.revision);
    }
  }

  /** Another watch of the registry's has taken the place of the one before: it knows of no acknowledgement. */
  again(): void {
    this.#sent = 0;
    this.#schedule();
  }

  #owe(revision: number): void {
    this.#due = revision;
    this.#schedule();
  }

  /** One line for all that is seen within this turn of the event loop. */
  #schedule(): void {
    process.nextTick(() => {
      if (this.#due !== this.#sent && this.#send(this.#due)) this.#sent = this.#due;
    });
  }
}
