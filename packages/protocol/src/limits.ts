/** TCP port of the daemon where none is given: "6" and the word "reg" on a telephone's keys. */
export const DEFAULT_PORT = 6734;

/** Version of the wire protocol, as `hello` tells it. It changes only where an older peer would break. */
export const PROTOCOL_VERSION = 1;

/** Seconds that a registration lives where `timeout` is absent; the article's figure. */
export const DEFAULT_TIMEOUT = 30;

/** Longest timeout in seconds: ten years of 365 days. Who wants longer wants `"never"`. */
export const MAX_TIMEOUT = 315_360_000;

/** Longest time that an instance may outlive its connection, in seconds. */
export const MAX_LINGER = 86_400;

/** Longest owner secret, in bytes of UTF-8. */
export const MAX_OWNER_BYTES = 64;

/** Longest service name or instance id, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 255;

/** Longest request id that is a string, in bytes of UTF-8. */
export const MAX_ID_BYTES = 64;

/** How deep arrays and objects may nest in a value. */
export const MAX_VALUE_DEPTH = 32;

/** Tags of one instance, and bytes of UTF-8 of each. */
export const MAX_TAGS = 64;
export const MAX_TAG_BYTES = 255;

/** Bytes of a token. */
export const MAX_TOKEN_BYTES = 256;

/** Weights are those of a DNS SRV record (RFC 2782): 16 bits, 0 for "only if there is nothing else". */
export const MAX_WEIGHT = 65_535;

/** The longest reply that any daemon can be told to send, in bytes; so long a line a client has to take. */
export const MAX_REPLY_BYTES = 256 * 1024 * 1024;

/** What a daemon can be told to take; `hello` tells what it was told. Bytes are those of UTF-8. */
export interface Limits {
  /** One request line without its ending. */
  readonly maxLineBytes: number;
  /** `values`, as compact JSON. */
  readonly maxValueBytes: number;
  /** `meta`, as compact JSON. */
  readonly maxMetaBytes: number;
  /** One reply line. A larger one is refused with `too_large`; `limit` and `after` page through it. */
  readonly maxReplyBytes: number;
  /** Watches of all connections together. */
  readonly maxWatches: number;
}

export const DEFAULT_LIMITS: Limits = {
  maxLineBytes: 128 * 1024,
  maxValueBytes: 64 * 1024,
  maxMetaBytes: 16 * 1024,
  maxReplyBytes: 16 * 1024 * 1024,
  maxWatches: 50_000,
};

/** The limits that are part of the protocol, as `hello` tells them. */
export const WIRE_LIMITS = {
  maxNameBytes: MAX_NAME_BYTES,
  maxTags: MAX_TAGS,
  maxTagBytes: MAX_TAG_BYTES,
  maxValueDepth: MAX_VALUE_DEPTH,
  maxTimeout: MAX_TIMEOUT,
  maxLinger: MAX_LINGER,
  maxOwnerBytes: MAX_OWNER_BYTES,
} as const;
