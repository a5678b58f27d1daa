export {
  type AuditEntry,
  type AuditEvent,
  type AuditMessage,
  type AuditReply,
  type BackupReply,
  type DestroyReply,
  type Endpoint,
  type ErrorCode,
  type ExplainReply,
  type HelloReply,
  type InstanceRecord,
  type Json,
  type Labels,
  type OwnStatus,
  type QueryReply,
  type RegisterReply,
  RegistryError,
  type Status,
  type StatusReply,
  type Timeout,
} from '@reg/protocol';
export {
  type Client,
  type ClientEvents,
  connect,
  type DestroyOptions,
  type QueryOptions,
  type RegisterOptions,
  type RequestOptions,
} from './client.js';
export {
  defineServices,
  type InvalidEvent,
  type InvalidIssue,
  InvalidValuesError,
  type ServiceContract,
  type Services,
} from './contracts.js';
export { type Address, addressOf } from './discovery/address.js';
export type { Balance } from './discovery/balance.js';
export type { DiscoverOptions, Discovery, DiscoveryEvents, ReadyOptions, Source } from './discovery/discovery.js';
export type { Instance } from './discovery/instance.js';
export type { Difference } from './discovery/view.js';
export type { DrainOptions, DrainResult } from './drain.js';
export { AbortError, ClosedError, ConnectionError, QueueFullError, ReplyError, TimeoutError } from './errors.js';
export type { ClientOptions, Endpoints, TlsOptions, Token } from './options.js';
export { type KnownInstance, Presence, type Transition } from './presence.js';
export type {
  LostEvent,
  RecoveredEvent,
  Registration,
  RegistrationEvents,
  RegistrationState,
  StatusOptions,
  UpdateOptions,
} from './registration.js';
export type { Backoff } from './schedule.js';
export { handleSignals, type SignalOptions } from './signals.js';
export type { StandardSchema } from './standard-schema.js';
export type {
  NameOf,
  TypedClient,
  TypedDiscovery,
  TypedInstance,
  TypedRecord,
  TypedRegistration,
  TypedReply,
  TypedWatch,
  TypedWatchEvent,
  ValuesInput,
  ValuesOutput,
} from './typed-client.js';
export type { Watch, WatchOptions, WatchTarget } from './watch.js';
export type { WatchEvent, WatchPosition } from './watcher.js';
