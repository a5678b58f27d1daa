/** What every log has to hold, whoever orders the changes and wherever they are kept. */

import { beforeEach, describe, expect, it } from 'vitest';
import type { Change } from '../../src/change.js';
import type { Log } from '../../src/log/log.js';
import { keysOf, stateOf, type TestHost } from './harness.js';

export interface OpenLog {
  readonly log: Log;
  readonly host: TestHost;
}

/** One place where a log keeps its changes, over several runs of the daemon. */
export interface Place {
  /** Opens the log; the one before has been closed. */
  open(): Promise<OpenLog>;
  /** Opens it as a daemon does whose forerunner was killed while it had `previous` open. */
  openAfterCrash(previous: OpenLog): Promise<OpenLog>;
  /** Has another daemon propose a change, where several share the log. Resolves when it is applied here. */
  readonly proposeElsewhere?: (change: Change) => Promise<void>;
}

export interface Traits {
  /** Whether an ordinary close and a crash keep the registry. */
  readonly keeps: boolean;
  /** Whether the epoch outlives a close, and a crash. */
  readonly epochAfterClose: 'kept' | 'new';
  readonly epochAfterCrash: 'kept' | 'new';
  /** Whether others propose to it too. */
  readonly isShared: boolean;
}

/** @param createPlace gives each test an empty place of its own. */
export function describeLog(name: string, createPlace: () => Place, traits: Traits): void {
  describe(name, () => {
    let place: Place;
    // What a log does not promise is not asked of it.
    const none = (): void => {};
    const itKeeps = traits.keeps ? it : none;
    const itForgets = traits.keeps ? none : it;
    const itShares = traits.isShared ? it : none;
    beforeEach(() => {
      place = createPlace();
    });

    it('gives each change the next revision', async () => {
      const { log, host } = await place.open();
      const revisions: number[] = [];
      for (const key of ['a', 'b', 'c']) revisions.push(await log.propose(host.registration(key)));
      revisions.push(await log.propose(host.ending('b')));
      expect(revisions).toEqual([1, 2, 3, 4]);
      expect(host.registry.revision).toBe(4);
    });

    it('has a change applied before it answers, and all in the order of their revisions', async () => {
      const { log, host } = await place.open();
      const answers = ['a', 'b', 'c'].map(async (key) => {
        const change = host.registration(key);
        expect(await log.propose(change)).toBe(change.revision);
        expect(host.applied).toContain(change);
        expect(host.registry.find(key, '')?.revision).toBe(change.revision);
      });
      await Promise.all(answers);
      expect(host.applied.map(({ revision }) => revision)).toEqual([1, 2, 3]);
    });

    it('makes the first revision of an instance its generation, and keeps that through updates', async () => {
      const { log, host } = await place.open();
      await log.propose(host.registration('other'));
      const first = host.registration('a');
      await log.propose(first);
      expect(first).toMatchObject({ revision: 2, generation: 2 });
      const update = host.registration('a', { body: '"values":2' });
      await log.propose(update);
      expect(update).toMatchObject({ revision: 3, generation: 2 });
      await log.propose(host.ending('a'));
      const again = host.registration('a');
      await log.propose(again);
      expect(again).toMatchObject({ revision: 5, generation: 5 });
    });

    it('lets a first registration take the place of another generation, which then has passed', async () => {
      const { log, host } = await place.open();
      await log.propose(host.registration('a', { owner: 'old' }));
      const late = host.ending('a');
      const successor = { ...host.registration('a', { owner: 'new' }), generation: 0 };
      expect(await log.propose(successor)).toBe(2);
      expect(stateOf(host)).toMatchObject([{ key: 'a', owner: 'new', generation: 2, revision: 2 }]);
      expect(host.registry.endings.get(1, 'old')).toMatchObject({ reason: 'superseded', revision: 2 });
      expect(await log.propose(late)).toBe(0);
      expect(stateOf(host)).toMatchObject([{ owner: 'new' }]);
    });

    it('answers 0 to a change of a generation that has passed, and changes nothing', async () => {
      const { log, host } = await place.open();
      await log.propose(host.registration('a'));
      const lateEnd = host.ending('a', 'expire');
      const lateUpdate = host.registration('a', { body: '"values":"late"' });
      await log.propose(host.ending('a'));
      expect(await log.propose(lateUpdate)).toBe(0);
      expect(host.registry.size).toBe(0);
      await log.propose(host.registration('a'));
      const state = stateOf(host);
      expect(await log.propose(lateEnd)).toBe(0);
      expect(stateOf(host)).toEqual(state);
    });

    it('tells when what was proposed is durable', async () => {
      const { log, host } = await place.open();
      for (const key of ['a', 'b', 'c']) await log.propose(host.registration(key));
      await log.flush();
      expect(log.durable).toBe(3);
      await log.flush();
      expect(log.durable).toBe(3);
      if (traits.keeps) expect(host.growths).toBeGreaterThan(0);
    });

    it('has nothing to wait for when nothing was proposed', async () => {
      const { log } = await place.open();
      await log.flush();
      expect(log.durable).toBe(0);
    });

    it('knows its epoch once it is open', async () => {
      const { log } = await place.open();
      expect(log.epoch).toMatch(/^[0-9a-f]{16}$/);
    });

    itKeeps('gives back what it had when it was closed', async () => {
      const before = await place.open();
      await proposeSome(before);
      await before.log.close();
      const { log, host } = await place.open();
      expect(stateOf(host)).toEqual(stateOf(before.host));
      expect(host.registry.revision).toBe(before.host.registry.revision);
      expect(log.durable).toBe(host.registry.revision);
      expect(await log.propose(host.registration('next'))).toBe(before.host.registry.revision + 1);
    });

    itKeeps('closes with what was proposed last, though nobody waited for it', async () => {
      const { log, host } = await place.open();
      log.propose(host.registration('a'));
      await log.close();
      expect(keysOf((await place.open()).host)).toEqual(['a']);
    });

    itKeeps('gives back after a crash what was durable', async () => {
      const before = await place.open();
      await proposeSome(before);
      const { log, host } = await place.openAfterCrash(before);
      expect(stateOf(host)).toEqual(stateOf(before.host));
      expect(await log.propose(host.registration('next'))).toBe(before.host.registry.revision + 1);
    });

    itForgets('begins empty every time', async () => {
      const before = await place.open();
      await proposeSome(before);
      await before.log.close();
      const { log, host } = await place.open();
      expect(host.registry.size).toBe(0);
      expect(log.durable).toBe(0);
    });

    it(`has ${traits.epochAfterClose === 'kept' ? 'the same' : 'a new'} epoch after it was closed`, async () => {
      const before = await place.open();
      await proposeSome(before);
      await before.log.close();
      const { log } = await place.open();
      expect(log.epoch === before.log.epoch).toBe(traits.epochAfterClose === 'kept');
    });

    it(`has ${traits.epochAfterCrash === 'kept' ? 'the same' : 'a new'} epoch after a crash`, async () => {
      const before = await place.open();
      await proposeSome(before);
      const { log } = await place.openAfterCrash(before);
      expect(log.epoch === before.log.epoch).toBe(traits.epochAfterCrash === 'kept');
    });

    it('has another epoch than any other log', async () => {
      const [one, other] = [await place.open(), await createPlace().open()];
      expect(one.log.epoch).not.toBe(other.log.epoch);
    });

    itShares('applies what others propose, in the same order', async () => {
      const { log, host } = await place.open();
      const elsewhere = host.registration('elsewhere');
      await log.propose(host.registration('here'));
      await place.proposeElsewhere?.(elsewhere);
      await log.propose(host.registration('here', { body: '"values":2' }));
      expect(keysOf(host)).toEqual(['here', 'elsewhere']);
      const revisions = host.applied.map(({ revision }) => revision);
      expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
      expect(new Set(revisions).size).toBe(3);
    });
  });
}

/** A few changes of every kind, all durable. */
async function proposeSome({ log, host }: OpenLog): Promise<void> {
  for (const key of ['a', 'b', 'c', 'd']) await log.propose(host.registration(key));
  await log.propose(host.registration('b', { body: '"values":{"host":"\u00fc"}', ttl: Number.POSITIVE_INFINITY }));
  await log.propose(host.registration('b', { instance: 'i-1', ttl: 500 }));
  await log.propose(host.registration('b', { instance: 'i-2', status: 'suspect', linger: 2000, owner: 'secret' }));
  await log.propose(host.ending('c'));
  await log.propose(host.ending('d', 'expire'));
  await log.flush();
}
