/** What the daemon works with: requests whose every field was checked. */

import type { CommandType, OwnStatus, RequestId, Status } from './messages.js';

interface CheckedRequest<T extends CommandType> {
  readonly type: T;
  readonly id: RequestId | undefined;
}

export interface RegisterRequest extends CheckedRequest<'register'> {
  readonly key: string;
  readonly instance: string;
  /** Time to live in ms; `Infinity` for never. */
  readonly ttl: number;
  /**
   * What it says, as the inside of a JSON object: `"values":…,"timeout":…` and the labels given. Two registrations
   * say the same where their bodies are equal.
   */
  readonly body: string;
  readonly status: OwnStatus;
  /** How long it outlives its connection, in ms; `Infinity` where it is bound to none. */
  readonly linger: number;
  /** The owner's secret; `UNOWNED` for none. */
  readonly owner: string;
  /** Which generation the registrant believes to be its own; 0 where it knows of none. */
  readonly generation: number;
  readonly takeover: boolean;
}

export interface QueryRequest extends CheckedRequest<'query'> {
  /** A service's name, or `ALL`. */
  readonly key: string;
  readonly instance: string | undefined;
  readonly detail: boolean;
  /** `Infinity` where none was asked for. */
  readonly limit: number;
  readonly after: number;
  readonly selector: Selector;
}

/** Which instances of what was asked for. */
export interface Selector {
  /** `undefined` for those that are passing, or else the suspect. */
  readonly status: Status | 'any' | undefined;
  readonly tags: readonly string[];
  /** Names and their texts. */
  readonly meta: readonly (readonly [string, string])[];
}

export interface DestroyRequest extends CheckedRequest<'destruction'> {
  readonly key: string;
  /** An instance, `UNNAMED`, or `EVERY_INSTANCE`. */
  readonly instance: string;
  /** `UNOWNED` where it does not matter who registered it. */
  readonly owner: string;
}

/** What a watch looks at: one service, or every one whose name begins with a text; all have the empty one. */
export type Scope = { readonly service: string } | { readonly prefix: string };

export interface WatchRequest extends CheckedRequest<'watch'> {
  readonly scope: Scope;
  /** Where it resumes; `undefined` where it begins. */
  readonly from: { readonly epoch: string; readonly revision: number } | undefined;
  readonly ack: boolean;
}

export interface UnwatchRequest extends CheckedRequest<'unwatch'> {
  readonly watch: number;
}

export interface AckRequest extends CheckedRequest<'ack'> {
  readonly watch: number;
  readonly revision: number;
}

export interface AcksRequest extends CheckedRequest<'acks'> {
  readonly key: string;
  readonly revision: number;
}

export interface ExplainRequest extends CheckedRequest<'explain'> {
  readonly key: string;
  /** `UNNAMED` for the unnamed one. */
  readonly instance: string;
}

export interface AuthRequest extends CheckedRequest<'auth'> {
  readonly token: string;
}

export interface AuditRequest extends CheckedRequest<'audit'> {
  readonly limit: number;
  /** `undefined` for the latest. */
  readonly after: number | undefined;
}

export interface BackupRequest extends CheckedRequest<'backup'> {
  /** 0 where it begins. */
  readonly after: number;
}

export type Request =
  | RegisterRequest
  | QueryRequest
  | DestroyRequest
  | WatchRequest
  | UnwatchRequest
  | AckRequest
  | AcksRequest
  | ExplainRequest
  | AuthRequest
  | AuditRequest
  | BackupRequest
  | CheckedRequest<'heartbeat' | 'status' | 'ping' | 'hello'>;
