import { type Status, UNNAMED } from '@reg/protocol';
import type { EndChange, RegisterChange } from '../change.js';
import type { Holder } from './holder.js';

/** A service: it exists as long as it has an instance. */
export interface Service {
  readonly name: string;
  /** How each of its records begins, as JSON, and how many bytes that is. */
  readonly opening: string;
  readonly openingBytes: number;
  /** By id, in the order of their generations. */
  readonly instances: Map<string, Instance>;
  /** Revision of the last change of any of its instances, also of one that is gone. */
  revision: number;
  /** The sum of its instances' `recordBytes`. */
  recordBytes: number;
}

/**
 * One registration, as it was last changed. An update makes a new object, so who holds one of a moment holds
 * that moment; only the deadline, who holds it, and the marks of those who file it, change in place.
 */
export interface Instance {
  readonly service: Service;
  readonly id: string;
  readonly body: string;
  readonly status: Status;
  /** How long it outlives its connection, in ms; `Infinity` where it is bound to none. */
  readonly linger: number;
  /** `UNOWNED` for none. */
  readonly owner: string;
  /** Time to live in ms. */
  readonly ttl: number;
  readonly revision: number;
  readonly generation: number;
  readonly registered: number;
  /** When it was last changed, in ms since the Unix epoch. */
  readonly at: number;
  /** At most so many bytes is its record in a reply. */
  readonly recordBytes: number;
  /** Registry time; a renewal writes just this. */
  expiresAt: number;
  /** The timing wheel's: which tick it is filed under, and where there. -1 where it is not filed. */
  tick: number;
  place: number;
  /** The roster's: its index. */
  seat: number;
  /** The connection that registered it last, since the start; and where that holds it, -1 where it does not any more. */
  holder: Holder | undefined;
  grip: number;
}

/** The digits and the names of fields that a record has beside its key, instance and body, generously. */
const RECORD_OVERHEAD = 192;

export function createService(name: string): Service {
  const opening = openingOf(name);
  const openingBytes = Buffer.byteLength(opening);
  return { name, opening, openingBytes, instances: new Map(), revision: 0, recordBytes: 0 };
}

export function createInstance(service: Service, change: RegisterChange): Instance {
  const { instance: id, body, status, linger, owner, ttl, revision, generation, registered, at, expiresAt } = change;
  const idBytes = id === UNNAMED ? 0 : Buffer.byteLength(JSON.stringify(id));
  const recordBytes = service.openingBytes + idBytes + Buffer.byteLength(body) + RECORD_OVERHEAD;
  return {
    service,
    id,
    body,
    status,
    linger,
    owner,
    ttl,
    revision,
    generation,
    registered,
    at,
    recordBytes,
    expiresAt,
    tick: -1,
    place: -1,
    seat: -1,
    holder: undefined,
    grip: -1,
  };
}

/** The change that makes an instance what it is. */
export function changeOf(instance: Instance): RegisterChange {
  const { service, id, body, status, linger, owner, ttl, revision, generation, registered, at, expiresAt } = instance;
  return {
    kind: 'register',
    revision,
    key: service.name,
    instance: id,
    generation,
    at,
    registered,
    ttl,
    body,
    status,
    linger,
    owner,
    expiresAt,
  };
}

/** The change that ends an instance as it is now. */
export function endOf(kind: EndChange['kind'], instance: Instance, wall: number): EndChange {
  const { service, id, generation, expiresAt } = instance;
  return { kind, revision: 0, key: service.name, instance: id, generation, at: wall, expiresAt };
}

/** The change that says of an instance that its connection broke. It moves no deadline. */
export function suspicionOf(instance: Instance, wall: number): RegisterChange {
  return { ...changeOf(instance), revision: 0, at: wall, status: 'suspect' };
}

/** Whether it lives no longer than its linger when its connection breaks. */
export function isBound({ linger }: Instance): boolean {
  return linger < Number.POSITIVE_INFINITY;
}

/** The record of an instance, as JSON; with `now` also the seconds it has left. */
export function encodeRecord(instance: Instance, now?: number): string {
  const left = now === undefined ? '' : `,"left":${encodeLeft(instance.expiresAt - now)}`;
  return `${instance.service.opening}${encodeRest(instance.id, instance)}${left}}`;
}

/** The record of an instance as a change has made it, as JSON. */
export function encodeRegistered(change: RegisterChange): string {
  return `${openingOf(change.key)}${encodeRest(change.instance, change)}}`;
}

/** What is left to say of an instance that is gone, as JSON. */
export function encodeGone({ key, instance, generation }: EndChange): string {
  return `${openingOf(key)}${encodeName(instance)}"generation":${generation}}`;
}

/** How every record of a service begins. */
function openingOf(name: string): string {
  return `{"key":${JSON.stringify(name)},`;
}

function encodeName(id: string): string {
  return id === UNNAMED ? '' : `"instance":${JSON.stringify(id)},`;
}

function encodeRest(id: string, content: Instance | RegisterChange): string {
  const { body, linger, status, revision, generation, registered } = content;
  const bound = linger === Number.POSITIVE_INFINITY ? '' : `,"linger":${linger / 1000}`;
  const unlike = status === 'passing' ? '' : `,"status":"${status}"`;
  return `${encodeName(id)}${body}${bound}${unlike},"revision":${revision},"generation":${generation},"registered":${registered}`;
}

function encodeLeft(ms: number): string {
  return ms === Number.POSITIVE_INFINITY ? '"never"' : String(Math.max(0, Math.round(ms)) / 1000);
}
