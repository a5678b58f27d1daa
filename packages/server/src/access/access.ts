import { statSync } from 'node:fs';
import { ALL, RegistryError, type Request, RequestError, type Scope } from '@reg/protocol';
import type { Accounts } from '../accounts.js';
import type { Audit } from '../audit.js';
import type { Caller } from '../caller.js';
import type { RegistryClock } from '../clock.js';
import type { Logger } from '../logger.js';
import type { Sight } from '../registry/selection.js';
import { readEntries } from './file.js';
import { type NamedAction, NOTHING } from './rules.js';
import { Throttle } from './throttle.js';
import { Entries, type Identity, isInForce, type Known } from './tokens.js';

/** What each request needs: a right on the service that it names, `admin`, to be known, or nothing at all. */
const NEEDS: { readonly [T in Request['type']]: NamedAction | 'admin' | 'identity' | 'nothing' } = {
  register: 'register',
  destruction: 'register',
  query: 'query',
  explain: 'query',
  watch: 'watch',
  acks: 'watch',
  status: 'admin',
  audit: 'admin',
  backup: 'admin',
  // These are about the connection that they come on: what it may not do, it holds and watches nothing of.
  heartbeat: 'identity',
  unwatch: 'identity',
  ack: 'identity',
  ping: 'identity',
  hello: 'nothing',
  auth: 'nothing',
};

/** Within so many ms one denial of a connection is recorded: the record is bounded, and what floods it hides the rest. */
const DENIALS_MS = 1000;
/** Stands for everybody who is not known: connections cost them nothing, so that all of theirs count as one. */
const STRANGERS = {};

/**
 * Who may do what, where authentication is required. It says who a caller is, and decides about each request before it
 * is carried out. What a caller may do follows the file of tokens within half a second, on open connections too.
 */
export class Access {
  readonly #path: string;
  readonly #clock: RegistryClock;
  readonly #logger: Logger;
  readonly #audit: Audit | undefined;
  readonly #accounts: Accounts | undefined;
  /** Registry time of the last denial on each connection that was recorded. */
  readonly #denied = new WeakMap<object, number>();
  readonly #throttle: Throttle;
  #entries: Entries;
  /** What tells this file from one that has taken its place. */
  #stamp: string;

  /**
   * @param accounts `undefined` where nothing is bounded over all connections of a caller.
   * @throws {RegistryError} `access_failed` where the file cannot be used.
   */
  constructor(
    path: string,
    clock: RegistryClock,
    logger: Logger,
    audit: Audit | undefined,
    accounts: Accounts | undefined,
  ) {
    this.#path = path;
    this.#clock = clock;
    this.#logger = logger;
    this.#audit = audit;
    this.#accounts = accounts;
    this.#throttle = new Throttle(clock);
    // Before it is read: what is written meanwhile is read again.
    this.#stamp = stampOf(path);
    this.#entries = new Entries(readEntries(path));
  }

  /**
   * The gate. Of a request about many services, what the caller may not see is left out later: see `sight`.
   *
   * @throws {RegistryError} `unauthenticated`, or `forbidden`, saying which right is missing.
   */
  check(request: Request, caller: Caller): void {
    const need = NEEDS[request.type];
    if (need === 'nothing') return;
    const { identity } = caller;
    if (identity === undefined) throw this.#deny(unauthenticated(), request, caller);
    if (need === 'identity') return;
    if (need === 'admin') {
      if (identity.rights.isAdmin) return;
      throw this.#deny(new RegistryError('forbidden', `${identity.name} is no admin`), request, caller);
    }
    const service = serviceOf(request);
    if (service === undefined || identity.rights.allows(need, service)) return;
    throw this.#deny(forbidden(identity, need, service), request, caller);
  }

  /** Whether a caller may do this to a service. Who may not is told why by `check`. */
  allows(action: NamedAction, service: string, { identity }: Caller): boolean {
    return identity?.rights.allows(action, service) ?? false;
  }

  /** Which services a caller may do this to; `undefined` for all. */
  sight(action: NamedAction, { identity }: Caller): Sight | undefined {
    return identity === undefined ? NOTHING : identity.rights.sight(action);
  }

  /** What to answer in place of what is wrong with a line: who is not known is not told what is right. */
  veil(error: RequestError, { identity }: Caller): RequestError {
    if (identity !== undefined) return error;
    return new RequestError('unauthenticated', unauthenticated().message, error.id);
  }

  /**
   * Makes a caller the one whose token it is.
   *
   * @throws {RegistryError} `throttled`, or `unauthenticated`, or `over_limit` where its connection holds or watches more
   * than who it would be may; the caller then stays who it was.
   */
  authenticate(token: string, caller: Caller): Identity {
    const identity = this.#verify(token, caller);
    this.#admit(caller, identity, 'with a token');
    return identity;
  }

  /** @throws {RegistryError} `throttled`, or `unauthenticated` */
  #verify(token: string, caller: Caller): Identity {
    const wait = this.#throttle.wait(caller);
    if (wait > 0) {
      throw new RegistryError('throttled', undefined, { limit: 'auth', retryAfter: Math.ceil(wait / 1000) });
    }
    try {
      const known = this.#entries.find(token);
      if (known === undefined) throw new RegistryError('unauthenticated', 'the token is not valid');
      this.#requireInForce(known);
      return known.identity;
    } catch (error) {
      this.#throttle.fail(caller);
      const reason = error instanceof Error ? error.message : String(error);
      this.#audit?.record(caller, 'auth_failed', { reason });
      throw error;
    }
  }

  /** Makes a caller the one whose certificate it is, where the file has its name. That has to be verified. */
  recognise(name: string, caller: Caller): void {
    const known = this.#entries.findCertificate(name);
    if (known !== undefined) this.#admit(caller, known.identity, 'with a certificate');
  }

  /** The connection is over: it counts for nobody any more. */
  leave(caller: Caller): void {
    this.#accounts?.move(caller, undefined);
  }

  /** Reads the file again, if it is another one. One that cannot be used changes nothing, and is logged once. */
  refresh(): void {
    const stamp = stampOf(this.#path);
    if (stamp !== this.#stamp) this.reload(stamp);
  }

  reload(stamp = stampOf(this.#path)): void {
    this.#stamp = stamp;
    try {
      this.#entries = new Entries(readEntries(this.#path), this.#entries);
      this.#logger.info({ file: this.#path }, 'tokens read again');
      this.#audit?.record(undefined, 'reloaded', { reason: 'the tokens' });
    } catch (error) {
      this.#logger.error({ err: error }, 'the tokens cannot be read again: those from before stay in force');
    }
  }

  /** Gives a caller what its entry says now: nothing, where it is gone, revoked, or its time is over. */
  reconsider(caller: Caller): void {
    const { identity } = caller;
    if (identity === undefined) return;
    const known = this.#entries.get(identity.id);
    const isProved = known?.identity.proof === identity.proof && isInForce(known, this.#clock.wall());
    if (!isProved) this.#audit?.record(caller, 'revoked', { reason: endOf(identity, known) });
    this.#become(caller, isProved ? known.identity : undefined);
  }

  /** Records a denial, but only one a second of a connection, or of all that nobody is known on. @returns the error. */
  #deny(error: RegistryError, request: Request, caller: Caller): RegistryError {
    if (this.#audit === undefined) return error;
    const now = this.#clock.now();
    const asker = caller.identity === undefined ? STRANGERS : caller;
    if (now - (this.#denied.get(asker) ?? Number.NEGATIVE_INFINITY) < DENIALS_MS) return error;
    this.#denied.set(asker, now);
    const service = serviceOf(request);
    const reason = `${request.type}: ${error.code}`;
    this.#audit.record(caller, 'denied', { ...(service === undefined ? {} : { service }), reason });
    return error;
  }

  /** Who proves once more who it is anyway is no news. */
  #admit(caller: Caller, identity: Identity, how: string): void {
    if (caller.identity === identity) return;
    this.#become(caller, identity);
    this.#audit?.record(caller, 'authenticated', { reason: how });
  }

  #requireInForce(known: Known): void {
    if (isInForce(known, this.#clock.wall())) return;
    // It was the right secret: who has it may know.
    const what = known.revoked === undefined ? 'has expired' : 'was revoked';
    throw new RegistryError('unauthenticated', `the token of ${known.identity.name} ${what}`);
  }

  #become(caller: Caller, identity: Identity | undefined): void {
    if (caller.identity === identity) return;
    this.#accounts?.move(caller, identity?.id);
    caller.identity = identity;
    caller.feed.regard(this.sight('watch', caller), (scope) => refusalOf(scope, identity));
  }
}

/** Why somebody is not known any more, by what their entry says now. */
function endOf({ proof }: Identity, known: Known | undefined): string {
  if (known?.identity.proof !== proof) return 'its entry is gone';
  return known.revoked === undefined ? 'it has expired' : 'it was revoked';
}

/** Why a watch of this scope would be refused; `undefined` where it would not. */
function refusalOf(scope: Scope, identity: Identity | undefined): RegistryError | undefined {
  if (identity === undefined) return unauthenticated();
  if (!('service' in scope) || identity.rights.allows('watch', scope.service)) return undefined;
  return forbidden(identity, 'watch', scope.service);
}

/** The service that a request is about; `undefined` where it is about several, or none. */
function serviceOf(request: Request): string | undefined {
  if (request.type === 'watch') return 'service' in request.scope ? request.scope.service : undefined;
  return 'key' in request && request.key !== ALL ? request.key : undefined;
}

function unauthenticated(): RegistryError {
  return new RegistryError('unauthenticated', 'authenticate first, with {"type":"auth","token":…}');
}

function forbidden({ name }: Identity, action: NamedAction, service: string): RegistryError {
  return new RegistryError('forbidden', `${name} has no right to ${action} ${JSON.stringify(service)}`);
}

/** Changes with the file; empty where it cannot be looked at. */
function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    return '';
  }
}
