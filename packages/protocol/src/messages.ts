/**
 * The messages of the wire as a program in TypeScript writes and reads them. docs/protocol.md is the
 * contract that they follow. `Commands` is the one table from which the types of requests and replies derive.
 */

/** Anything that JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** What a request may carry to know its reply again: at most 64 bytes, or a safe integer. */
export type RequestId = string | number;

/** Seconds, or `"never"` for a registration that holds until it is destroyed. */
export type Timeout = number | 'never';

/** The labels that a service may put on an instance. */
export interface Labels {
  /** Words about it, at most 64. */
  readonly tags?: readonly string[];
  /** Named texts about it. */
  readonly meta?: Readonly<Record<string, string>>;
  /** Share of traffic relative to the other instances, 0 to 65,535; 1 where absent. */
  readonly weight?: number;
}

export interface RegisterMessage extends Labels {
  readonly key: string;
  /** Which instance of the service; absent for its one unnamed instance. */
  readonly instance?: string;
  readonly values: Json;
  /** Seconds above 0, as a number or a decimal string, or `"never"`; 30 where absent. */
  readonly timeout?: Timeout | string;
}

export interface QueryMessage {
  /** A service's name, or `all`. */
  readonly key: string;
  readonly instance?: string;
  /** Asks for what changes with every renewal: `left`. */
  readonly detail?: boolean;
  /** At most so many records; the reply's `next` then says where to go on. */
  readonly limit?: number;
  /** A `next` of an earlier reply. */
  readonly after?: number;
}

export interface DestroyMessage {
  readonly key: string;
  /** Absent for the unnamed instance, `*` for all instances of the service. */
  readonly instance?: string;
}

/** One registration, as a query answers it. */
export interface InstanceRecord extends Labels {
  readonly key: string;
  readonly instance?: string;
  readonly values: Json;
  readonly timeout: Timeout;
  /** Revision of the last change of this instance. */
  readonly revision: number;
  /** Revision of the first registration; a later one with another generation is another instance. */
  readonly generation: number;
  /** When it was first registered, in ms since the Unix epoch. */
  readonly registered: number;
  /** Seconds until it expires unless it is renewed, with `detail` only. */
  readonly left?: Timeout;
}

export interface RegisterReply {
  /** `renewed`: nothing but time has changed. `updated`: it was there with other content. */
  readonly result: 'registered' | 'updated' | 'renewed';
  readonly revision: number;
  readonly generation: number;
  readonly registered: number;
}

export interface QueryReply {
  /** The last change of what was asked for: of the service, or of all. The answer holds every change up to it. */
  readonly revision: number;
  /** The daemon has just restarted: what is absent may still be on its way back. */
  readonly warming?: true;
  /** Present where `limit` cut the answer: the `after` of the next request. */
  readonly next?: number;
  readonly services: readonly InstanceRecord[];
}

export interface DestroyReply {
  /** How many instances this request ended; 0 where there was nothing. */
  readonly removed: number;
  /** How many instances the service still has. */
  readonly left: number;
}

export type Durability = 'always' | 'everysec' | 'no';

export interface HelloReply {
  readonly server: 'reg';
  readonly version: string;
  readonly protocol: number;
  /** Identity of one history of revisions; another epoch means that replied changes may be gone. */
  readonly epoch: string;
  readonly revision: number;
  readonly log: string;
  readonly durability: Durability | 'none';
  readonly warming?: true;
  readonly limits: Readonly<Record<string, number>>;
}

/** Every command: what it takes and what it answers beside `ok` and `id`. */
export interface Commands {
  register: { request: RegisterMessage; reply: RegisterReply };
  query: { request: QueryMessage; reply: QueryReply };
  destruction: { request: DestroyMessage; reply: DestroyReply };
  ping: { request: object; reply: object };
  hello: { request: object; reply: HelloReply };
}

export type CommandType = keyof Commands;
export type RequestOf<C extends CommandType> = Commands[C]['request'];
export type ReplyOf<C extends CommandType> = Commands[C]['reply'];

/** The name under which every service is meant, in a query. */
export const ALL = 'all';
/** The instance under which every instance of a service is meant, in a destruction. */
export const EVERY_INSTANCE = '*';
/** The instance of a service that has no name, inside programs; the wire leaves it out. */
export const UNNAMED = '';
