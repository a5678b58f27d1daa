/** Commands in any order, weighted so that they lead somewhere. */

import type { Status } from '@reg/protocol';
import fc from 'fast-check';
import {
  acknowledge,
  acks,
  advance,
  ask,
  askTogether,
  type Command,
  destroy,
  disconnect,
  fillDisk,
  freeDisk,
  heartbeat,
  heartbeatUnread,
  pages,
  pause,
  query,
  read,
  register,
  repeat,
  restart,
  resume,
  type Step,
  status,
  unwatch,
  watch,
} from './commands.js';
import type { Scope } from './terms.js';

const slot = fc.constantFrom(0, 0, 1, 1, 2);
const key = fc.constantFrom('a', 'a', 'ab', 'b');
const instance = fc.constantFrom(undefined, undefined, 'x');
const owner = fc.constantFrom('one', 'one', 'two');
const name = fc.record({ key, instance }).map(withoutAbsent);

const content = {
  values: fc.constantFrom(1, 1, 2),
  timeout: fc.constantFrom(1.1, 5.1, 'never' as const),
  tags: fc.constantFrom(undefined, undefined, ['t']),
  linger: fc.constantFrom(undefined, 2.1, 9.1, 0),
  status: fc.constantFrom(undefined, undefined, undefined, undefined, 'draining' as const, 'critical' as const),
};
const claim = fc.oneof(
  fc.record({ owner, back: fc.constantFrom(undefined, 0, 0, 1) }),
  fc.record({ owner, takeover: fc.constantFrom(undefined, true) }),
  fc.record({ takeover: fc.constantFrom(undefined, undefined, true) }),
);
const large = fc.constantFrom(undefined, undefined, undefined, true);
const request = fc
  .tuple(fc.record({ key, instance, large, ...content }), claim)
  .map(([what, how]) => withoutAbsent({ ...what, ...how }));
const doomed = fc
  .record({ key, instance: fc.constantFrom(undefined, 'x', '*'), owner: fc.constantFrom(undefined, 'one', 'two') })
  .map(withoutAbsent);
const scope = fc.constantFrom<Scope>({ key: 'a' }, { key: 'b' }, { prefix: 'a' }, { key: 'all' });
const selection = fc
  .record({
    key: fc.constantFrom('a', 'ab', 'b', 'all', 'all'),
    status: fc.constantFrom<Status | 'any' | undefined>(undefined, undefined, 'any', 'passing', 'suspect', 'draining'),
    tags: fc.constantFrom(undefined, ['t']),
  })
  .map(withoutAbsent);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: request.map(register) },
  { weight: 3, arbitrary: name.map(repeat) },
  { weight: 2, arbitrary: fc.tuple(scope, fc.boolean()).map((given) => watch(...given)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat({ max: 6 }), fc.constantFrom('rightly', 'rightly', 'rightly', 'in another epoch', 'in the future'))
      .map((given) => resume(...given)),
  },
  { weight: 2, arbitrary: fc.constant(heartbeat()) },
  { weight: 1, arbitrary: doomed.map(destroy) },
  { weight: 1, arbitrary: selection.map(query) },
);

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(slot, step).map((given) => ask(...given)) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(slot, fc.array(step, { minLength: 2, maxLength: 6 }))
      .map(([number, steps]) => askTogether(number, ...steps)),
  },
  {
    weight: 4,
    arbitrary: fc.oneof(fc.nat({ max: 4 }), fc.nat({ max: 4 }), fc.nat({ max: 24 })).map((n) => advance(n + 1)),
  },
  { weight: 2, arbitrary: fc.tuple(slot, fc.boolean()).map((given) => disconnect(...given)) },
  { weight: 1, arbitrary: fc.boolean().map(restart) },
  { weight: 1, arbitrary: slot.map(pause) },
  { weight: 1, arbitrary: slot.map(heartbeatUnread) },
  { weight: 1, arbitrary: slot.map(read) },
  { weight: 1, arbitrary: fc.tuple(slot, fc.nat({ max: 2 })).map((given) => unwatch(...given)) },
  {
    weight: 1,
    arbitrary: fc.oneof(
      slot.map(acknowledge),
      fc.tuple(slot, key).map(([number, service]) => ask(number, acks(service))),
      fc.tuple(slot, selection, fc.integer({ min: 1, max: 3 })).map((given) => pages(...given)),
      slot.map((number) => ask(number, status())),
    ),
  },
  { weight: 1, arbitrary: fc.oneof(fc.constant(fillDisk()), fc.constant(freeDisk())) },
);

/** Histories of a registry. */
export const histories = fc.commands([command], { size: '+1', maxCommands: 60 });

/** What is absent has no name: the two are told apart by no registry. */
function withoutAbsent<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
