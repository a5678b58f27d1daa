import type { Instance } from './instance.js';
import { own } from './own.js';

/** So many answers of each kind are kept at most, of queries twice as many; a longer one is made each time. 40 MiB hold them all. */
const MAX_KEPT = 16_384;
const MAX_CHARS = 1024;

/** The reply to a request without an id. */
export interface Answer {
  readonly id: undefined;
  /** The last change that it shows. */
  readonly shows: number;
  readonly line: string;
}

interface QueryAnswer extends Answer {
  /** Registry time until which it says what is there, unless something changes. */
  readonly until: number;
}

/**
 * What was answered lately and will be asked for again, word for word. Answers to queries of whole services are kept until
 * the service changes or something of it expires: a renewal does neither. Those that are asked for again stay: when the
 * young are full they become the old, and the old are forgotten. The answer to a renewal is kept by the instance, as long
 * as it is that, or until as many others were renewed.
 */
export class Answers {
  #young = new Map<string, QueryAnswer>();
  #old = new Map<string, QueryAnswer>();
  /** Those that keep an answer, in a ring. */
  readonly #renewed = new Array<Instance | undefined>(MAX_KEPT).fill(undefined);
  #next = 0;

  get(service: string, now: number): Answer | undefined {
    const answer = this.#young.get(service) ?? this.#rejuvenate(service);
    return answer !== undefined && answer.until > now ? answer : undefined;
  }

  /** @param service not a slice of a longer text, which would be kept with it. */
  keep(service: string, line: string, shows: number, until: number): void {
    if (line.length > MAX_CHARS) return;
    this.#add(service, { id: undefined, shows, line: own(line), until });
  }

  /** Keeps the answer to a renewal of an instance, and has another forget its own. */
  keepRenewal(instance: Instance, line: string): Answer {
    const forgetful = this.#renewed[this.#next];
    if (forgetful !== undefined) forgetful.renewal = undefined;
    this.#renewed[this.#next] = instance;
    this.#next = (this.#next + 1) % MAX_KEPT;
    const answer = { id: undefined, shows: instance.revision, line: own(line) };
    instance.renewal = answer;
    return answer;
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

  #rejuvenate(service: string): QueryAnswer | undefined {
    const answer = this.#old.get(service);
    if (answer === undefined) return undefined;
    this.#old.delete(service);
    this.#add(service, answer);
    return answer;
  }

  #add(service: string, answer: QueryAnswer): void {
    if (this.#young.size >= MAX_KEPT) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(service, answer);
  }
}
