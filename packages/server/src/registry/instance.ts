import { type Status, UNNAMED } from '@reg/protocol';
import type { EndChange, RegisterChange } from '../change.js';
import type { Holder } from './holder.js';
import { UNKNOWN } from './known-lines.js';
import { own } from './own.js';
import type { Row } from './roster.js';
import type { Terms } from './terms.js';

/**
 * One registration, as it was last changed: what the change said that made it. An update makes a new object, so who
 * holds one of a moment holds that moment; only who holds it, and where it sits, change in place. There may be millions,
 * so that each field counts.
 */
export class Instance implements RegisterChange {
  /** The service's name. */
  readonly key: string;
  /** `UNNAMED` for the unnamed one. */
  readonly id: string;
  readonly body: string;
  /** `UNOWNED` for none. */
  readonly owner: string;
  readonly terms: Terms;
  readonly revision: number;
  readonly generation: number;
  /** When it was last changed, in ms since the Unix epoch. */
  readonly at: number;
  /** How long before that it was first registered, in ms. Most often 0, which takes less than another time does. */
  readonly #age: number;
  /** At most so many bytes is its record in a reply. */
  readonly recordBytes: number;
  /** The roster's: where it sits; in no row where it is not registered any more, or was changed since. */
  row: Row | undefined = undefined;
  seat = 0;
  /** The connection that registered it last, since the start; and where that holds it, -1 where it does not any more. */
  holder: Holder | undefined = undefined;
  grip = -1;
  /** Where it stands for its service, the place of the answer to a query of that; see `KnownLines`. */
  answer = UNKNOWN;

  /**
   * @param terms those of the change.
   * @param old what it updates, whose texts it shares as far as they are the same.
   */
  constructor(change: RegisterChange, terms: Terms, old: Instance | undefined) {
    const { key, instance: id, body, owner, revision, generation, at, registered } = change;
    this.key = old?.key ?? own(key);
    this.id = old?.id ?? own(id);
    this.body = old?.body === body ? old.body : own(body);
    this.owner = old?.owner === owner ? old.owner : own(owner);
    this.terms = terms;
    this.revision = revision;
    this.generation = generation;
    this.at = at;
    this.#age = at - registered;
    this.recordBytes = RECORD_OVERHEAD + 2 * (Buffer.byteLength(key) + Buffer.byteLength(id)) + Buffer.byteLength(body);
  }

  get kind(): 'register' {
    return 'register';
  }

  /** Its id, as changes name it. */
  get instance(): string {
    return this.id;
  }

  get status(): Status {
    return this.terms.status;
  }

  get ttl(): number {
    return this.terms.ttl;
  }

  get linger(): number {
    return this.terms.linger;
  }

  /** When its generation was first registered, in ms since the Unix epoch. */
  get registered(): number {
    return this.at - this.#age;
  }

  /** When it is due, in registry time. What is not registered any more has been due for ever. */
  get expiresAt(): number {
    return this.row?.deadlines[this.seat] ?? Number.NEGATIVE_INFINITY;
  }
}

/** The digits and the names of fields that a record has beside its key, instance and body, generously. */
const RECORD_OVERHEAD = 192;

/** The change that ends an instance as it is now. */
export function endOf(kind: EndChange['kind'], instance: Instance, wall: number): EndChange {
  const { key, id, generation, expiresAt } = instance;
  return { kind, revision: 0, key, instance: id, generation, at: wall, expiresAt };
}

/** The change that says of an instance that its connection broke. It moves no deadline. */
export function suspicionOf(instance: Instance, wall: number): RegisterChange {
  const { key, id, generation, registered, ttl, body, linger, owner, expiresAt } = instance;
  return {
    kind: 'register',
    revision: 0,
    key,
    instance: id,
    generation,
    at: wall,
    registered,
    ttl,
    body,
    status: 'suspect',
    linger,
    owner,
    expiresAt,
  };
}

/** Whether it lives no longer than its linger when its connection breaks. */
export function isBound({ linger }: Instance): boolean {
  return linger < Number.POSITIVE_INFINITY;
}

/** The record of an instance as a change has made it, as JSON; with `left` also how many ms it has left. */
export function encodeRecord(registered: RegisterChange, left?: number): string {
  const { key, instance, body, linger, status, revision, generation, registered: since } = registered;
  const bound = linger === Number.POSITIVE_INFINITY ? '' : `,"linger":${linger / 1000}`;
  const unlike = status === 'passing' ? '' : `,"status":"${status}"`;
  const end = left === undefined ? '' : `,"left":${encodeLeft(left)}`;
  return `${openRecord(key, instance)}${body}${bound}${unlike},"revision":${revision},"generation":${generation},"registered":${since}${end}}`;
}

/** What is left to say of an instance that is gone, as JSON. */
export function encodeGone({ key, instance, generation }: EndChange): string {
  return `${openRecord(key, instance)}"generation":${generation}}`;
}

/** How every record begins. */
function openRecord(key: string, id: string): string {
  return id === UNNAMED ? `{"key":${quote(key)},` : `{"key":${quote(key)},"instance":${quote(id)},`;
}

/** A name as JSON. It holds no control character, so that most often there is nothing to escape. */
function quote(name: string): string {
  return name.includes('"') || name.includes('\\') ? JSON.stringify(name) : `"${name}"`;
}

function encodeLeft(ms: number): string {
  return ms === Number.POSITIVE_INFINITY ? '"never"' : String(Math.max(0, Math.round(ms)) / 1000);
}
