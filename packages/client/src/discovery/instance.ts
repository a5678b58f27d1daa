import { type GoneRecord, type InstanceRecord, type Json, STATUSES, type Status, statusOf } from '@reg/protocol';
import { wireRecord } from '../contracts.js';
import { type Address, addressOf } from './address.js';

/** What is under way to an instance, shared by all that is known of it in the course of time. */
interface Load {
  inFlight: number;
}

const NO_TAGS: readonly string[] = [];
const NO_META: Readonly<Record<string, string>> = {};

/**
 * An instance as it was when it was last heard of. It does not change, except for `inFlight`: what is heard later
 * is another object.
 */
export class Instance {
  readonly key: string;
  /** Absent for the service's one unnamed instance. */
  readonly instance?: string;
  readonly values: Json;
  /** Absent where the values hold none. */
  readonly address?: Address;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
  readonly weight: number;
  readonly status: Status;
  /** Of its first registration; another one is another life, and perhaps another process. */
  readonly generation: number;
  readonly revision: number;
  /** What the registry said, as it said it. */
  readonly record: InstanceRecord;
  readonly #load: Load;

  /** @param before what was known of the same instance; what is in flight goes on to count. */
  constructor(record: InstanceRecord, before?: Instance) {
    this.key = record.key;
    if (record.instance !== undefined) this.instance = record.instance;
    this.values = record.values;
    const address = addressOf(wireRecord(record).values);
    if (address) this.address = address;
    this.tags = record.tags ?? NO_TAGS;
    this.meta = record.meta ?? NO_META;
    this.weight = record.weight ?? 1;
    this.status = statusOf(record);
    this.generation = record.generation;
    this.revision = record.revision;
    this.record = record;
    this.#load = before ? before.#load : { inFlight: 0 };
  }

  /** Requests to it that were begun with `track` and have not ended, to this or an earlier life. */
  get inFlight(): number {
    return this.#load.inFlight;
  }

  // Static, so that it is the view's and not part of what its users hold.

  /** Counts a request until the function that it returns is called. */
  static track(instance: Instance): () => void {
    const load = instance.#load;
    let open = true;
    load.inFlight += 1;
    return () => {
      if (open) load.inFlight -= 1;
      open = false;
    };
  }
}

/** What tells the instances of one service apart: the name, or nothing for the unnamed one. */
export function nameOf({ instance = '' }: InstanceRecord | GoneRecord | Instance): string {
  return instance;
}

/** Whether a record from somewhere else than the registry has what an `Instance` relies on. */
export function isRecord(record: unknown): record is InstanceRecord {
  if (typeof record !== 'object' || record === null) return false;
  const field = (name: string): unknown => Reflect.get(record, name);
  const tags = field('tags') ?? [];
  const meta = field('meta') ?? {};
  const weight = field('weight') ?? 1;
  return (
    typeof field('key') === 'string' &&
    typeof (field('instance') ?? '') === 'string' &&
    field('values') !== undefined &&
    typeof field('revision') === 'number' &&
    typeof field('generation') === 'number' &&
    STATUSES.some((status) => status === (field('status') ?? 'passing')) &&
    Array.isArray(tags) &&
    tags.every((tag) => typeof tag === 'string') &&
    typeof meta === 'object' &&
    Object.values(meta).every((text) => typeof text === 'string') &&
    typeof weight === 'number' &&
    weight >= 0
  );
}
