/** Requests as peers may send them: each field right, almost right, or anything at all. */

import fc from 'fast-check';

export type Sent = Record<string, unknown>;

/** Mostly what is right, so that a request of several fields is right about as often as not. */
function mostly(right: fc.Arbitrary<unknown>, wrong: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 12, arbitrary: right }, { weight: 1, arbitrary: wrong });
}

/** JSON of a few levels, with the keys that trip programs over. */
const json = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.dictionary(
    fc.constantFrom('__proto__', 'constructor', 'toJSON', 'length', '0', ''),
    fc.jsonValue({ maxDepth: 1 }),
  ),
);

const length = (least: number, most: number) => fc.integer({ min: least, max: most }).map((n) => 'n'.repeat(n));

const rightName = fc.oneof(
  fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/),
  fc.string({ unit: 'grapheme-composite', minLength: 1, maxLength: 10 }).map((name) => name.replaceAll('/', '|')),
  fc.constantFrom('redis', '__proto__', 'constructor', '\u670d\u52a1', '\u{1f600}', 'ALL', '**'),
  length(250, 255),
);

const wrongName = fc.oneof(
  fc.constantFrom('', '/', 'a/b', '\u0000', 'a\u007f', '\u0085', 'a\n', 'all', '*'),
  length(256, 300),
  json.filter((name) => typeof name !== 'string'),
);

const rightTimeout = fc.oneof(
  fc.double({ min: 0, minExcluded: true, max: 315_360_000, noNaN: true }),
  fc.integer({ min: 1, max: 315_360_000 }).map(String),
  fc.constantFrom(30, '30', '0.5', '.5', '5.', '007', 'never', null),
);

const wrongTimeout = fc.oneof(
  fc.constantFrom(0, '0', '0.00', '.', '', '-1', '+1', '1e3', ' 1', '1 ', '0x1', 'Never', true, 315_360_001),
  json.filter((timeout) => timeout !== null && typeof timeout !== 'string' && typeof timeout !== 'number'),
  fc.double({ max: 0, noNaN: true, noDefaultInfinity: true }),
);

const rightId = fc.oneof(fc.maxSafeInteger(), length(0, 64), fc.string({ maxLength: 16 }), fc.constant(null));
const wrongId = fc.oneof(fc.constantFrom(0.5, 2 ** 53, -(2 ** 53), true, [], {}), length(65, 80));

const rightTags = fc.oneof(
  fc.array(fc.string({ maxLength: 12 }), { maxLength: 5 }),
  fc.tuple(length(250, 255)),
  fc.integer({ min: 60, max: 64 }).map((n) => Array.from({ length: n }, () => 'tag')),
  fc.constant(null),
);
const wrongTags = fc.oneof(
  fc.constantFrom('tag', {}, 7, true, [7], [null], ['a', ['b']]),
  fc.tuple(length(256, 300)),
  fc.integer({ min: 65, max: 70 }).map((n) => Array.from({ length: n }, () => 'tag')),
);

const rightMeta = fc.oneof(fc.dictionary(fc.string(), fc.string()), fc.constant(null));
const wrongMeta = fc.constantFrom('zone', 7, true, [], ['zone'], { zone: 7 }, { zone: null }, { zone: {} });

const rightWeight = fc.oneof(fc.integer({ min: 0, max: 65_535 }), fc.constant(null));
const wrongWeight = fc.constantFrom(-1, 0.5, 65_536, 1e300, '1', true, [], {});

const rightLinger = fc.oneof(
  fc.double({ min: 0, max: 86_400, noNaN: true }),
  fc.constantFrom(0, 2, '2', '0.5', 86_400, null),
);
const wrongLinger = fc.constantFrom(-1, 86_401, 'never', '', '1e3', true, [], {});

const rightOwner = fc.oneof(length(1, 64), fc.string({ minLength: 1, maxLength: 12 }));
const wrongOwner = fc.oneof(fc.constantFrom('', 7, true, [], {}), length(65, 80));

/** By what right something is registered: fields that go together, or not. */
const claim = fc.oneof(
  fc.constant({}),
  fc.record({ owner: mostly(rightOwner, wrongOwner), generation: fc.integer({ min: 1, max: 2 ** 53 - 1 }) }),
  fc.record({ owner: mostly(fc.oneof(rightOwner, fc.constant(null)), wrongOwner), takeover: fc.boolean() }),
  fc.record(
    {
      owner: rightOwner,
      generation: fc.constantFrom(0, 1, -1, '1', null),
      takeover: fc.constantFrom(true, false, 1, null),
    },
    { requiredKeys: [] },
  ),
);

const rightFlag = fc.constantFrom(true, false, null);
const wrongFlag = fc.constantFrom(0, 1, 'true', [], {});

const count = (least: number) => fc.oneof(fc.integer({ min: least, max: Number.MAX_SAFE_INTEGER }), fc.constant(null));
const wrongCount = fc.constantFrom(-1, 0.5, 2 ** 53, '1', true, [], {});

const id = mostly(rightId, wrongId);
const key = mostly(rightName, wrongName);
const instance = mostly(fc.oneof(rightName, fc.constant(null)), wrongName);

const rightStatus = fc.constantFrom('passing', 'draining', 'critical', null);

const registration = fc.record(
  {
    type: fc.constant('register'),
    id,
    key,
    instance,
    values: json,
    timeout: mostly(rightTimeout, wrongTimeout),
    tags: mostly(rightTags, wrongTags),
    meta: mostly(rightMeta, wrongMeta),
    weight: mostly(rightWeight, wrongWeight),
    status: mostly(rightStatus, fc.constantFrom('suspect', 'any', '', 7, [])),
    linger: mostly(rightLinger, wrongLinger),
    unknown: json,
  },
  { requiredKeys: ['type', 'key', 'values'] },
);
const register = fc.tuple(registration, claim).map(([sent, by]) => ({ ...sent, ...by }));

const query = fc.record(
  {
    type: fc.constant('query'),
    id,
    key: fc.oneof({ weight: 3, arbitrary: key }, fc.constant('all')),
    instance,
    detail: mostly(rightFlag, wrongFlag),
    limit: mostly(count(1), fc.oneof(wrongCount, fc.constant(0))),
    after: mostly(count(0), wrongCount),
    status: mostly(fc.oneof(rightStatus, fc.constantFrom('suspect', 'any')), fc.constantFrom('gone', '', 7, [])),
    // No limit is set to what is looked for: more than anything can have finds nothing.
    tags: mostly(rightTags, fc.constantFrom('tag', {}, 7, true, [7], [null])),
    meta: mostly(rightMeta, wrongMeta),
  },
  { requiredKeys: ['type', 'key'] },
);

const destruction = fc.record(
  {
    type: fc.constant('destruction'),
    id,
    key,
    instance: fc.oneof({ weight: 3, arbitrary: instance }, fc.constant('*')),
    owner: mostly(fc.oneof(rightOwner, fc.constant(null)), wrongOwner),
  },
  { requiredKeys: ['type', 'key'] },
);

const place = fc.oneof(
  fc.constant({}),
  fc.record({ epoch: fc.string({ maxLength: 16 }), after: mostly(fc.maxSafeNat(), wrongCount) }),
  fc.record({ epoch: fc.constantFrom('e', 7, null), after: fc.constantFrom(1, null) }, { requiredKeys: [] }),
);
const scope = fc.oneof(
  fc.record({ key: fc.oneof({ weight: 3, arbitrary: key }, fc.constant('all')) }),
  fc.record({ prefix: fc.oneof({ weight: 3, arbitrary: key }, fc.constantFrom('all', '*')) }),
  fc.record({ key, prefix: fc.constantFrom('r', null) }, { requiredKeys: [] }),
);
const watch = fc
  .tuple(
    fc.record({ type: fc.constant('watch'), id, ack: mostly(rightFlag, wrongFlag) }, { requiredKeys: ['type'] }),
    scope,
    place,
  )
  .map(([sent, what, from]) => ({ ...sent, ...what, ...from }));

const number = (least: number) =>
  mostly(fc.integer({ min: least, max: 2 ** 53 - 1 }), fc.oneof(wrongCount, fc.constant(least - 1)));
const lookups = fc.oneof(
  fc.record({ type: fc.constant('unwatch'), id, watch: number(1) }, { requiredKeys: ['type'] }),
  fc.record({ type: fc.constant('ack'), id, watch: number(1), revision: number(0) }),
  fc.record({ type: fc.constant('acks'), id, key, revision: number(0) }),
  fc.record({ type: fc.constant('explain'), id, key, instance }, { requiredKeys: ['type', 'key'] }),
  fc.record(
    {
      type: fc.constant('audit'),
      id,
      limit: mostly(count(1), fc.oneof(wrongCount, fc.constant(0))),
      after: mostly(count(0), wrongCount),
    },
    { requiredKeys: ['type'] },
  ),
  fc.record({ type: fc.constant('backup'), id, after: number(0) }, { requiredKeys: ['type'] }),
);

const auth = fc.record(
  {
    type: fc.constant('auth'),
    id,
    token: mostly(
      fc.string({ unit: fc.constantFrom('r', 'G', '9', '_', '-', '~', '!'), minLength: 1, maxLength: 256 }),
      fc.constantFrom('', 'a b', 'x'.repeat(257), 'ä', 'tab\t', 7, null, []),
    ),
  },
  { requiredKeys: ['type'] },
);

const bare = fc.record(
  { type: fc.constantFrom('ping', 'hello', 'heartbeat', 'status'), id, key: json },
  { requiredKeys: ['type'] },
);

const misfit = fc.oneof(
  fc.record({ type: fc.constantFrom('constructor', '__proto__', 'Register', 'destroy', '', 7, null), key: rightName }),
  fc.tuple(fc.oneof(register, query, destruction), fc.constantFrom('type', 'key', 'values')).map(([sent, missing]) => ({
    ...sent,
    [missing]: undefined,
  })),
);

/**
 * Objects that may be requests. What a schema cannot say is left out of them: names, tags and ids are over
 * their limits in ASCII only, where bytes are characters; values and metadata are small; a timeout that is
 * a decimal string is never over the limit.
 */
export const requests: fc.Arbitrary<Sent> = fc
  .oneof(
    { weight: 6, arbitrary: register },
    { weight: 4, arbitrary: query },
    { weight: 3, arbitrary: destruction },
    { weight: 2, arbitrary: watch },
    { weight: 2, arbitrary: lookups },
    { weight: 1, arbitrary: auth },
    { weight: 1, arbitrary: bare },
    { weight: 1, arbitrary: misfit },
  )
  // As a peer's text gives it: nothing undefined, no negative zero, no prototypes.
  .map((sent) => JSON.parse(JSON.stringify(sent)));
