import {
  type AuditEvent,
  type ErrorCode,
  encodeError,
  encodeReply,
  type RegisterReply,
  type RegisterRequest,
  RegistryError,
  UNOWNED,
} from '@reg/protocol';
import type { Caller } from '../caller.js';
import type { RegisterChange } from '../change.js';
import type { Core } from '../core.js';
import type { Eventually } from '../log/log.js';
import type { Holder } from '../registry/holder.js';
import { endOf, type Instance } from '../registry/instance.js';
import type { Again } from '../registry/known-lines.js';
import type { Reply } from '../reply.js';

/**
 * Registers; updates where the same owner says something else than before; renews where only time has passed; takes
 * over where another owner may. The connection holds the instance from then on.
 */
export function register(request: RegisterRequest, core: Core, caller: Caller): Eventually<Reply> {
  const { registry, clock } = core;
  const now = clock.latest;
  const current = registry.find(request.key, request.instance);
  if (current === undefined) return registerFirst(request, core, caller);
  if (current.expiresAt <= now) {
    // It has expired, and the expiry loop has not come to it: it must not live on in what comes now.
    const ended = core.log.propose(endOf('expire', current, clock.wall()));
    if (ended instanceof Promise) return ended.then(() => register(request, core, caller));
    return registerFirst(request, core, caller);
  }
  if (current.owner !== request.owner) {
    const refusal = refusalOf(request, current);
    if (refusal !== undefined) return refuse(request, refusal, current.generation);
    admitHeld(current.holder, core, caller);
    return propose(request, core, caller, undefined, 'took_over');
  }
  if (!isSame(current, request)) {
    admitHeld(current.holder, core, caller);
    return propose(request, core, caller, current, 'updated');
  }
  renew(current, request.ttl, core, caller);
  // It is there again, also where the log takes no change now that says so.
  if (current.status !== request.status) return propose(request, core, caller, current, undefined);
  const again = request.id === undefined ? { service: current.key, renewed: current, time: request.ttl } : undefined;
  return answer(request, 'renewed', current, again);
}

/** Moves the deadline on, and has the connection hold the instance. @throws {RegistryError} `over_limit` */
export function renew(instance: Instance, ttl: number, core: Core, caller: Caller): void {
  admitHeld(instance.holder, core, caller);
  hold(instance, core, caller);
  core.registry.renew(instance, core.clock.latest + ttl);
}

/** There is none of that name, unless one is what the registrant believes it to be and was ended for good. */
function registerFirst(request: RegisterRequest, core: Core, caller: Caller): Eventually<Reply> {
  const ending = request.generation === 0 ? undefined : core.registry.endings.get(request.generation, request.owner);
  if (ending !== undefined) return refuse(request, ending.reason, ending.revision);
  core.bounds.admitInstance(core.registry.size);
  admitHeld(undefined, core, caller);
  return propose(request, core, caller, undefined, 'registered');
}

/** Why a registrant may not have what another owner has; `undefined` where it may. */
function refusalOf({ generation, takeover }: RegisterRequest, { owner, status }: Instance): ErrorCode | undefined {
  if (generation > 0) return 'superseded';
  return owner === UNOWNED || status === 'suspect' || takeover ? undefined : 'owned';
}

/** Whether a registration says nothing new, but for its time and that it is not suspect. */
function isSame({ body, linger, status }: Instance, request: RegisterRequest): boolean {
  return body === request.body && linger === request.linger && (status === request.status || status === 'suspect');
}

/**
 * @param current what it updates; `undefined` for a first registration, also one that takes another one's place.
 * @param event what is recorded of it; `undefined` where it only came back.
 * @throws {RegistryError} `over_limit`
 */
function propose(
  request: RegisterRequest,
  core: Core,
  caller: Caller,
  current: Instance | undefined,
  event: AuditEvent | undefined,
): Eventually<Reply> {
  core.bounds.admitRegistration(caller.rates, caller.account, core.clock.latest);
  const { key, instance, ttl, body, status, linger, owner } = request;
  const at = core.clock.wall();
  const change: RegisterChange = {
    kind: 'register',
    revision: 0,
    key,
    instance,
    generation: current?.generation ?? 0,
    at,
    registered: current?.registered ?? at,
    ttl,
    body,
    status,
    linger,
    owner,
    expiresAt: core.clock.latest + ttl,
  };
  const ordered = core.log.propose(change);
  if (ordered instanceof Promise) {
    return ordered.then((revision) => settle(request, core, caller, change, event, revision));
  }
  return settle(request, core, caller, change, event, ordered);
}

/**
 * What another connection of the same caller holds is one more for this connection, and none for the caller.
 *
 * @param before who holds it so far.
 * @throws {RegistryError} `over_limit` where the connection, or its caller, may hold no instance more.
 */
function admitHeld(before: Holder | undefined, { bounds }: Core, { holder, account }: Caller): void {
  if (before === holder) return;
  bounds.admitHeld(holder.held.length);
  if (account !== undefined && before?.total !== account) bounds.admitToAccount(account, 1, 0);
}

function settle(
  request: RegisterRequest,
  core: Core,
  caller: Caller,
  change: RegisterChange,
  event: AuditEvent | undefined,
  revision: number,
): Eventually<Reply> {
  // Ordered behind the end of the instance that it was to update.
  if (revision === 0) return register(request, core, caller);
  const { key, instance: name } = change;
  if (event !== undefined) core.audit?.record(caller, event, { service: key, instance: name, revision });
  const instance = core.registry.find(key, name);
  if (instance?.revision === revision) hold(instance, core, caller);
  return answer(request, change.generation === revision ? 'registered' : 'updated', change);
}

function hold(instance: Instance, { partings }: Core, { holder }: Caller): void {
  holder.hold(instance);
  // Where the order was decided elsewhere, the connection may have broken meanwhile.
  if (holder.closed !== undefined) partings.part(instance);
}

type Result = RegisterReply['result'];
type Registered = Pick<RegisterReply, 'revision' | 'generation' | 'registered'>;

function answer({ id }: RegisterRequest, result: Result, registered: Registered, again?: Again): Reply {
  const { revision, generation, registered: since } = registered;
  const fields = `"result":"${result}","revision":${revision},"generation":${generation},"registered":${since}`;
  return { id, shows: revision, line: encodeReply(id, fields), again };
}

/** @param shows the change that is the reason: while it can be undone the registrant must not believe it. */
function refuse({ id }: RegisterRequest, code: ErrorCode, shows: number): Reply {
  return { id, shows, line: encodeError(id, new RegistryError(code)) };
}
