import { type Selector, STATUSES, type Status } from '@reg/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Registry } from '../src/registry/registry.js';
import { MAX_LOOKS, type Selection } from '../src/registry/selection.js';
import { type Daemon, type Peer, PLAIN, startDaemon } from './harness.js';
import { settle } from './settle.js';

const ANYONE: Selector = { status: undefined, tags: [], meta: [] };

interface Listed {
  readonly instance: string;
  readonly status?: Status;
}

async function listed(peer: Peer, selector: object = {}): Promise<string[]> {
  const reply = await peer.ask({ type: 'query', key: 'web', ...selector });
  return (reply['services'] as Listed[]).map(({ instance }) => instance);
}

/** Has one instance of each status registered, named after it. */
async function registerEach(daemon: Daemon): Promise<Peer> {
  const [peer, broken] = [daemon.connect(), daemon.connect()];
  for (const status of ['passing', 'draining', 'critical']) {
    await peer.ask({ type: 'register', key: 'web', instance: status, values: 0, status });
  }
  await broken.ask({ type: 'register', key: 'web', instance: 'suspect', values: 0, linger: 20 });
  broken.hangUp();
  await settle();
  return peer;
}

describe('a query', () => {
  test('gives those that are passing, and says nothing of their status', async () => {
    await using daemon = await startDaemon();
    const peer = await registerEach(daemon);
    const reply = await peer.ask({ type: 'query', key: 'web' });
    expect(reply['services']).toMatchObject([{ instance: 'passing' }]);
    expect(reply['services']).not.toMatchObject([{ status: expect.anything() }]);
  });

  test('gives the suspect where none is passing, and says that they are', async () => {
    await using daemon = await startDaemon();
    const peer = await registerEach(daemon);
    await peer.ask({ type: 'destruction', key: 'web', instance: 'passing' });
    const reply = await peer.ask({ type: 'query', key: 'web' });
    expect(reply['services']).toMatchObject([{ instance: 'suspect', status: 'suspect', linger: 20 }]);
    expect(await peer.ask({ type: 'query', key: 'all' })).toEqual(reply);
  });

  test('does not count one as passing that has expired and is not ended yet', async () => {
    await using daemon = await startDaemon();
    const peer = await registerEach(daemon);
    await peer.ask({ type: 'register', key: 'web', instance: 'passing', values: 0, timeout: 0.005 });
    daemon.clock.advance(5);
    expect(daemon.server.registry.size).toBe(4);
    expect(await listed(peer)).toEqual(['suspect']);
  });

  test.each(STATUSES)('gives those that are %s where it asks for them', async (status) => {
    await using daemon = await startDaemon();
    const peer = await registerEach(daemon);
    expect(await listed(peer, { status })).toEqual([status]);
  });

  test('gives all where it asks for any', async () => {
    await using daemon = await startDaemon();
    const peer = await registerEach(daemon);
    expect(await listed(peer, { status: 'any' })).toEqual(['passing', 'draining', 'critical', 'suspect']);
  });

  test('for one instance gives it also where it is suspect and others are passing', async () => {
    await using daemon = await startDaemon();
    const peer = await registerEach(daemon);
    expect(await listed(peer, { instance: 'suspect' })).toEqual(['suspect']);
    expect(await listed(peer, { instance: 'draining' })).toEqual([]);
    expect(await listed(peer, { instance: 'draining', status: 'any' })).toEqual(['draining']);
  });

  test('gives those that have every tag and every text of metadata that it names', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    const labels: Record<string, object> = {
      a: { tags: ['x', 'y'], meta: { zone: 'eu', rack: '1' } },
      b: { tags: ['x'], meta: { zone: 'us' } },
      c: { values: { tags: ['x', 'y'], meta: { zone: 'eu' } } },
      d: { values: 'x', tags: ['xy', 'y"'], meta: { zone: 'eu"', eu: 'zone' } },
      e: {},
    };
    for (const [instance, fields] of Object.entries(labels)) {
      await peer.ask({ type: 'register', key: 'web', instance, values: 0, ...fields });
    }
    expect(await listed(peer, { tags: ['x'] })).toEqual(['a', 'b']);
    expect(await listed(peer, { tags: ['y', 'x'] })).toEqual(['a']);
    expect(await listed(peer, { tags: ['y"'] })).toEqual(['d']);
    expect(await listed(peer, { meta: { zone: 'eu' } })).toEqual(['a']);
    expect(await listed(peer, { meta: { zone: 'eu', rack: '1' }, tags: ['x'] })).toEqual(['a']);
    expect(await listed(peer, { meta: { zone: 'us', rack: '1' } })).toEqual([]);
    expect(await listed(peer, { tags: [], meta: {} })).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await listed(peer, { meta: { toString: 'x' } })).toEqual([]);
  });

  test('gives a suspect that its selector takes where no passing one is taken by it', async () => {
    await using daemon = await startDaemon();
    const peer = daemon.connect();
    await peer.ask({ type: 'register', key: 'web', instance: 'green', values: 0, tags: ['green'] });
    const broken = daemon.connect();
    for (const tag of ['green', 'blue']) {
      const request = { type: 'register', key: 'web', instance: `${tag}-suspect`, values: 0, tags: [tag], linger: 9 };
      await broken.ask(request);
    }
    broken.hangUp();
    await settle();
    expect(await listed(peer)).toEqual(['green']);
    expect(await listed(peer, { tags: ['green'] })).toEqual(['green']);
    expect(await listed(peer, { tags: ['blue'] })).toEqual(['blue-suspect']);
  });
});

interface Given {
  readonly key: string;
  readonly status: Status;
  readonly tags: readonly string[];
  readonly zone: string;
  readonly isExpired: boolean;
}

/** A registry of these, in which each has its place as its id. */
function registryOf(given: readonly Given[]): Registry {
  const registry = new Registry(10);
  given.forEach(({ key, status, tags, zone, isExpired }, index) => {
    const body = `"values":${JSON.stringify(zone)},"timeout":1,"tags":${JSON.stringify(tags)},"meta":${JSON.stringify({ zone })}`;
    const times = { at: 0, registered: 0, ttl: 1000, expiresAt: isExpired ? 500 : 1000 };
    const names = { key, instance: String(index), revision: index + 1, generation: index + 1 };
    registry.apply({ kind: 'register', ...names, body, ...times, ...PLAIN, status });
  });
  return registry;
}

describe('selecting', () => {
  const NOW = 700;
  const tag = fc.constantFrom('a', 'b', '"', 'eu');
  const zone = fc.constantFrom('eu', 'us', '"eu"', '');
  const given: fc.Arbitrary<Given> = fc.record({
    key: fc.constantFrom('web', 'db'),
    status: fc.constantFrom(...STATUSES),
    tags: fc.uniqueArray(tag, { maxLength: 3 }),
    zone,
    isExpired: fc.boolean(),
  });
  const selector: fc.Arbitrary<Selector> = fc.record({
    status: fc.constantFrom(undefined, undefined, 'any' as const, ...STATUSES),
    tags: fc.uniqueArray(tag, { maxLength: 2 }),
    meta: fc.oneof(
      fc.constant([]),
      zone.map((text): [string, string][] => [['zone', text]]),
    ),
  });

  test('gives what a plain reading of the rules gives, whole or in pages', () => {
    const service = fc.constantFrom(undefined, 'web');
    fc.assert(
      fc.property(
        fc.array(given, { maxLength: 20 }),
        selector,
        service,
        fc.integer({ min: 1, max: 5 }),
        (all, by, of, page) => {
          const registry = registryOf(all);
          const fits = (one: Given): boolean =>
            !one.isExpired &&
            by.tags.every((wanted) => one.tags.includes(wanted)) &&
            by.meta.every(([, text]) => one.zone === text);
          const isWanted = (one: Given): boolean => {
            if (!fits(one) || (of !== undefined && one.key !== of)) return false;
            if (by.status === 'any' || by.status !== undefined) return by.status === 'any' || one.status === by.status;
            const hasPassing = all.some((other) => other.key === one.key && other.status === 'passing' && fits(other));
            return one.status === 'passing' || (one.status === 'suspect' && !hasPassing);
          };
          const wanted = all.flatMap((one, index) => (isWanted(one) ? [String(index)] : []));
          const selection: Selection = {
            service: of,
            instance: undefined,
            selector: by,
            sight: undefined,
            after: 0,
            limit: Number.POSITIVE_INFINITY,
            maxBytes: 1e9,
          };
          const whole = registry.select(selection, NOW);
          expect(whole.cut).toBeUndefined();
          expect(whole.instances.map(({ id }) => id)).toEqual(wanted);
          const paged: string[] = [];
          for (let after = 0; ; ) {
            const { instances, cut, next } = registry.select({ ...selection, after, limit: page }, NOW);
            paged.push(...instances.map(({ id }) => id));
            if (cut === undefined) break;
            expect(instances).toHaveLength(page);
            expect(next).toBeGreaterThan(after);
            after = next;
          }
          expect(paged).toEqual(wanted);
        },
      ),
      { numRuns: 500 },
    );
  });

  describe('among very many', () => {
    const count = MAX_LOOKS * 2 + 100;
    const rare = [10, MAX_LOOKS + 10, count - 1];
    const registry = registryOf(
      Array.from({ length: count }, (_, index) => ({
        key: 'web',
        status: 'passing',
        tags: rare.includes(index) ? ['rare'] : ['common'],
        zone: 'eu',
        isExpired: false,
      })),
    );
    const selection: Selection = {
      service: 'web',
      instance: undefined,
      selector: { ...ANYONE, tags: ['rare'] },
      sight: undefined,
      after: 0,
      limit: Number.POSITIVE_INFINITY,
      maxBytes: 1e9,
    };

    test('looks into no more bodies for a page than its share, and goes on where it has come to', () => {
      const pages: string[][] = [];
      for (let after = 0; ; ) {
        const { instances, cut, next } = registry.select({ ...selection, after, limit: 100 }, NOW);
        pages.push(instances.map(({ id }) => id));
        if (cut === undefined) break;
        expect(cut).toBe('looks');
        expect(next).toBe(after + MAX_LOOKS);
        after = next;
      }
      expect(pages).toEqual(rare.map((index) => [String(index)]));
    });

    test('looks at no more instances where only the status is asked for', () => {
      const critical = { ...selection, selector: { ...ANYONE, status: 'critical' } as const };
      expect(registry.select(critical, NOW)).toMatchObject({ instances: [], cut: 'looks', next: MAX_LOOKS });
      expect(registry.select({ ...critical, after: 2 * MAX_LOOKS }, NOW)).toMatchObject({ cut: undefined });
    });

    test('looks at all where nobody is to be left out', () => {
      for (const status of ['any', undefined] as const) {
        const { instances, cut } = registry.select({ ...selection, selector: { ...ANYONE, status } }, NOW);
        expect(instances).toHaveLength(count);
        expect(cut).toBeUndefined();
      }
    });

    test('a whole answer that would take more looks is refused, and says how to ask', async () => {
      await using daemon = await startDaemon();
      daemon.server.registry.select = (asked) => ({ ...registry.select(asked, NOW), revision: 0 });
      const peer = daemon.connect();
      const query = { type: 'query', key: 'web', tags: ['rare'] };
      expect(await peer.ask(query)).toMatchObject({
        ok: false,
        error: { code: 'too_large', message: expect.stringContaining('"after"') },
      });
      expect(await peer.ask({ ...query, limit: 10 })).toMatchObject({
        next: MAX_LOOKS,
        services: [{ instance: '10' }],
      });
      expect(await peer.ask({ ...query, after: 2 * MAX_LOOKS })).toMatchObject({ services: [{}] });
    });
  });
});
