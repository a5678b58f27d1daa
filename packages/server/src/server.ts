import type { Duplex } from 'node:stream';
import { getHeapStatistics } from 'node:v8';
import { type Clock, type Endpoint, type Limits, RegistryError, systemClock, type Timer } from '@reg/protocol';
import { Access } from './access/access.js';
import { Accounts } from './accounts.js';
import { Audit } from './audit.js';
import { AuditFile } from './audit-file.js';
import { Bounds } from './bounds.js';
import type { Change } from './change.js';
import { RegistryClock, Turn } from './clock.js';
import { boundsOf, type Config, checkExposure, defaultConfig, limitsOf, tlsFilesOf } from './config.js';
import type { Core, Counts } from './core.js';
import { ExpiryLoop } from './expiry.js';
import { DiskLog } from './log/disk.js';
import type { Log, LogHost } from './log/log.js';
import { MemoryLog } from './log/memory.js';
import { type Logger, silentLogger } from './logger.js';
import { Partings } from './partings.js';
import { Port } from './port.js';
import { redact } from './redact.js';
import { MAX_LEAVING, Refusals } from './refusals.js';
import { Registry } from './registry/registry.js';
import { Session } from './session.js';
import type { TlsFiles } from './tls.js';
import { VERSION } from './version.js';
import { Hub } from './watch/hub.js';

/** Anything of `Config`, and what only an embedding program can hand over. */
export interface ServerOptions extends Partial<Config> {
  /** Silent where absent. */
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** In place of the log that `storage` names. */
  readonly log?: Log;
  /** Told when the server has stopped itself because its data cannot be trusted any more. */
  readonly onFatal?: (error: Error) => void;
  /** Tells how much memory is in use, in bytes, for the bound on that. */
  readonly measureMemory?: () => number;
}

/** How long a shutdown waits for peers to take their last replies, in ms. */
const DRAIN_MS = 700;
/** How often it is looked whether somebody may do something else than before. A right that was taken is gone after so long. */
const ACCESS_CHECK_MS = 500;
const LOOK_MS = 1000;
/** How long requests are answered before everything else has its turn, in ms; see `Session`. */
const TURN_MS = 20;

/**
 * Makes a registry of its own inside this process. Nothing is opened before `listen` (or `start`).
 *
 * @throws {RegistryError} `bad_config` where limits contradict each other.
 *
 *     const server = createServer({ port: 0, storage: 'memory' });
 *     const { host, port } = await server.listen();
 *     await server.close();
 */
export function createServer(options: ServerOptions = {}): RegistryServer {
  return new RegistryServer(options);
}

/** The daemon, put together: the registry, its log, its clock, and a session for each connection. */
export class RegistryServer implements LogHost, Counts {
  readonly config: Config;
  readonly registry: Registry;
  readonly clock: RegistryClock;
  readonly logger: Logger;
  readonly #log: Log;
  readonly #onFatal: (error: Error) => void;
  readonly #limits: Limits;
  readonly #tlsFiles: TlsFiles | undefined;
  readonly #bounds: Bounds;
  /** `undefined` where nothing is bounded over all connections of a caller. */
  readonly #accounts: Accounts | undefined;
  readonly #refusals: Refusals;
  readonly #expiry: ExpiryLoop;
  readonly #partings: Partings;
  readonly #hub: Hub;
  readonly #sessions = new Set<Session>();
  /** Sessions with replies that wait, most often for the log. */
  readonly #waiting = new Set<Session>();
  #core: Core | undefined;
  #audit: Audit | undefined;
  #expired = 0;
  #starting: Promise<void> | undefined;
  #listening: Promise<Endpoint> | undefined;
  #port: Port | undefined;
  #access: Access | undefined;
  #accessTimer: Timer | undefined;
  #lookTimer: Timer | undefined;
  #onLastClosed: () => void = () => {};
  #closing: Promise<void> | undefined;

  constructor({
    logger = silentLogger(),
    clock = systemClock,
    log,
    onFatal = () => {},
    measureMemory = memoryInUse,
    ...given
  }: ServerOptions) {
    this.config = withDefaults(given);
    this.#limits = limitsOf(this.config);
    this.#tlsFiles = tlsFilesOf(this.config);
    this.#bounds = new Bounds(boundsOf(this.config), measureMemory);
    this.#refusals = new Refusals(logger);
    this.logger = logger;
    this.clock = new RegistryClock(clock);
    this.#accounts = this.#bounds.areCallersBounded ? new Accounts(this.#bounds, this.clock) : undefined;
    this.registry = new Registry(this.config.history);
    this.#log = log ?? createLog(this.config);
    this.#hub = new Hub(this.registry, this.#log, this.clock, this.#limits.maxWatches);
    this.#onFatal = onFatal;
    this.#expiry = new ExpiryLoop(this.registry, this.#log, this.#hub, this.clock, logger);
    this.#partings = new Partings(this.registry, this.#log, this.#hub, this.clock, this.#expiry);
  }

  /** Reads what is kept, and begins to expire. `listen` does it by itself. */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    if (this.#closing !== undefined) throw new RegistryError('shutting_down');
    this.#audit = await this.#openAudit();
    const { tokens } = this.config;
    if (tokens !== undefined) {
      this.#access = new Access(tokens, this.clock, this.logger, this.#audit, this.#accounts);
    }
    await this.#log.open(this);
    const { size } = this.registry;
    // An empty registry, too, may be one that has forgotten who is on the way back.
    const grace = this.#log.isNew ? 0 : this.config.grace * 1000;
    const warmUntil = this.clock.now() + grace;
    this.#core = {
      registry: this.registry,
      access: this.#access,
      log: this.#log,
      hub: this.#hub,
      clock: this.clock,
      limits: this.#limits,
      bounds: this.#bounds,
      audit: this.#audit,
      partings: this.#partings,
      counts: this,
      turn: new Turn(this.clock, TURN_MS),
      started: this.clock.wall(),
      version: VERSION,
      warmUntil,
    };
    this.#expiry.start();
    this.#partings.start(warmUntil);
    this.#hub.start(warmUntil);
    if (this.#access !== undefined) this.#checkAccess(this.#access);
    this.#look();
    const { kind, epoch, durability } = this.#log;
    this.logger.info({ log: kind, durability, epoch, instances: size, revision: this.registry.revision }, 'started');
  }

  /**
   * Accepts connections.
   *
   * @returns where, with the port that was free where 0 was asked for.
   * @throws {RegistryError} `listen_failed`, `shutting_down`, `bad_config` where others could reach it that nobody
   * knows, `access_failed`, or what `DiskLog.open` throws.
   */
  listen(): Promise<Endpoint> {
    this.#listening ??= this.#listen();
    return this.#listening;
  }

  async #listen(): Promise<Endpoint> {
    checkExposure(this.config);
    await this.start();
    if (this.#closing !== undefined) throw new RegistryError('shutting_down');
    const { host, port } = this.config;
    const { maxConnections, handshakeTimeout } = this.#bounds.values;
    const options = {
      host,
      port,
      tls: this.#tlsFiles,
      handshakeTimeout: handshakeTimeout * 1000,
      maxSockets: maxConnections + MAX_LEAVING,
      onDrop: () => this.#refusals.count(),
    };
    let endpoint: Endpoint;
    try {
      this.#port = new Port(options, this.clock, this.logger, (socket) => this.handle(socket));
      endpoint = await this.#port.open();
    } catch (error) {
      await this.close();
      throw error;
    }
    if (this.#closing !== undefined) {
      void this.#port.close();
      throw new RegistryError('shutting_down');
    }
    this.logger.info(endpoint, 'accepting connections');
    return endpoint;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#sessions.size;
  }

  /** How many instances have expired since the start. */
  get expired(): number {
    return this.#expired;
  }

  /** Serves one connection, of whatever kind. The server must have been started. */
  handle(stream: Duplex): void {
    if (this.#core === undefined) throw new Error('the server is not started');
    const handshakes = this.#port?.handshakes ?? 0;
    const refusal = this.#bounds.refuseConnection(this.#sessions.size + handshakes);
    if (refusal !== undefined) {
      this.#refusals.refuse(stream, refusal);
      return;
    }
    const session = new Session(stream, this.#core, this.logger, this.#waiting);
    this.#sessions.add(session);
    stream.on('close', () => {
      this.#sessions.delete(session);
      this.#waiting.delete(session);
      // What the daemon closes itself is not taken for dead: its clients come back to the next one.
      if (this.#closing === undefined) this.#partings.close(session.holder);
      if (this.#sessions.size === 0) this.#onLastClosed();
    });
    if (this.#closing !== undefined) session.end();
  }

  /**
   * Reads again what can be changed while it runs: who may do what, and the certificates, for connections that come from
   * now on. Where a certificate is bad that is logged, and the old one stays.
   */
  reload(): void {
    this.#access?.reload();
    for (const session of this.#sessions) session.reconsider();
    try {
      if (this.#port?.reload() !== true) return;
      this.logger.info('certificates read again');
      this.#audit?.record(undefined, 'reloaded', { reason: 'the certificates' });
    } catch (error) {
      this.logger.error({ err: error }, 'the certificates could not be reloaded: the old ones stay');
    }
  }

  /** Takes no more requests, answers those that were read, and lets go of everything. Takes less than a second. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  apply(change: Change): boolean {
    if (this.logger.isLevelEnabled('debug')) this.logger.debug(redact(change), change.kind);
    const isEffective = this.registry.apply(change);
    if (isEffective) this.#hub.take(change);
    if (isEffective && change.kind === 'expire') this.#expired += 1;
    return isEffective;
  }

  onDurable(): void {
    for (const session of this.#takeWaiting()) session.resume();
    this.#hub.flush();
  }

  onRollback(error: Error): void {
    for (const session of this.#sessions) {
      this.registry.giveBack(session.holder);
      session.dropBackup();
    }
    this.#partings.onRollback();
    this.#hub.rollBack();
    this.#audit?.record(undefined, 'undone', { revision: this.registry.revision, reason: error.message });
    for (const session of this.#takeWaiting()) session.rollBack(error);
  }

  onFatal(error: Error): void {
    this.logger.fatal({ err: error }, 'the data cannot be trusted any more: stopping');
    // Whether what they wait for was kept nobody knows, nor what is still there: nothing more is said.
    for (const session of this.#sessions) session.destroy();
    void this.close()
      .catch((failure: unknown) => this.logger.error({ err: failure }, 'stopping failed'))
      .finally(() => this.#onFatal(error));
  }

  async #close(): Promise<void> {
    await this.#starting?.catch(() => {});
    const stopped = this.#port?.close();
    for (const session of this.#sessions) session.end();
    await this.#sessionsClosed();
    for (const session of this.#sessions) session.destroy();
    this.#port?.destroy();
    this.#refusals.close();
    await stopped;
    if (this.#core !== undefined) {
      this.#partings.stop();
      this.#expiry.stop();
      this.#accessTimer?.cancel();
      this.#lookTimer?.cancel();
      await this.#log.close();
    }
    await this.#audit?.close();
    this.logger.info('stopped');
  }

  async #openAudit(): Promise<Audit | undefined> {
    const { audit: path, auditMaxBytes } = this.config;
    if (path === '') return undefined;
    if (path === 'memory') return new Audit(this.clock, undefined);
    const file = new AuditFile(path, auditMaxBytes, this.clock, this.logger);
    await file.open();
    return new Audit(this.clock, file);
  }

  /** Resolves when no session is left, or when the time for that is over. */
  #sessionsClosed(): Promise<void> {
    if (this.#sessions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.clock.after(DRAIN_MS, resolve);
      timer.ref();
      this.#onLastClosed = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** Those who wait, once each; who still has to wait puts itself back. */
  #takeWaiting(): Session[] {
    const sessions = [...this.#waiting];
    this.#waiting.clear();
    return sessions;
  }

  #checkAccess(access: Access): void {
    access.refresh();
    // Each time: a token ends by itself, too.
    for (const session of this.#sessions) session.reconsider();
    this.#accessTimer = this.clock.after(ACCESS_CHECK_MS, () => this.#checkAccess(access));
  }

  /** What is looked at once a second. */
  #look(): void {
    const wasFull = this.#bounds.isMemoryFull;
    this.#bounds.look();
    const isFull = this.#bounds.isMemoryFull;
    if (isFull && !wasFull) this.logger.warn('memory is above its bound: nothing new is registered');
    if (wasFull && !isFull) this.logger.info('memory is below its bound again');
    this.#refusals.tick();
    this.#accounts?.tick();
    const now = this.clock.now();
    for (const session of this.#sessions) session.checkStandstill(now);
    this.#hub.tick();
    this.#lookTimer = this.clock.after(LOOK_MS, () => this.#look());
  }
}

/** What objects take, on V8's heap and outside of it. Without the look at the system that `memoryUsage` takes. */
function memoryInUse(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}

/** What was said as `undefined` was not said. */
function withDefaults(given: Partial<Config>): Config {
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaultConfig(), ...Object.fromEntries(said) };
}

function createLog({ storage, dataDir, durability, grace, repair }: Config): Log {
  return storage === 'memory'
    ? new MemoryLog()
    : new DiskLog({ folder: dataDir, durability, grace: grace * 1000, repair });
}
