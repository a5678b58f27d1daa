export {
  type DestroyReply,
  type Endpoint,
  type ErrorCode,
  type HelloReply,
  type InstanceRecord,
  type Json,
  type Labels,
  type QueryReply,
  type RegisterReply,
  RegistryError,
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
export { AbortError, ClosedError, ConnectionError, QueueFullError, ReplyError, TimeoutError } from './errors.js';
export type { ClientOptions } from './options.js';
export type {
  LostEvent,
  RecoveredEvent,
  Registration,
  RegistrationEvents,
  RegistrationState,
  UpdateOptions,
} from './registration.js';
export type { Backoff } from './schedule.js';
