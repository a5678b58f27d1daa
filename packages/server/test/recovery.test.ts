import { describe, expect, test } from 'vitest';
import type { Change, RegisterChange } from '../src/change.js';
import { deadlinesAfterRestart, deadlinesAfterRollback } from '../src/log/recovery.js';
import { endOf, type Instance } from '../src/registry/instance.js';
import { Registry } from '../src/registry/registry.js';
import { Roster } from '../src/registry/roster.js';
import { instanceOf, PLAIN } from './harness.js';

const NOW = 1_000_000;

/** An instance of generation 1 as of some revision, due in `left` ms. */
function instance(given: Partial<RegisterChange> & { left?: number }): Instance {
  const { revision = 1, ttl = 10_000, left = ttl, at = NOW, status = PLAIN.status, linger = PLAIN.linger } = given;
  const made = instanceOf({
    kind: 'register',
    revision,
    key: 'a',
    instance: '',
    generation: 1,
    at,
    registered: at,
    ttl,
    body: '',
    ...PLAIN,
    status,
    linger,
    expiresAt: NOW + left,
  });
  new Roster().add(made, NOW + left);
  return made;
}

describe('after a failed commit, an instance has left', () => {
  const restored = instance({ left: 99 });

  test('what it had', () => {
    expect(deadlinesAfterRollback([instance({ left: 700 })], [], NOW)(restored)).toBe(NOW + 700);
  });

  test.each([
    ['to a shorter ttl', { revision: 2, ttl: 1000 }],
    ['to one without end', { revision: 2, ttl: Number.POSITIVE_INFINITY }],
  ])('its whole ttl where an update %s is undone: the refused one counts for nothing', (_, update) => {
    expect(deadlinesAfterRollback([instance(update)], [], NOW)(restored)).toBe(NOW + 10_000);
  });

  test('what it had where it became suspect, and that is undone: its linger goes on', () => {
    const suspect = instance({ revision: 2, status: 'suspect', linger: 2000, left: 1500 });
    expect(deadlinesAfterRollback([suspect], [], NOW)(restored)).toBe(NOW + 1500);
  });

  test('nothing where its expiry is undone: what was gone stays hidden', () => {
    const undone: Change = endOf('expire', instance({ left: -5 }), NOW);
    expect(deadlinesAfterRollback([], [undone], NOW)(restored)).toBe(NOW - 5);
  });

  test('what it had where its destruction is undone', () => {
    const undone: Change = endOf('destroy', instance({ left: 1234 }), NOW);
    expect(deadlinesAfterRollback([], [undone], NOW)(restored)).toBe(NOW + 1234);
  });
});

describe('after a restart, an instance has left', () => {
  const deadlines = new Map([[1, NOW + 4000]]);
  const checkpoint = { epoch: 'e', revision: 1, clean: false, deadlines };

  test.each([
    ['until its deadline', checkpoint, {}, 1000, 4000],
    ['the grace, where that is more', checkpoint, {}, 5000, 5000],
    ['its ttl, where that is less than the grace', checkpoint, { ttl: 2000 }, 5000, 2000],
    ['by when it was registered, without a checkpoint', undefined, { at: NOW - 3000 }, 1000, 7000],
    ['by when it was changed, where the checkpoint is older', checkpoint, { revision: 2, at: NOW - 1000 }, 1000, 9000],
    [
      'by when it became suspect, where the checkpoint is older',
      checkpoint,
      { revision: 2, at: NOW - 1000, status: 'suspect', linger: 8000 } as const,
      1000,
      7000,
    ],
    [
      'no more than its ttl, when the wall clock was set back',
      checkpoint,
      { at: NOW + 86_400_000, revision: 2 },
      1000,
      10_000,
    ],
  ])('%s', (_, known, change, grace, left) => {
    expect(deadlinesAfterRestart(known, NOW, NOW, grace)(instance(change))).toBe(NOW + left);
  });
});

test('a service that comes from a snapshot has changed no later than that, and no earlier than its instances', () => {
  const registry = new Registry(10);
  const times = { at: 0, registered: 0, ttl: 1000, expiresAt: 1000 };
  const change = { kind: 'register', key: 'web', body: '', ...times, ...PLAIN } as const;
  registry.restore({ ...change, instance: 'a', generation: 1, revision: 3 }, 5);
  registry.restore({ ...change, instance: 'b', generation: 2, revision: 2 }, 5);
  registry.restored(5);
  expect(registry.lastChangeOf('web')).toBe(5);
  expect(registry.lastChangeOf('gone before')).toBe(5);
  registry.clear();
  expect(registry.lastChangeOf('gone before')).toBe(0);
});
