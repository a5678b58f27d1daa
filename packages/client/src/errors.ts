import {
  type Endpoint,
  type ErrorCode,
  formatEndpoint,
  isErrorCode,
  RegistryError,
  type RegistryErrorOptions,
} from '@reg/protocol';

/**
 * What the daemon answered instead of what was asked for, or an answer that no registry gives (`bad_reply`).
 * A code that this client does not know is `bad_reply` too; `daemonCode` and the message keep its words.
 */
export class ReplyError extends RegistryError {
  override readonly name: string = 'ReplyError';
  /** The code as the daemon wrote it; `undefined` where the reply could not be read. */
  readonly daemonCode: string | undefined;

  constructor(code: ErrorCode, message: string, daemonCode?: string, options?: RegistryErrorOptions) {
    super(code, message, options);
    this.daemonCode = daemonCode;
  }

  static ofDaemon(daemonCode: string, message: string, options?: RegistryErrorOptions): ReplyError {
    if (isErrorCode(daemonCode)) return new ReplyError(daemonCode, message, daemonCode, options);
    const told = `the daemon answered ${JSON.stringify(daemonCode)}: ${message}`;
    return new ReplyError('bad_reply', told, daemonCode, options);
  }

  /** The same failure for another of those who wait for it: each has a stack of its own. */
  copy(): ReplyError {
    const { limit, retryAfter } = this;
    return new ReplyError(this.code, this.message, this.daemonCode, { limit, retryAfter });
  }
}

/** There was no connection in time, or it broke before the reply; the cause says why. */
export class ConnectionError extends RegistryError {
  override readonly name: string = 'ConnectionError';

  private constructor(code: 'connect_failed' | 'connection_lost', message: string, cause: Error | undefined) {
    super(code, message, cause && { cause });
  }

  static failed(endpoints: readonly Endpoint[], cause: Error | undefined): ConnectionError {
    const message = `cannot connect to the daemon at ${endpoints.map(formatEndpoint).join(' or ')}${describe(cause)}`;
    return new ConnectionError('connect_failed', message, cause);
  }

  /** The request was written, and whether the daemon did it is unknown. */
  static lost(endpoint: Endpoint, cause: Error): ConnectionError {
    const message = `the connection to ${formatEndpoint(endpoint)} broke before the reply${describe(cause)}`;
    return new ConnectionError('connection_lost', message, cause);
  }
}

/**
 * No reply came in time. Whether the daemon did, or will do, what was asked is unknown. Where none has answered since
 * the connection before this one ended, the cause is why that ended.
 */
export class TimeoutError extends RegistryError {
  override readonly name: string = 'TimeoutError';

  constructor(message: string, cause?: Error) {
    super('timed_out', cause ? `${message}, and the connection before ended${describe(cause)}` : message, { cause });
  }
}

/** The caller's `AbortSignal` fired; the cause is its reason. */
export class AbortError extends RegistryError {
  override readonly name: string = 'AbortError';

  constructor(reason: unknown) {
    super('aborted', undefined, { cause: reason });
  }
}

/** The client or the registration has been closed. */
export class ClosedError extends RegistryError {
  override readonly name: string = 'ClosedError';

  constructor(message?: string) {
    super('closed', message);
  }
}

/** As many requests as `maxQueue` allows wait or are in flight already. */
export class QueueFullError extends RegistryError {
  override readonly name: string = 'QueueFullError';

  constructor(maxQueue: number) {
    super('queue_full', `${maxQueue} requests wait already`);
  }
}

/** The reason of a failure as the end of a sentence. Node gives refused dual-stack dials no message, only a code. */
function describe(cause: Error | undefined): string {
  if (!cause) return '';
  const text = cause.message || ('code' in cause && String(cause.code)) || cause.name;
  return `: ${text}`;
}

/** Where a call was made, for the error that it may end with turns of the event loop later. */
export interface Trace {
  readonly stack?: string;
}

/** Costs about a microsecond; the text is made only when somebody reads it. */
export function captureTrace(): Trace {
  const trace: Trace = {};
  Error.captureStackTrace(trace, captureTrace);
  return trace;
}

/** Gives an error the stack of the call that it belongs to, in place of that of a timer or a socket. */
export function retrace<E extends Error>(error: E, trace: Trace): E {
  const stack = trace.stack ?? '';
  const frames = stack.indexOf('\n');
  if (frames !== -1) error.stack = `${error.name}: ${error.message}${stack.slice(frames)}`;
  return error;
}

/**
 * Does what may end in a caller's listener. What that throws is thrown all the same, but where nobody catches it, and
 * after what is done next: a process that outlives the mistake of a listener keeps its connection and its heartbeats.
 */
export function detached(action: () => void): void {
  try {
    action();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
