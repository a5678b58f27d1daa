import { own } from './own.js';

/** So many answers are kept at most, twice over; and a longer one is made each time. 32 MiB hold them all. */
const MAX_KEPT = 16_384;
const MAX_CHARS = 1024;

/** The reply to a query without an id. */
export interface Answer {
  readonly id: undefined;
  /** The last change that it shows. */
  readonly shows: number;
  readonly line: string;
  /** Registry time until which it says what is there, unless something changes. */
  readonly until: number;
}

/**
 * Answers to queries of whole services, kept until the service changes or something of it expires: a renewal does
 * neither. Those that are asked for again stay: when the young are full they become the old, and the old are forgotten.
 */
export class Answers {
  #young = new Map<string, Answer>();
  #old = new Map<string, Answer>();

  get(service: string, now: number): Answer | undefined {
    const answer = this.#young.get(service) ?? this.#rejuvenate(service);
    return answer !== undefined && answer.until > now ? answer : undefined;
  }

  /** @param service not a slice of a longer text, which would be kept with it. */
  keep(service: string, line: string, shows: number, until: number): void {
    if (line.length > MAX_CHARS) return;
    this.#add(service, { id: undefined, shows, line: own(line), until });
  }

  /** The service has changed, or something of it ends sooner than it did. */
  drop(service: string): void {
    if (this.#young.size > 0) this.#young.delete(service);
    if (this.#old.size > 0) this.#old.delete(service);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }

  #rejuvenate(service: string): Answer | undefined {
    const answer = this.#old.get(service);
    if (answer === undefined) return undefined;
    this.#old.delete(service);
    this.#add(service, answer);
    return answer;
  }

  #add(service: string, answer: Answer): void {
    if (this.#young.size >= MAX_KEPT) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(service, answer);
  }
}
