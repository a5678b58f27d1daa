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

/**
 * How an instance is, `passing` unless something says otherwise. `draining` (it is leaving) and `critical` (it
 * cannot serve) it says of itself. `suspect` the registry says: it was bound to a connection, and that broke.
 */
export type Status = (typeof STATUSES)[number];

/** What an instance can say of itself. */
export type OwnStatus = Exclude<Status, 'suspect'>;

export interface RegisterMessage extends Labels {
  readonly key: string;
  /** Which instance of the service; absent for its one unnamed instance. */
  readonly instance?: string;
  readonly values: Json;
  /** Seconds above 0, as a number or a decimal string, or `"never"`; 30 where absent. */
  readonly timeout?: Timeout | string;
  /** `passing` where absent. */
  readonly status?: OwnStatus;
  /**
   * Binds the instance to this connection: how many seconds it outlives it, as a number or a decimal string.
   * Absent for one that lives by its timeout alone.
   */
  readonly linger?: number | string;
  /** A random text that only the registrant knows, at most 64 bytes: who has it owns the instance. */
  readonly owner?: string;
  /** The generation that the registrant believes to be its own. It then takes nothing over. Needs `owner`. */
  readonly generation?: number;
  /** Takes the instance over from a live owner. */
  readonly takeover?: boolean;
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
  /** Instances of this status only, or of `any`. Where absent: those that are passing, or else the suspect. */
  readonly status?: Status | 'any';
  /** Instances that have all of these tags. */
  readonly tags?: readonly string[];
  /** Instances whose metadata has all of these texts under these names. */
  readonly meta?: Readonly<Record<string, string>>;
}

export interface DestroyMessage {
  readonly key: string;
  /** Absent for the unnamed instance, `*` for all instances of the service. */
  readonly instance?: string;
  /** Ends nothing but what was registered with this owner secret. */
  readonly owner?: string;
}

/** What to watch: a service, all (`key` is `all`), or every service whose name begins with `prefix`. */
export interface WatchMessage {
  readonly key?: string;
  readonly prefix?: string;
  /** Where an earlier watch of the same had come to; both, or neither. */
  readonly epoch?: string;
  readonly after?: number;
  /** Whether this watch will acknowledge what it has seen, so that who drains can wait for it. */
  readonly ack?: boolean;
}

interface UnwatchMessage {
  /** Which watch of this connection, as the reply to `watch` said. */
  readonly watch: number;
}

interface AckMessage extends UnwatchMessage {
  /** Every change up to this revision was seen. */
  readonly revision: number;
}

interface AcksMessage {
  readonly key: string;
  readonly revision: number;
}

interface ExplainMessage {
  readonly key: string;
  /** Absent for the unnamed instance. */
  readonly instance?: string;
}

export interface AuthMessage {
  /** Says who is on this connection, and proves it: what `regctl token create` has printed. */
  readonly token: string;
}

/** Asks for what was recorded: the latest, or from an entry on. */
export interface AuditMessage {
  /** At most so many entries, 100 where absent. */
  readonly limit?: number;
  /** The number of an entry: those that came after it, the oldest first. Where absent: the latest. */
  readonly after?: number;
}

/** One registration, as a query answers it. */
export interface InstanceRecord extends Labels {
  readonly key: string;
  readonly instance?: string;
  readonly values: Json;
  readonly timeout: Timeout;
  /** Seconds that it outlives its connection; absent where it is bound to none. */
  readonly linger?: number;
  /** Absent where it is `passing`. */
  readonly status?: Exclude<Status, 'passing'>;
  /** Revision of the last change of this instance. */
  readonly revision: number;
  /** Revision of the first registration; a later one with another generation is another instance. */
  readonly generation: number;
  /** When it was first registered, in ms since the Unix epoch. */
  readonly registered: number;
  /** Seconds until it expires unless it is renewed, with `detail` only. */
  readonly left?: Timeout;
}

/** What everything that is registered at one moment is asked for with, page by page. */
export interface BackupMessage {
  /** The `next` of the page before, on the same connection; absent or 0 for the first page, which is of this moment. */
  readonly after?: number;
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

/** Why an instance is gone: its time was over, somebody destroyed it, or somebody took it over. */
export type EndReason = 'expired' | 'destroyed' | 'superseded';

/** An instance that a connection held, and that is gone. */
export interface EndedInstance {
  readonly key: string;
  readonly instance?: string;
  readonly generation: number;
  readonly reason: EndReason;
}

export interface HeartbeatReply {
  /** How many instances this connection holds: it was the last to register them. All of them were renewed. */
  readonly held: number;
  /** Which of them ended since the last heartbeat, if any did. */
  readonly ended?: readonly EndedInstance[];
}

export interface WatchReply {
  /** The number that every event of this watch carries, from 1 up in each connection. */
  readonly watch: number;
  readonly epoch: string;
  /** Seconds: a connection with a watch never hears nothing for so long. */
  readonly progress: number;
}

export interface AcksReply {
  /** How many watches that acknowledge there are of this service. */
  readonly watches: number;
  /** How many of them have acknowledged the revision. */
  readonly acknowledged: number;
}

export type Durability = 'always' | 'everysec' | 'no';

export interface AuthReply {
  /** The name that the token was given. */
  readonly caller: string;
  /** When the token ends, in ms since the Unix epoch; absent where it does not. */
  readonly expires?: number;
}

/** Who still has to authenticate is told no more than what is always there. */
export interface HelloReply {
  readonly server: 'reg';
  readonly version?: string;
  readonly protocol: number;
  /** Whether anything but `hello` and `auth` is for those only who have authenticated. */
  readonly authentication: 'none' | 'required';
  /** Identity of one history of revisions; another epoch means that replied changes may be gone. */
  readonly epoch?: string;
  readonly revision?: number;
  readonly log?: string;
  readonly durability?: Durability | 'none';
  readonly warming?: true;
  readonly limits: Readonly<Record<string, number>>;
}

export interface StatusReply {
  readonly server: 'reg';
  readonly version: string;
  readonly pid: number;
  /** When it started, in ms since the Unix epoch. */
  readonly started: number;
  readonly epoch: string;
  /** The last change that is durable. */
  readonly revision: number;
  readonly log: string;
  readonly durability: Durability | 'none';
  /** Seconds until the grace after the start is over; absent when it is. */
  readonly warming?: number;
  /** Why changes are refused; absent where they are taken. */
  readonly refusing?: string;
  readonly services: number;
  /** How many there are of each status. */
  readonly instances: Readonly<Record<Status, number>>;
  readonly connections: number;
  readonly watches: number;
  readonly maxWatches: number;
  /** Connections with watches that have fallen behind, because they are not read. */
  readonly behind: number;
  /** How many deadlines were moved on, and how many instances expired, since the start. */
  readonly renewals: number;
  readonly expired: number;
  /** Instances whose time is over and whose end is still to be ordered; queries leave them out already. */
  readonly overdue: number;
  /** ms of stalls that no deadline ran in, since the start. */
  readonly stalled: number;
  /** Bytes. */
  readonly memory: { readonly resident: number; readonly heap: number };
}

/** The connection that registered an instance last. */
export interface HolderReply {
  /** Its address, as the daemon sees it. */
  readonly peer: string;
  /** When it was opened and closed, in ms since the Unix epoch; `closed` is absent while it is open. */
  readonly opened: number;
  readonly closed?: number;
  readonly heartbeats: number;
  /** ms between its last heartbeats, the latest last. */
  readonly intervals: readonly number[];
}

export interface ExplainReply {
  readonly revision: number;
  /** With `left`; absent where there is no such instance. */
  readonly service?: InstanceRecord;
  /** Whether it has an owner. */
  readonly owned?: boolean;
  /** When it was last changed, and last renewed, in ms since the Unix epoch. */
  readonly changed?: number;
  readonly renewed?: number;
  /** Absent where it was registered before the daemon started. */
  readonly holder?: HolderReply;
  /** How the last of that name ended, where that is recent and there is none now. */
  readonly ended?: { readonly reason: EndReason; readonly revision: number; readonly at: number };
  /** How many watches see it, and the addresses of some of them. */
  readonly watches: number;
  readonly watchers: readonly string[];
  /** What was recorded of it lately, the latest last; absent where there is nothing. */
  readonly audit?: readonly AuditEntry[];
}

/**
 * What is recorded. `updated` is a change of what an instance says; expiry is not there, nor what only renews: that
 * nobody asked for, and of the other there would be too much.
 */
export type AuditEvent =
  | 'registered'
  | 'updated'
  | 'took_over'
  | 'destroyed'
  | 'undone'
  | 'backed_up'
  | 'denied'
  | 'authenticated'
  | 'auth_failed'
  | 'revoked'
  | 'reloaded'
  | 'lost';

/** One thing that happened, who did it, and from where. There is no value in it and no secret. */
export interface AuditEntry {
  /** From 1 up since the daemon started. */
  readonly number: number;
  /** ms since the Unix epoch. */
  readonly at: number;
  readonly event: AuditEvent;
  /** The name of who did it; absent where nobody has to say it. */
  readonly caller?: string;
  /** The address of the connection; absent where it was the daemon itself. */
  readonly peer?: string;
  readonly service?: string;
  /** Absent for the unnamed instance, `*` for all of the service. */
  readonly instance?: string;
  /** Of the change; of the last, where there were several. `undone`: the last that was kept. */
  readonly revision?: number;
  /** What was missing, or what failed, in words. */
  readonly reason?: string;
  /** `lost`: how many entries the file has lost before this one. */
  readonly count?: number;
}

export interface AuditReply {
  /** Where entries are kept: `none` where nothing is recorded, and `memory` where only the latest are. */
  readonly kept: 'none' | 'memory' | 'file';
  /** In the order in which they were recorded. */
  readonly entries: readonly AuditEntry[];
}

/** A registration, as a backup has it: `left`, and what nobody else is told. */
export interface BackupRecord extends InstanceRecord {
  /** When it was last changed, in ms since the Unix epoch. */
  readonly changed: number;
  /** The owner's secret; absent where it has none. */
  readonly owner?: string;
}

/** A page of a backup. All but `next` and `services` is the same in every page. */
export interface BackupReply {
  readonly epoch: string;
  /** The backup shows every change up to this one, and none after it. */
  readonly revision: number;
  /** When, in ms since the Unix epoch. */
  readonly taken: number;
  /** How many instances all pages have. */
  readonly instances: number;
  /** The `after` of the next page; absent in the last. */
  readonly next?: number;
  /** In the order of their generations. */
  readonly services: readonly BackupRecord[];
}

/** Every command: what it takes and what it answers beside `ok` and `id`. */
export interface Commands {
  register: { request: RegisterMessage; reply: RegisterReply };
  query: { request: QueryMessage; reply: QueryReply };
  destruction: { request: DestroyMessage; reply: DestroyReply };
  heartbeat: { request: object; reply: HeartbeatReply };
  watch: { request: WatchMessage; reply: WatchReply };
  unwatch: { request: UnwatchMessage; reply: object };
  ack: { request: AckMessage; reply: object };
  acks: { request: AcksMessage; reply: AcksReply };
  explain: { request: ExplainMessage; reply: ExplainReply };
  backup: { request: BackupMessage; reply: BackupReply };
  status: { request: object; reply: StatusReply };
  audit: { request: AuditMessage; reply: AuditReply };
  ping: { request: object; reply: object };
  hello: { request: object; reply: HelloReply };
  auth: { request: AuthMessage; reply: AuthReply };
}

export type CommandType = keyof Commands;
export type RequestOf<C extends CommandType> = Commands[C]['request'];
export type ReplyOf<C extends CommandType> = Commands[C]['reply'];

export const STATUSES = ['passing', 'suspect', 'draining', 'critical'] as const;

/** The name under which every service is meant, in a query. */
export const ALL = 'all';
/** The instance under which every instance of a service is meant, in a destruction. */
export const EVERY_INSTANCE = '*';
/** The instance of a service that has no name, inside programs; the wire leaves it out. */
export const UNNAMED = '';
/** The owner of an instance that has none, inside programs; the wire leaves it out. */
export const UNOWNED = '';
