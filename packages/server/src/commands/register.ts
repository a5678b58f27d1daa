import { encodeReply, type RegisterReply, type RegisterRequest } from '@reg/protocol';
import type { RegisterChange } from '../change.js';
import type { Core } from '../core.js';
import { andThen, type Eventually } from '../log/log.js';
import { endOf, type Instance } from '../registry/instance.js';
import type { Reply } from '../reply.js';

/** Registers, updates where the content is other than what is there, or renews where only time has passed. */
export function register(request: RegisterRequest, core: Core): Eventually<Reply> {
  const { registry, clock } = core;
  const now = clock.now();
  const current = registry.find(request.key, request.instance);
  if (current === undefined) return propose(request, core, undefined, now);
  if (current.expiresAt <= now) {
    // It has expired, and the expiry loop has not come to it: it must not live on in what comes now.
    const ended = core.log.propose(endOf('expire', current, clock.wall()));
    return andThen(ended, () => propose(request, core, undefined, now));
  }
  if (current.body !== request.body) return propose(request, core, current, now);
  registry.renew(current, now + request.ttl);
  return answer(request, 'renewed', current);
}

function propose(request: RegisterRequest, core: Core, current: Instance | undefined, now: number): Eventually<Reply> {
  const { key, instance, ttl, body } = request;
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
    expiresAt: now + ttl,
  };
  return andThen(core.log.propose(change), (revision) => {
    // Ordered behind the end of the instance that it was to update: then it is a first registration.
    if (revision === 0) return propose(request, core, undefined, now);
    return answer(request, current === undefined ? 'registered' : 'updated', change);
  });
}

function answer(
  request: RegisterRequest,
  result: RegisterReply['result'],
  { revision, generation, registered }: Omit<RegisterReply, 'result'>,
): Reply {
  const fields = `"result":"${result}","revision":${revision},"generation":${generation},"registered":${registered}`;
  return { id: request.id, shows: revision, line: encodeReply(request.id, fields) };
}
