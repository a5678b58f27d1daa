import { type Duplex, duplexPair } from 'node:stream';
import type { EndedInstance, Event } from '@reg/protocol';
import type { RegistryServer } from '@reg/server';

export type Reply = Record<string, unknown> & { readonly ok: boolean };

/** A connection whose lines are sorted into replies and events, and that can leave off reading. */
export class Connection {
  readonly number: number;
  readonly #near: Duplex;
  readonly #far: Duplex;
  #text = '';
  #replies: Reply[] = [];
  #events: Event[] = [];
  #isPaused = false;
  /** How much was received. */
  received = 0;

  /** @param buffer how many bytes the daemon may write that were not read. */
  constructor(server: RegistryServer, number: number, buffer: number) {
    this.number = number;
    [this.#near, this.#far] = duplexPair({ highWaterMark: buffer });
    this.#near.setEncoding('utf8');
    this.#near.on('data', (text: string) => this.#read(text));
    this.#near.on('error', () => {});
    server.handle(this.#far);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  send(request: object): void {
    this.#near.write(`${JSON.stringify(request)}\r\n`);
  }

  /** Replies that have come, and not been taken. */
  takeReplies(): Reply[] {
    const replies = this.#replies;
    this.#replies = [];
    return replies;
  }

  takeEvents(): Event[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  pause(): void {
    this.#isPaused = true;
    this.#near.pause();
  }

  read(): void {
    this.#isPaused = false;
    this.#near.resume();
  }

  /** Says goodbye, as a client does that ends in order. */
  end(): void {
    this.#near.end();
  }

  /** Ends it as a process that dies does. A pair of streams does not tell the other end by itself. */
  hangUp(): void {
    this.#near.destroy();
    this.#far.destroy();
  }

  #read(text: string): void {
    this.received += text.length;
    const lines = (this.#text + text).split('\r\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      const message = JSON.parse(line);
      // In what order the registry tells what has ended is its own affair.
      message.ended?.sort((a: EndedInstance, b: EndedInstance) => a.generation - b.generation);
      if (typeof message.ok === 'boolean') this.#replies.push(message);
      else this.#events.push(message);
    }
  }
}
