/** What is to be registered, as people type it. */

import type { Json, Labels, Timeout } from '@reg/client';
import { MAX_LINGER, type OwnStatus, parseTimeout, RegistryError } from '@reg/protocol';
import { parseDuration } from './duration.js';
import { CommandError } from './errors.js';
import { readInstance, readKey } from './names.js';

/** As the command line has it; texts are not read yet. */
export interface WantedArguments {
  readonly key: string;
  readonly values: string;
  readonly ttl?: string;
  readonly linger?: string;
  readonly takeover?: boolean;
  /** Commander has seen to it that it is one. */
  readonly status?: OwnStatus;
  readonly instance?: string;
  readonly tag?: readonly string[];
  /** Each `name=text`. */
  readonly meta?: readonly string[];
  readonly weight?: string;
  /** `values` is JSON; otherwise it is the value itself. */
  readonly jsonValue?: boolean;
}

/** With everything read and checked as far as that needs no daemon. */
export interface Wanted {
  readonly key: string;
  readonly instance: string | undefined;
  readonly values: Json;
  readonly ttl: Timeout;
  /** Seconds that it outlives its connection; `null` where it is to be bound to none. */
  readonly linger: number | null | undefined;
  readonly takeover: boolean;
  readonly status: OwnStatus | undefined;
  readonly labels: Labels;
}

/** @throws {RegistryError | CommandError} saying what is wrong with which of them. */
export function readWanted(given: WantedArguments): Wanted {
  return {
    key: readKey(given.key),
    instance: readInstance(given.instance),
    values: given.jsonValue ? readJson(given.values) : given.values,
    ttl: readTtl(given.ttl),
    linger: given.linger === undefined ? undefined : readLinger(given.linger),
    takeover: given.takeover === true,
    status: given.status,
    labels: readLabels(given),
  };
}

function readJson(text: string): Json {
  try {
    // JSON.parse makes Infinity of 1e999, and what is sent would be null.
    return JSON.parse(text, (_, value) => {
      if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
        throw new RangeError('a number is beyond the range of a double');
      }
      return value;
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError('usage', `with --json-value the value must be JSON: ${reason}`, { cause });
  }
}

function readTtl(text: string | undefined): Timeout {
  try {
    return parseTimeout(text === undefined ? undefined : inSeconds(text));
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    const message = `--ttl must be a time above 0 and at most ten years, such as 30, 500ms or 2m, or never, not "${text}"`;
    throw new RegistryError(error.code, message, { cause: error });
  }
}

function readLinger(text: string): number | null {
  if (text === 'none') return null;
  const ms = parseDuration(text);
  if (ms !== undefined && ms <= MAX_LINGER * 1000) return ms / 1000;
  const message = `--linger must be a time of at most a day, such as 2, 500ms or 1m, or none, not "${text}"`;
  throw new RegistryError('invalid_linger', message);
}

/** Seconds are what the wire takes, and plain ones are left as they were typed. */
function inSeconds(text: string): string | number {
  const ms = parseDuration(text);
  return ms === undefined || /\d$/.test(text) ? text : ms / 1000;
}

function readLabels({ tag, meta, weight }: WantedArguments): Labels {
  return {
    ...(tag && { tags: tag }),
    ...(meta && { meta: readMeta(meta) }),
    ...(weight !== undefined && { weight: readWeight(weight) }),
  };
}

/** @param pairs each `name=text`. */
export function readMeta(pairs: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(pairs.map(readPair));
}

function readPair(pair: string): [string, string] {
  const end = pair.indexOf('=');
  if (end < 1) throw new CommandError('usage', `--meta must be name=text, such as zone=eu-1, not "${pair}"`);
  return [pair.slice(0, end), pair.slice(end + 1)];
}

function readWeight(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new CommandError('usage', `--weight must be a whole number from 0 to 65535, not "${text}"`);
}
