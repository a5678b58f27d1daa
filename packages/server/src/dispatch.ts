import type { Request } from '@reg/protocol';
import type { Caller } from './caller.js';
import { ack } from './commands/ack.js';
import { acks } from './commands/acks.js';
import { audit } from './commands/audit.js';
import { auth } from './commands/auth.js';
import { backup } from './commands/backup.js';
import { destroy } from './commands/destroy.js';
import { explain } from './commands/explain.js';
import { heartbeat } from './commands/heartbeat.js';
import { hello } from './commands/hello.js';
import { ping } from './commands/ping.js';
import { query } from './commands/query.js';
import { register, renew } from './commands/register.js';
import { status } from './commands/status.js';
import { unwatch } from './commands/unwatch.js';
import { watch } from './commands/watch.js';
import type { Core } from './core.js';
import type { Eventually } from './log/log.js';
import type { Reply } from './reply.js';

type Handler<T extends Request['type']> = (
  request: Extract<Request, { readonly type: T }>,
  core: Core,
  caller: Caller,
) => Eventually<Reply>;

/** Every command, one row each. */
const COMMANDS: { readonly [T in Request['type']]: Handler<T> } = {
  register,
  query,
  destruction: destroy,
  heartbeat,
  watch,
  unwatch,
  ack,
  acks,
  explain,
  backup,
  status,
  audit,
  ping,
  hello,
  auth,
};

/**
 * The one gate: whatever door a request came by, it is carried out here. What holds for all requests, and has
 * to be decided before any of them, belongs here too.
 *
 * @throws {RegistryError} where the request cannot be carried out.
 */
export function dispatch(request: Request, core: Core, caller: Caller): Eventually<Reply> {
  // Before the right to it: what is refused costs as much as what is answered.
  core.bounds.admitRequest(caller.rates, caller.account, core.clock.latest);
  core.access?.check(request, caller);
  const handler = COMMANDS[request.type] as Handler<Request['type']>;
  return handler(request, core, caller);
}

/** Whether the reply to a line that is known still is the reply, also to this caller. If not, it is for `dispatch`. */
export function isAnswered(place: number, { registry: { known }, access, clock }: Core, caller: Caller): boolean {
  if (!known.holds(place, clock.latest)) return false;
  if (access === undefined) return true;
  const action = known.renewedBy(place) === undefined ? 'query' : 'register';
  return access.allows(action, known.serviceOf(place), caller);
}

/**
 * Carries out a line that `isAnswered`: a query has no effect, a renewal moves its deadline on.
 *
 * @throws {RegistryError} `over_limit`
 */
export function dispatchKnown(place: number, core: Core, caller: Caller): void {
  core.bounds.admitRequest(caller.rates, caller.account, core.clock.latest);
  const { known } = core.registry;
  const renewed = known.renewedBy(place);
  if (renewed !== undefined) renew(renewed, known.timeOf(place), core, caller);
}
