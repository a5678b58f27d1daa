import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import {
  DEFAULT_LIMITS,
  DEFAULT_PORT,
  type Durability,
  isLoopback,
  isObject,
  type Limits,
  MAX_REPLY_BYTES,
  RegistryError,
} from '@reg/protocol';
import envPaths from 'env-paths';
import { type BoundValues, CALLER_BOUNDS } from './bounds.js';
import type { TlsFiles } from './tls.js';

/** Everything that a daemon can be told. */
export interface Config extends Limits, BoundValues {
  /** Address to listen on. */
  readonly host: string;
  /** TCP port; 0 for any that is free. */
  readonly port: number;
  readonly storage: 'disk' | 'memory';
  readonly dataDir: string;
  readonly durability: Durability;
  /** Seconds that every instance has left at least after a restart. Below what clients take to reconnect, a
   * restart ends the living; far above, it keeps the dead. */
  readonly grace: number;
  /** How many changes are held for watchers that were away. */
  readonly history: number;
  /** Keeps what can be read of damaged data, and sets the rest aside. */
  readonly repair: boolean;
  /** Files in PEM; with a certificate and its key the port speaks TLS. */
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  /** Who signs the certificates of clients, which then have to have one. */
  readonly tlsCa: string | undefined;
  /** The file that is told who changed what, `memory` for the latest of that only, empty for none. */
  readonly audit: string;
  /** Size at which another file is begun, in bytes. */
  readonly auditMaxBytes: number;
  readonly logLevel: LogLevel;
  /** The file of tokens; `undefined` where nobody has to authenticate. */
  readonly tokens: string | undefined;
  /** Listens where other machines can connect though nobody has to authenticate. */
  readonly insecure: boolean;
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

/** One row per option: how it is written in each place, and how a text becomes its value. */
interface Option<T> {
  /** The flag of `regctl serve`, with its argument where it takes one. */
  readonly flag: string;
  readonly env: string;
  readonly help: string;
  readonly initial: T;
  /** @returns the value, or `undefined` where the text or JSON value is none. */
  readonly parse: (given: unknown) => T | undefined;
  /** What `parse` takes, for the error message. */
  readonly form: string;
  /** All that `parse` takes, where that is a few words. */
  readonly choices?: readonly string[];
}

/** Those of the platform. */
const FOLDERS = envPaths('reg', { suffix: '' });

export const OPTIONS: { readonly [K in keyof Config]: Option<Config[K]> } = {
  host: text('--host <address>', 'REG_HOST', 'address to listen on', '127.0.0.1'),
  port: count('--port <number>', 'REG_PORT', 'TCP port, 0 for any that is free', DEFAULT_PORT, 0, 65_535),
  storage: choice('--storage <kind>', 'REG_STORAGE', 'where registrations are kept', 'disk', ['disk', 'memory']),
  dataDir: text('--data-dir <folder>', 'REG_DATA_DIR', 'the data folder', FOLDERS.data),
  durability: choice(
    '--durability <mode>',
    'REG_DURABILITY',
    'when a reply may leave: when it is on disk, or before that',
    'always',
    ['always', 'everysec', 'no'],
  ),
  grace: seconds('--grace <seconds>', 'REG_GRACE', 'what each instance has left at least after a restart', 15),
  history: count('--history <changes>', 'REG_HISTORY', 'latest changes held in memory', 10_000, 1, 10_000_000),
  repair: flag('--repair', 'REG_REPAIR', 'keep what can be read of damaged data, set the rest aside'),
  maxLineBytes: count(
    '--max-line-bytes <n>',
    'REG_MAX_LINE_BYTES',
    'longest request line, in bytes',
    DEFAULT_LIMITS.maxLineBytes,
    1024,
    16_777_216,
  ),
  maxValueBytes: count(
    '--max-value-bytes <n>',
    'REG_MAX_VALUE_BYTES',
    'largest value, in bytes of JSON',
    DEFAULT_LIMITS.maxValueBytes,
    1,
    16_777_216,
  ),
  maxMetaBytes: count(
    '--max-meta-bytes <n>',
    'REG_MAX_META_BYTES',
    'largest metadata, in bytes of JSON',
    DEFAULT_LIMITS.maxMetaBytes,
    2,
    16_777_216,
  ),
  maxReplyBytes: count(
    '--max-reply-bytes <n>',
    'REG_MAX_REPLY_BYTES',
    'longest reply, in bytes',
    DEFAULT_LIMITS.maxReplyBytes,
    65_536,
    MAX_REPLY_BYTES,
  ),
  maxWatches: count(
    '--max-watches <n>',
    'REG_MAX_WATCHES',
    'watches of all connections together',
    DEFAULT_LIMITS.maxWatches,
    0,
    10_000_000,
  ),
  tlsCert: file('--tls-cert <file>', 'REG_TLS_CERT', 'certificate of the port, which speaks TLS then'),
  tlsKey: file('--tls-key <file>', 'REG_TLS_KEY', 'its private key'),
  tlsCa: file('--tls-ca <file>', 'REG_TLS_CA', 'who signs the certificates that clients have to have'),
  handshakeTimeout: seconds(
    '--handshake-timeout <seconds>',
    'REG_HANDSHAKE_TIMEOUT',
    'what a TLS handshake may take, and after that authenticating, where it is required; 0 for ever',
    10,
  ),
  maxConnections: bound('--max-connections <n>', 'REG_MAX_CONNECTIONS', 'connections at a time', 50_000),
  maxInstances: bound('--max-instances <n>', 'REG_MAX_INSTANCES', 'instances of all services together'),
  maxMemory: bound(
    '--max-memory <bytes>',
    'REG_MAX_MEMORY',
    'memory above which nothing new is registered, by default nine tenths of what Node.js takes',
    Math.floor(getHeapStatistics().heap_size_limit * 0.9),
  ),
  maxRegistrations: bound('--max-registrations <n>', 'REG_MAX_REGISTRATIONS', 'instances that a connection may hold'),
  maxWatchesPerConnection: bound(
    '--max-watches-per-connection <n>',
    'REG_MAX_WATCHES_PER_CONNECTION',
    'watches of one connection',
  ),
  maxRequestsPerSecond: bound(
    '--max-requests-per-second <n>',
    'REG_MAX_REQUESTS_PER_SECOND',
    'requests of one connection in a second',
  ),
  maxRegistrationsPerSecond: bound(
    '--max-registrations-per-second <n>',
    'REG_MAX_REGISTRATIONS_PER_SECOND',
    'registrations of one connection in a second, renewals apart',
  ),
  maxRegistrationsPerCaller: bound(
    '--max-registrations-per-caller <n>',
    'REG_MAX_REGISTRATIONS_PER_CALLER',
    'instances that all connections of one caller may hold',
  ),
  maxWatchesPerCaller: bound(
    '--max-watches-per-caller <n>',
    'REG_MAX_WATCHES_PER_CALLER',
    'watches of all connections of one caller',
  ),
  maxRequestsPerSecondPerCaller: bound(
    '--max-requests-per-second-per-caller <n>',
    'REG_MAX_REQUESTS_PER_SECOND_PER_CALLER',
    'requests of all connections of one caller in a second',
  ),
  maxRegistrationsPerSecondPerCaller: bound(
    '--max-registrations-per-second-per-caller <n>',
    'REG_MAX_REGISTRATIONS_PER_SECOND_PER_CALLER',
    'registrations of all connections of one caller in a second, renewals apart',
  ),
  idleTimeout: seconds(
    '--idle-timeout <seconds>',
    'REG_IDLE_TIMEOUT',
    'how long a connection may say nothing that holds and watches nothing; 0 for ever',
    0,
  ),
  audit: optional('--audit <file>', 'REG_AUDIT', 'file that is told who changed what; "memory" for the latest only'),
  auditMaxBytes: count(
    '--audit-max-bytes <n>',
    'REG_AUDIT_MAX_BYTES',
    'size at which another audit file is begun; six are kept',
    64 * 1024 * 1024,
    65_536,
    1_099_511_627_776,
  ),
  logLevel: choice('--log-level <level>', 'REG_LOG_LEVEL', 'least severe entries that are logged', 'info', LOG_LEVELS),
  tokens: file('--tokens <file>', 'REG_TOKENS', 'the file of tokens; with it callers have to authenticate'),
  insecure: flag('--insecure', 'REG_INSECURE', 'let other machines connect though nobody has to authenticate'),
};

/** Where tokens are created unless another file is named. The daemon reads none unless it is told to. */
export const DEFAULT_TOKENS_FILE = join(FOLDERS.config, 'tokens.json');

/** What a record has at most beside its value and its metadata: names, tags, all escaped, and digits. */
const RECORD_BYTES = 128 * 1024;
/** What a register has beside its value and its metadata at least. */
const REGISTER_BYTES = 256;

/**
 * The limits of a configuration.
 *
 * @throws {RegistryError} `bad_config` where they contradict each other: what is registered must fit a reply.
 */
export function limitsOf({ maxLineBytes, maxValueBytes, maxMetaBytes, maxReplyBytes, maxWatches }: Config): Limits {
  const content = maxValueBytes + maxMetaBytes;
  if (maxReplyBytes < content + RECORD_BYTES) {
    const least = `maxValueBytes, maxMetaBytes and ${RECORD_BYTES}`;
    throw new RegistryError(
      'bad_config',
      `maxReplyBytes must be at least the sum of ${least}: ${content + RECORD_BYTES}`,
    );
  }
  if (maxLineBytes < content + REGISTER_BYTES) {
    const least = `maxValueBytes, maxMetaBytes and ${REGISTER_BYTES}`;
    throw new RegistryError(
      'bad_config',
      `maxLineBytes must be at least the sum of ${least}: ${content + REGISTER_BYTES}`,
    );
  }
  return { maxLineBytes, maxValueBytes, maxMetaBytes, maxReplyBytes, maxWatches };
}

/**
 * Sees to it that nobody exposes a registry without meaning to: whoever can register a service owns it.
 *
 * @throws {RegistryError} `bad_config` where other machines could connect, and would not have to authenticate.
 */
export function checkExposure({ host, tokens, tlsCa, insecure }: Config): void {
  if (tokens !== undefined || tlsCa !== undefined || insecure || isLoopback(host)) return;
  throw new RegistryError(
    'bad_config',
    `other machines can reach ${host}, and whoever can connect could read and change everything that is registered: ` +
      'have callers authenticate, with --tokens or --tls-ca, or accept that, with --insecure',
  );
}

/**
 * The files for TLS; `undefined` where the port is without it.
 *
 * @throws {RegistryError} `bad_config` where one is missing: half of what it needs must not mean none of it.
 */
export function tlsFilesOf({ tlsCert: cert, tlsKey: key, tlsCa: ca }: Config): TlsFiles | undefined {
  if (cert !== undefined && key !== undefined) return { cert, key, ca };
  if (cert === undefined && key === undefined && ca === undefined) return undefined;
  throw new RegistryError('bad_config', 'TLS needs both tlsCert and tlsKey');
}

/**
 * The bounds of a configuration, in which 0 stands for none.
 *
 * @throws {RegistryError} `bad_config` where something of each caller is bounded, and nobody has to say who they are: it
 * would bound nothing.
 */
export function boundsOf(config: Config): BoundValues {
  const perCaller = CALLER_BOUNDS.find((name) => config[name] > 0);
  if (perCaller !== undefined && config.tokens === undefined) {
    throw new RegistryError('bad_config', `${perCaller} needs tokens: without, nobody knows who a caller is`);
  }
  return {
    maxConnections: config.maxConnections || Number.POSITIVE_INFINITY,
    maxInstances: config.maxInstances || Number.POSITIVE_INFINITY,
    maxMemory: config.maxMemory || Number.POSITIVE_INFINITY,
    maxRegistrations: config.maxRegistrations || Number.POSITIVE_INFINITY,
    maxWatchesPerConnection: config.maxWatchesPerConnection || Number.POSITIVE_INFINITY,
    maxRequestsPerSecond: config.maxRequestsPerSecond || Number.POSITIVE_INFINITY,
    maxRegistrationsPerSecond: config.maxRegistrationsPerSecond || Number.POSITIVE_INFINITY,
    maxRegistrationsPerCaller: config.maxRegistrationsPerCaller || Number.POSITIVE_INFINITY,
    maxWatchesPerCaller: config.maxWatchesPerCaller || Number.POSITIVE_INFINITY,
    maxRequestsPerSecondPerCaller: config.maxRequestsPerSecondPerCaller || Number.POSITIVE_INFINITY,
    maxRegistrationsPerSecondPerCaller: config.maxRegistrationsPerSecondPerCaller || Number.POSITIVE_INFINITY,
    idleTimeout: config.idleTimeout || Number.POSITIVE_INFINITY,
    handshakeTimeout: config.handshakeTimeout || Number.POSITIVE_INFINITY,
  };
}

type OptionName = keyof Config;
const NAMES = Object.keys(OPTIONS) as OptionName[];

/** Where options come from, strongest first. Names are those of `Config`. */
export interface ConfigSources {
  /** What the command line said. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A JSON file with an object of options, or else what REG_CONFIG names; it must be there if it is named. */
  readonly file: string | undefined;
}

/** The defaults. */
export function defaultConfig(): Config {
  return Object.fromEntries(NAMES.map((name) => [name, OPTIONS[name].initial])) as unknown as Config;
}

/**
 * Puts the configuration together: flags before environment before file before defaults.
 *
 * @throws {RegistryError} `bad_config`, naming the option, where it was said, and what it takes.
 */
export function resolveConfig({ flags, env, file = env['REG_CONFIG'] || undefined }: ConfigSources): Config {
  const fromFile = file === undefined ? {} : readFile(file);
  const resolved = NAMES.map((name) => {
    const option: Option<unknown> = OPTIONS[name];
    const long = option.flag.split(' ')[0] ?? '';
    const given =
      first(flags[name], long) ?? first(env[option.env], option.env) ?? first(fromFile[name], `"${name}" in ${file}`);
    return [name, given === undefined ? option.initial : parse(option, given)];
  });
  return Object.fromEntries(resolved) as unknown as Config;
}

interface Given {
  readonly value: unknown;
  readonly where: string;
}

function first(value: unknown, where: string): Given | undefined {
  return value === undefined ? undefined : { value, where };
}

function parse(option: Option<unknown>, { value, where }: Given): unknown {
  const parsed = option.parse(value);
  if (parsed !== undefined) return parsed;
  throw new RegistryError('bad_config', `${where} is ${JSON.stringify(value)}: it must be ${option.form}`);
}

function readFile(path: string): Readonly<Record<string, unknown>> {
  if (!existsSync(path)) throw new RegistryError('bad_config', `there is no configuration file ${path}`);
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new RegistryError('bad_config', `${path} is not JSON: ${String(cause)}`, { cause });
  }
  if (!isObject(content)) throw new RegistryError('bad_config', `${path} must hold a JSON object of options`);
  const stranger = Object.keys(content).find((name) => !Object.hasOwn(OPTIONS, name));
  if (stranger !== undefined) {
    throw new RegistryError(
      'bad_config',
      `${path} has "${stranger}", which is no option; options are ${NAMES.join(', ')}`,
    );
  }
  return content;
}

function text(flag: string, env: string, help: string, initial: string): Option<string> {
  return {
    flag,
    env,
    help,
    initial,
    form: 'a text',
    parse: (given) => (typeof given === 'string' && given !== '' ? given : undefined),
  };
}

function file(flag: string, env: string, help: string): Option<string | undefined> {
  const { parse, form } = text(flag, env, help, '');
  return { flag, env, help, initial: undefined, form, parse };
}

/** A text that may be empty, for none. */
function optional(flag: string, env: string, help: string): Option<string> {
  const parseOptional = (given: unknown): string | undefined => (typeof given === 'string' ? given : undefined);
  return { flag, env, help, initial: '', form: 'a text', parse: parseOptional };
}

/** How much there may be of something; 0 where that is not bounded. */
function bound(flag: string, env: string, help: string, initial = 0): Option<number> {
  return count(flag, env, `${help}; 0 for any number`, initial, 0, Number.MAX_SAFE_INTEGER);
}

function count(flag: string, env: string, help: string, initial: number, least: number, most: number): Option<number> {
  const form = `a whole number from ${least} to ${most}`;
  const parseCount = (given: unknown): number | undefined => {
    const number = typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : given;
    return Number.isSafeInteger(number) && (number as number) >= least && (number as number) <= most
      ? (number as number)
      : undefined;
  };
  return { flag, env, help, initial, form, parse: parseCount };
}

function seconds(flag: string, env: string, help: string, initial: number): Option<number> {
  const parseSeconds = (given: unknown): number | undefined => {
    const number = typeof given === 'string' && /^\d+(\.\d+)?$/.test(given) ? Number(given) : given;
    return typeof number === 'number' && number >= 0 && number <= 86_400 ? number : undefined;
  };
  return { flag, env, help, initial, form: 'seconds from 0 to 86400', parse: parseSeconds };
}

function choice<T extends string>(
  flag: string,
  env: string,
  help: string,
  initial: T,
  choices: readonly T[],
): Option<T> {
  const form = `one of ${choices.join(', ')}`;
  return {
    flag,
    env,
    help,
    initial,
    form,
    choices,
    parse: (given) => choices.find((known) => known === given),
  };
}

function flag(name: string, env: string, help: string): Option<boolean> {
  const parseFlag = (given: unknown): boolean | undefined => {
    if (given === true || given === 'true' || given === '1') return true;
    return given === false || given === 'false' || given === '0' ? false : undefined;
  };
  return { flag: name, env, help, initial: false, form: 'true or false', parse: parseFlag };
}
