import { UNNAMED } from '@reg/protocol';
import type { EndChange, RegisterChange } from '../change.js';

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
 * that moment; only the deadline, and the marks of those who file it, change in place.
 */
export interface Instance {
  readonly service: Service;
  readonly id: string;
  readonly body: string;
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
}

/** The digits and the names of fields that a record has beside its key, instance and body, generously. */
const RECORD_OVERHEAD = 128;

export function createService(name: string): Service {
  const opening = `{"key":${JSON.stringify(name)},`;
  const openingBytes = Buffer.byteLength(opening);
  return { name, opening, openingBytes, instances: new Map(), revision: 0, recordBytes: 0 };
}

export function createInstance(service: Service, change: RegisterChange): Instance {
  const { instance: id, body, ttl, revision, generation, registered, at, expiresAt } = change;
  const idBytes = id === UNNAMED ? 0 : Buffer.byteLength(JSON.stringify(id));
  const recordBytes = service.openingBytes + idBytes + Buffer.byteLength(body) + RECORD_OVERHEAD;
  return {
    service,
    id,
    body,
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
  };
}

/** The change that ends an instance as it is now. */
export function endOf(kind: EndChange['kind'], instance: Instance, wall: number): EndChange {
  const { service, id, generation, expiresAt } = instance;
  return { kind, revision: 0, key: service.name, instance: id, generation, at: wall, expiresAt };
}

/** The record of an instance, as JSON; with `now` also the seconds it has left. */
export function encodeRecord(instance: Instance, now?: number): string {
  const { service, id, body, revision, generation, registered } = instance;
  const name = id === UNNAMED ? '' : `"instance":${JSON.stringify(id)},`;
  const left = now === undefined ? '' : `,"left":${encodeLeft(instance.expiresAt - now)}`;
  return `${service.opening}${name}${body},"revision":${revision},"generation":${generation},"registered":${registered}${left}}`;
}

function encodeLeft(ms: number): string {
  return ms === Number.POSITIVE_INFINITY ? '"never"' : String(Math.max(0, Math.round(ms)) / 1000);
}
