export { NOT_SELECTIVE } from './checks.js';
export { type Clock, systemClock, type Timer } from './clock.js';
export {
  decodeRequest,
  encodeError,
  encodeErrorFields,
  encodeReply,
  encodeRequest,
  LINE_END,
  openReply,
  RequestError,
} from './codec.js';
export { type Address, type Endpoint, formatEndpoint, parseAddress, parseEndpoint, redactTokens } from './endpoint.js';
export { ERRORS, type ErrorCode, isErrorCode, RegistryError, type RegistryErrorOptions } from './errors.js';
export type {
  ChangeEvent,
  ChangeKind,
  EndedEvent,
  Event,
  GoneRecord,
  ProgressEvent,
  ResetEvent,
  StateEvent,
  SyncedEvent,
} from './events.js';
export { LineReader, TOO_LONG } from './framing.js';
export {
  DEFAULT_LIMITS,
  DEFAULT_PORT,
  DEFAULT_TIMEOUT,
  type Limits,
  MAX_LINGER,
  MAX_OWNER_BYTES,
  MAX_REPLY_BYTES,
  MAX_TIMEOUT,
  PROTOCOL_VERSION,
  WIRE_LIMITS,
} from './limits.js';
export {
  type AcksReply,
  ALL,
  type AuditEntry,
  type AuditEvent,
  type AuditMessage,
  type AuditReply,
  type AuthMessage,
  type AuthReply,
  type Commands,
  type CommandType,
  type DestroyMessage,
  type DestroyReply,
  type Durability,
  type EndedInstance,
  type EndReason,
  EVERY_INSTANCE,
  type ExplainReply,
  type HeartbeatReply,
  type HelloReply,
  type HolderReply,
  type InstanceRecord,
  type Json,
  type Labels,
  type OwnStatus,
  type QueryMessage,
  type QueryReply,
  type RegisterMessage,
  type RegisterReply,
  type ReplyOf,
  type RequestId,
  type RequestOf,
  STATUSES,
  type Status,
  type StatusReply,
  type Timeout,
  UNNAMED,
  UNOWNED,
  type WatchMessage,
  type WatchReply,
} from './messages.js';
export { checkName } from './names.js';
export { RequestReader } from './reader.js';
export { hasLabels, statusOf } from './records.js';
export type {
  AckRequest,
  AcksRequest,
  AuditRequest,
  AuthRequest,
  DestroyRequest,
  ExplainRequest,
  QueryRequest,
  RegisterRequest,
  Request,
  Scope,
  Selector,
  UnwatchRequest,
  WatchRequest,
} from './requests.js';
export { lingerToMs, parseDecimal, parseLinger, parseTimeout, timeoutToMs } from './timeout.js';
