/**
 * What services are said to have as values and metadata, checked at both ends. Registered is what a validator takes;
 * who reads gets what the validator makes of it. What does not fit is refused on the way in, and left out on the way
 * out.
 */

import { checkName, type InstanceRecord, type QueryReply, RegistryError } from '@reg/protocol';
import {
  formatPath,
  isStandardSchema,
  type Outcome,
  type StandardSchema,
  type ValidationIssue,
  validate,
} from './standard-schema.js';
import type { WatchEvent, WatcherHandler } from './watcher.js';

/** What one service has; validators of the Standard Schema. */
export interface ServiceContract {
  readonly values: StandardSchema;
  /** All of the metadata, which is `{}` where there is none. */
  readonly meta?: StandardSchema;
}

/** By the names of services. */
export type Services = Readonly<Record<string, ServiceContract>>;

/** An issue, and in which part of a registration it is. */
export interface InvalidIssue extends ValidationIssue {
  readonly part: 'values' | 'meta';
}

/** What a client leaves out because it is not what the service is said to have. */
export interface InvalidEvent {
  readonly error: InvalidValuesError;
  /** As the registry holds it. */
  readonly service: InstanceRecord;
}

export class InvalidValuesError extends RegistryError {
  override readonly name: string = 'InvalidValuesError';
  readonly issues: readonly InvalidIssue[];

  constructor(key: string, issues: readonly InvalidIssue[], cause?: unknown) {
    const list = issues.map((issue) => `${issue.part}${formatPath(issue)}: ${issue.message}`).join('; ');
    super('invalid_values', `not what ${key} is said to have: ${list}`, cause === undefined ? undefined : { cause });
    this.issues = issues;
  }
}

/**
 * Says what services have, for `connect(endpoint, { services })`: best in a module that those who register them and
 * those who call them share.
 *
 * @throws {RegistryError} `invalid_name`, `reserved_name`, or `bad_config` where something is no validator.
 */
export function defineServices<const S extends Services>(services: S): S {
  for (const [key, { values, meta }] of Object.entries(services)) {
    checkName(key, 'key');
    for (const schema of meta === undefined ? [values] : [values, meta]) {
      if (isStandardSchema(schema)) continue;
      throw new RegistryError('bad_config', `the service ${key} has something else than a Standard Schema validator`);
    }
  }
  return services;
}

/** Checks values, and metadata where it is given; throws or rejects with `invalid_values`. */
export type InputCheck = (values: unknown, meta: unknown) => void | Promise<void>;

/** A record whose values are what a validator made of them keeps the record that they came in. */
const WIRE = Symbol('wire');

interface CheckedRecord extends InstanceRecord {
  readonly [WIRE]: InstanceRecord;
}

/** The record as the registry holds it. */
export function wireRecord(record: InstanceRecord): InstanceRecord {
  return isChecked(record) ? record[WIRE] : record;
}

/** What came of the values and the metadata; the latter is absent where it has no validator, or was not given. */
interface Parts {
  readonly values: Outcome;
  readonly meta: Outcome | undefined;
}

export class Contracts {
  readonly #services: ReadonlyMap<string, ServiceContract>;
  readonly #report: (invalid: InvalidEvent) => void;
  /** Of events that were checked: as they came in. */
  readonly #originals = new WeakMap<WatchEvent, WatchEvent>();

  /** @param report is told of what is left out. */
  constructor(services: Services, report: (invalid: InvalidEvent) => void) {
    this.#services = new Map(Object.entries(services));
    this.#report = report;
  }

  /** What checks one registration: in order, so that of two updates the later one wins, whichever is checked first. */
  inputCheck(key: string): InputCheck | undefined {
    const contract = this.#services.get(key);
    if (!contract) return undefined;
    let last: void | Promise<void>;
    return (values, meta) => {
      const before = last;
      const checking = then(checkParts(contract, values, meta), (parts) => {
        const error = findError(key, parts);
        if (error) throw error;
      });
      // Both are listened to from the start: a rejection that nobody hears of ends the process.
      last = before ? Promise.allSettled([before, checking]).then(() => checking) : checking;
      return last;
    };
  }

  reply(reply: QueryReply): QueryReply | Promise<QueryReply> {
    return then(this.records(reply.services), (services) => ({ ...reply, services }));
  }

  /** Those that fit, with what the validators made of their values. */
  records(records: readonly InstanceRecord[]): readonly InstanceRecord[] | Promise<readonly InstanceRecord[]> {
    const checked = records.map((record) => this.#record(record));
    return then(together(checked), (list) => list.filter((record) => record !== undefined));
  }

  /** An instance that does not fit any more is told as one that is gone. */
  event(event: WatchEvent): WatchEvent | Promise<WatchEvent> {
    return then(this.#event(event), (checked) => {
      if (checked !== event) this.#originals.set(checked, event);
      return checked;
    });
  }

  /** The event as the registry told it, the instances that do not fit included. */
  original(checked: WatchEvent): WatchEvent {
    return this.#originals.get(checked) ?? checked;
  }

  #event(event: WatchEvent): WatchEvent | Promise<WatchEvent> {
    if (event.type === 'state') return then(this.records(event.services), (services) => ({ ...event, services }));
    if (event.type !== 'change' || (event.change !== 'registered' && event.change !== 'updated')) return event;
    const { key, instance, generation } = event.service;
    const gone = { key, ...(instance !== undefined && { instance }), generation };
    return then(this.#record(event.service), (service) =>
      service ? { ...event, service } : { ...event, change: 'destroyed', service: gone },
    );
  }

  /** A handler that sees checked events, in their order, until `isOver` says that it is to see no more. */
  guard(handler: WatcherHandler, isOver: () => boolean): WatcherHandler {
    return new Guard(handler, isOver, this);
  }

  #record(record: InstanceRecord): InstanceRecord | undefined | Promise<InstanceRecord | undefined> {
    const contract = this.#services.get(record.key);
    if (!contract) return record;
    const checking = checkParts(contract, record.values, record.meta ?? {});
    return then(checking, (parts) => this.#checked(record, parts));
  }

  #checked(record: InstanceRecord, parts: Parts): InstanceRecord | undefined {
    const error = findError(record.key, parts);
    if (error) {
      this.#report({ error, service: record });
      return undefined;
    }
    return makeRecord(record, parts);
  }
}

/** Checks events before its handler sees them; where that takes time, what comes after them waits. */
class Guard implements WatcherHandler {
  readonly #handler: WatcherHandler;
  readonly #isOver: () => boolean;
  readonly #contracts: Contracts;
  /** Until everything so far was passed on; `undefined` where it was. */
  #passing: Promise<void> | undefined;

  constructor(handler: WatcherHandler, isOver: () => boolean, contracts: Contracts) {
    this.#handler = handler;
    this.#isOver = isOver;
    this.#contracts = contracts;
  }

  event(event: WatchEvent): void {
    const checking = this.#contracts.event(event);
    this.#inOrder(() =>
      then(checking, (checked) => {
        if (!this.#isOver()) this.#handler.event(checked);
      }),
    );
  }

  live(): void {
    this.#inOrder(() => this.#handler.live());
  }

  stale(): void {
    this.#inOrder(() => this.#handler.stale());
  }

  failed(...failure: Parameters<WatcherHandler['failed']>): void {
    this.#inOrder(() => this.#handler.failed(...failure));
  }

  closed(): Promise<void> {
    return this.#handler.closed();
  }

  #inOrder(action: () => void | Promise<void>): void {
    const passing = this.#passing ? this.#passing.then(() => (this.#isOver() ? undefined : action())) : action();
    if (!passing) return;
    this.#passing = passing;
    passing.then(() => {
      if (this.#passing === passing) this.#passing = undefined;
    });
  }
}

/** Both at once: either may take time. */
function checkParts({ values, meta }: ServiceContract, given: unknown, givenMeta: unknown): Parts | Promise<Parts> {
  const checkingValues = validate(values, given);
  const checkingMeta = meta && givenMeta !== undefined ? validate(meta, givenMeta) : undefined;
  return then(checkingValues, (ofValues) => then(checkingMeta, (ofMeta) => ({ values: ofValues, meta: ofMeta })));
}

function findError(key: string, { values, meta }: Parts): InvalidValuesError | undefined {
  if (values.ok && meta?.ok !== false) return undefined;
  const issues: InvalidIssue[] = [];
  if (!values.ok) for (const issue of values.issues) issues.push({ ...issue, part: 'values' });
  if (meta?.ok === false) for (const issue of meta.issues) issues.push({ ...issue, part: 'meta' });
  return new InvalidValuesError(key, issues, values.ok ? undefined : values.cause);
}

/** Metadata that the validator drops stays: balancing by zone, for one, needs what the caller may not have heard of. */
function makeRecord(record: InstanceRecord, { values, meta }: Parts): InstanceRecord {
  const checked = {
    ...record,
    values: values.ok ? values.value : record.values,
    ...(meta?.ok && { meta: { ...record.meta, ...Object(meta.value) } }),
    [WIRE]: record,
  };
  // Validators make what they like, a Date of a text; what it is the types of `TypedClient` tell.
  return checked as InstanceRecord;
}

function isChecked(record: InstanceRecord): record is CheckedRecord {
  return WIRE in record;
}

/** Validators may take time, and most do not: what is there at once is not made to wait. */
function then<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

function together<T>(values: readonly (T | Promise<T>)[]): readonly T[] | Promise<readonly T[]> {
  const settled = values.filter((value): value is T => !(value instanceof Promise));
  return settled.length === values.length ? settled : Promise.all(values);
}
