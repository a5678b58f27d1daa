import { type DestroyRequest, EVERY_INSTANCE, encodeReply, UNOWNED } from '@reg/protocol';
import type { Caller } from '../caller.js';
import type { Core } from '../core.js';
import { andThen, type Eventually } from '../log/log.js';
import { endOf, type Instance } from '../registry/instance.js';
import type { Reply } from '../reply.js';

/**
 * Ends one instance, or all of a service; only those of one owner, where that is named. That there is nothing to end
 * is no error. All are ended in one turn, so that nobody sees half of it; for a service of very many instances that
 * takes long.
 */
export function destroy(request: DestroyRequest, core: Core, caller: Caller): Eventually<Reply> {
  const { log, clock } = core;
  let removed: Eventually<number> = 0;
  let last = 0;
  for (const instance of instancesToEnd(request, core)) {
    const revision = log.propose(endOf('destroy', instance, clock.wall()));
    removed = andThen(removed, (count) =>
      andThen(revision, (ordered) => {
        if (ordered === 0) return count;
        caller.holder.silence(ordered);
        last = ordered;
        return count + 1;
      }),
    );
  }
  return andThen(removed, (count) => {
    if (count > 0) record(request, core, caller, last);
    return answer(request, core, count);
  });
}

/** One entry for all that it ended, however many those are. */
function record({ key, instance }: DestroyRequest, { audit }: Core, caller: Caller, revision: number): void {
  audit?.record(caller, 'destroyed', { service: key, instance, revision });
}

function instancesToEnd({ key, instance: id, owner }: DestroyRequest, { registry, clock }: Core): Instance[] {
  const now = clock.now();
  const named = registry.find(key, id);
  const candidates = id === EVERY_INSTANCE ? [...registry.instancesOf(key)] : named === undefined ? [] : [named];
  return candidates.filter((instance) => instance.expiresAt > now && (owner === UNOWNED || instance.owner === owner));
}

/** It shows the service as it now is, so it waits for the service's last change, also where it changed nothing. */
function answer({ id, key }: DestroyRequest, { registry, clock }: Core, removed: number): Reply {
  const now = clock.now();
  let left = 0;
  for (const { expiresAt } of registry.instancesOf(key)) if (expiresAt > now) left += 1;
  return { id, shows: registry.lastChangeOf(key), line: encodeReply(id, `"removed":${removed},"left":${left}`) };
}
