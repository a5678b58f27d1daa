import { type DestroyRequest, EVERY_INSTANCE, encodeReply } from '@reg/protocol';
import type { Core } from '../core.js';
import { andThen, type Eventually } from '../log/log.js';
import { endOf, type Instance } from '../registry/instance.js';
import type { Reply } from '../reply.js';

/** Ends one instance, or all of a service. That there is nothing to end is no error. */
export function destroy(request: DestroyRequest, core: Core): Eventually<Reply> {
  const { registry, log, clock } = core;
  const now = clock.now();
  const ended = registry
    .instancesOf(request.key, now)
    .filter(({ id }) => request.instance === EVERY_INSTANCE || id === request.instance);
  const removed = ended.reduce<Eventually<number>>(
    (sum, instance) =>
      andThen(sum, (count) =>
        andThen(log.propose(endOf('destroy', instance, clock.wall())), (revision) => count + Math.sign(revision)),
      ),
    0,
  );
  return andThen(removed, (count) => answer(request, core, count));
}

/** It shows the service as it now is, so it waits for the service's last change, also where it changed nothing. */
function answer({ id, key }: DestroyRequest, { registry, clock }: Core, removed: number): Reply {
  const left: Instance[] = registry.instancesOf(key, clock.now());
  const fields = `"removed":${removed},"left":${left.length}`;
  return { id, shows: registry.lastChangeOf(key), line: encodeReply(id, fields) };
}
