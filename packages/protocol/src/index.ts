export { type Clock, systemClock, type Timer } from './clock.js';
export {
  type DestroyRequest,
  decodeRequest,
  encodeError,
  encodeReply,
  encodeRequest,
  LINE_END,
  openReply,
  type QueryRequest,
  type RegisterRequest,
  type Request,
  RequestError,
} from './codec.js';
export { type Endpoint, formatEndpoint, parseEndpoint } from './endpoint.js';
export { ERRORS, type ErrorCode, isErrorCode, RegistryError } from './errors.js';
export { LineReader, TOO_LONG } from './framing.js';
export {
  DEFAULT_LIMITS,
  DEFAULT_PORT,
  DEFAULT_TIMEOUT,
  type Limits,
  MAX_REPLY_BYTES,
  MAX_TIMEOUT,
  PROTOCOL_VERSION,
  WIRE_LIMITS,
} from './limits.js';
export {
  ALL,
  type Commands,
  type CommandType,
  type DestroyMessage,
  type DestroyReply,
  type Durability,
  EVERY_INSTANCE,
  type HelloReply,
  type InstanceRecord,
  type Json,
  type Labels,
  type QueryMessage,
  type QueryReply,
  type RegisterMessage,
  type RegisterReply,
  type ReplyOf,
  type RequestId,
  type RequestOf,
  type Timeout,
  UNNAMED,
} from './messages.js';
export { checkName } from './names.js';
export { parseDecimal, parseTimeout, timeoutToMs } from './timeout.js';
