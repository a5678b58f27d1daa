/**
 * Every error that this project can report, one row each. Programs branch on the code, people read the
 * text; `retryable` says that the same request may succeed later, unchanged; `exit` is regctl's exit code.
 */
export const ERRORS = {
  // What the daemon answers to a request that it cannot take.
  bad_json: { text: 'the line is not valid JSON in UTF-8', retryable: false, exit: 2 },
  bad_request: { text: 'the request is not of the form that its type takes', retryable: false, exit: 2 },
  unknown_type: { text: 'no such type of request', retryable: false, exit: 2 },
  line_too_long: { text: 'the line is longer than the daemon takes', retryable: false, exit: 2 },
  invalid_name: { text: 'the name is not valid', retryable: false, exit: 2 },
  reserved_name: { text: 'the name is reserved', retryable: false, exit: 2 },
  invalid_timeout: { text: 'the timeout is not valid', retryable: false, exit: 2 },
  invalid_linger: { text: 'the linger is not valid', retryable: false, exit: 2 },
  value_too_large: { text: 'the value is larger than the daemon takes', retryable: false, exit: 2 },
  value_too_deep: { text: 'the value nests too deeply', retryable: false, exit: 2 },
  meta_too_large: { text: 'the metadata is larger than the daemon takes', retryable: false, exit: 2 },
  too_many_tags: { text: 'the tags are more or longer than the daemon takes', retryable: false, exit: 2 },

  // What the daemon answers to a request that is right, but cannot be served, or not now.
  too_large: { text: 'the reply would be too large', retryable: false, exit: 6 },
  owned: { text: 'the instance belongs to another owner', retryable: true, exit: 6 },
  superseded: { text: 'another owner has taken the instance over', retryable: false, exit: 6 },
  destroyed: { text: 'the instance was destroyed', retryable: false, exit: 6 },
  unauthenticated: { text: 'the registry takes this from known callers only', retryable: false, exit: 3 },
  forbidden: { text: 'the caller has no right to do this', retryable: false, exit: 3 },
  throttled: { text: 'too many attempts to authenticate have failed', retryable: true, exit: 6 },
  over_limit: { text: 'a bound of the daemon is reached', retryable: true, exit: 6 },
  too_many_watches: { text: 'the daemon has as many watches as it takes', retryable: true, exit: 6 },
  unknown_watch: { text: 'this connection has no such watch', retryable: false, exit: 2 },
  unknown_backup: { text: 'this connection reads no such backup', retryable: false, exit: 6 },
  storage_full: { text: 'no space is left where the daemon keeps its data', retryable: true, exit: 6 },
  storage_failed: { text: 'the daemon cannot write where it keeps its data', retryable: true, exit: 6 },
  shutting_down: { text: 'the daemon is shutting down', retryable: true, exit: 6 },
  slow_peer: { text: 'the connection stood still for too long', retryable: true, exit: 6 },
  internal: { text: 'the daemon failed; its log says how', retryable: true, exit: 6 },

  // What a client finds by itself.
  connect_failed: { text: 'cannot connect to the daemon', retryable: true, exit: 4 },
  connection_lost: { text: 'the connection broke before the reply', retryable: true, exit: 4 },
  timed_out: { text: 'no reply came in time', retryable: true, exit: 5 },
  queue_full: { text: 'too many requests wait already', retryable: true, exit: 1 },
  aborted: { text: 'the caller gave up', retryable: false, exit: 130 },
  closed: { text: 'the client is closed', retryable: false, exit: 1 },
  bad_reply: { text: 'the daemon answered what no registry answers', retryable: false, exit: 1 },
  access_failed: { text: 'the file of tokens or credentials cannot be used', retryable: false, exit: 2 },
  bad_endpoint: { text: 'the address is not one of a registry', retryable: false, exit: 2 },
  invalid_values: { text: 'the values are not what the service is said to have', retryable: false, exit: 2 },
  no_instance: { text: 'the service has no instance that takes requests', retryable: true, exit: 6 },

  // What keeps a daemon from starting, or stops it.
  bad_config: { text: 'the configuration is not valid', retryable: false, exit: 2 },
  listen_failed: { text: 'cannot listen on the address', retryable: false, exit: 7 },
  data_locked: { text: 'another daemon uses the data folder', retryable: true, exit: 7 },
  data_foreign: { text: 'the data folder holds something else', retryable: false, exit: 7 },
  data_damaged: { text: 'the data is damaged', retryable: false, exit: 7 },
  data_unusable: { text: 'the data folder cannot be used', retryable: false, exit: 7 },
} as const satisfies Record<string, { text: string; retryable: boolean; exit: number }>;

export type ErrorCode = keyof typeof ERRORS;

/** What an error may carry beside its code and its message. */
export interface RegistryErrorOptions extends ErrorOptions {
  /** The name of the bound that was reached. */
  readonly limit?: string | undefined;
  /** Seconds after which it makes sense to try again. */
  readonly retryAfter?: number | undefined;
}

/** The base of every error that these packages throw on purpose. */
export class RegistryError extends Error {
  override readonly name: string = 'RegistryError';
  readonly code: ErrorCode;
  /** The name of the bound that was reached, where it was one. */
  readonly limit: string | undefined;
  /** Seconds after which it makes sense to try again, where that is known. */
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string = ERRORS[code].text, options?: RegistryErrorOptions) {
    super(message, options);
    this.code = code;
    this.limit = options?.limit;
    this.retryAfter = options?.retryAfter;
  }

  /** Whether the same request may succeed later, unchanged. */
  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code);
}

/** What the system, or Node, calls what has failed, as `ENOENT`; `undefined` where it has no such name. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
