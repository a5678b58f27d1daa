/** Segments end, snapshots follow, and nothing of what is registered is lost or changed on the way. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Durability } from '@reg/protocol';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { settle, until } from '../settle.js';
import {
  copyFolder,
  errorOf,
  FaultyDisk,
  type Files,
  keysOf,
  newFolder,
  type OpenDisk,
  openDisk,
  readFolder,
  stateOf,
  writeFolder,
} from './harness.js';
import { watchedDisk, watchFolder } from './watched-disk.js';

vi.mock('node:fs/promises', async (load) => {
  const { watchPromises } = await import('./watched-disk.js');
  return watchPromises(await load());
});
vi.mock('node:fs', async (load) => {
  const { watchSync } = await import('./watched-disk.js');
  return watchSync(await load());
});

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f'];

/** Names of the files, without the checkpoint and the lock. */
function logFiles(folder: string): string[] {
  return readdirSync(folder).filter((name) => /^\d/.test(name));
}

describe('a segment that is long enough', () => {
  it('is followed by another, and replaced by a snapshot', async () => {
    const { log, host, folder } = await openDisk(newFolder(), { segmentBytes: 200 });
    await settle();
    for (const key of KEYS) log.propose(host.registration(key));
    await log.flush();
    await until(() => logFiles(folder).join() === '00000002.log,00000002.snapshot');
    log.propose(host.ending('a'));
    await log.close();
    const again = await openDisk(folder);
    expect(stateOf(again.host)).toEqual(stateOf(host));
    expect(again.log.epoch).toBe(log.epoch);
  });

  it('is not followed by a snapshot of what is not durable', async () => {
    const disk = new FaultyDisk();
    const { log, host, folder } = await openDisk(newFolder(), { segmentBytes: 200, io: disk });
    await settle();
    for (const key of KEYS) log.propose(host.registration(key));
    await log.flush();
    // The snapshot will show `late`, which the disk then refuses.
    await until(() => logFiles(folder).includes('00000002.log'));
    disk.leaveRoom(0);
    log.propose(host.registration('late'));
    await expect(log.flush()).rejects.toMatchObject({ code: 'storage_full' });
    await settle();
    expect(keysOf(host)).toEqual(KEYS);
    expect(keysOf((await openDisk(copyFolder(folder))).host)).toEqual(KEYS);
  });

  it('stays, with the one after it, where the snapshot cannot be written, and is replaced by a later one', async () => {
    const { log, host, folder } = await openDisk(newFolder(), { segmentBytes: 200 });
    await settle();
    // A folder in its place is what a snapshot cannot be written over.
    const inTheWay = join(folder, '00000002.snapshot.tmp');
    writeFolder(inTheWay, new Map([['x', Buffer.from('x')]]));
    for (const key of KEYS) log.propose(host.registration(key));
    await log.flush();
    await until(() => host.warnings.length > 0);
    expect(host.warnings).toEqual(['cannot write a snapshot']);
    expect(logFiles(folder)).toEqual(['00000001.log', '00000002.log', '00000002.snapshot.tmp']);
    for (let round = 0; !logFiles(folder).includes('00000003.snapshot'); round += 1) {
      log.propose(host.registration('a', { body: `"values":${round}` }));
      await log.flush();
      await settle();
    }
    expect(logFiles(folder).filter((name) => !name.endsWith('.tmp'))).toEqual(['00000003.log', '00000003.snapshot']);
    const files = new Map([...readFolder(folder)].filter(([name]) => !name.endsWith('.tmp')));
    expect(stateOf((await openDisk(writeFolder(newFolder(), files))).host)).toEqual(stateOf(host));
  });

  it('goes on where the next one could not be begun', async () => {
    const { log, host, folder } = await openDisk(newFolder(), { segmentBytes: 200 });
    await settle();
    writeFolder(join(folder, '00000002.log.tmp'), new Map([['x', Buffer.from('x')]]));
    for (const key of KEYS) log.propose(host.registration(key));
    await log.flush();
    await until(() => host.warnings.length > 0);
    log.propose(host.registration('more'));
    await log.flush();
    const files = new Map([...readFolder(folder)].filter(([name]) => !name.endsWith('.tmp')));
    expect([...files.keys()].filter((name) => name !== 'deadlines')).toEqual(['00000001.log']);
    expect(keysOf((await openDisk(writeFolder(newFolder(), files))).host)).toEqual([...KEYS, 'more']);
  });
});

describe('a segment that was begun, and then failed', () => {
  it('does not stay behind: changes go on in the one before it', async () => {
    const folder = newFolder();
    const stopWatching = watchFolder(folder, (name) => {
      if (name === 'rename 00000002.log') throw errorOf('EMFILE');
    });
    const { log, host } = await openDisk(folder, { segmentBytes: 200 });
    await settle();
    for (const key of KEYS) log.propose(host.registration(key));
    await log.flush();
    await until(() => host.warnings.length > 0);
    stopWatching();
    log.propose(host.registration('more'));
    await log.flush();
    expect(logFiles(folder)).toEqual(['00000001.log']);
    expect(keysOf((await openDisk(copyFolder(folder))).host)).toEqual([...KEYS, 'more']);
  });
});

describe('a snapshot that shows more than its segment holds', () => {
  it('is believed, and what comes after it goes into a segment of its own', async () => {
    const { log, host, folder } = await openDisk(newFolder(), { segmentBytes: 200 });
    await settle();
    for (const key of KEYS) log.propose(host.registration(key));
    await log.flush();
    await until(() => logFiles(folder).join() === '00000002.log,00000002.snapshot');
    await log.close();
    const files = new Map(readFolder(folder));
    const first = await openDisk(newFolder());
    first.log.propose(first.host.registration('other'));
    await first.log.close();
    // The segment of a log that is behind the snapshot, as where it has lost its end.
    files.set('00000002.log', readFolder(first.folder).get('00000001.log') ?? Buffer.alloc(0));
    files.delete('deadlines');
    const place = writeFolder(newFolder(), files);
    for (const key of ['g', 'h']) {
      const open = await openDisk(place);
      open.log.propose(open.host.registration(key));
      await open.log.close();
    }
    expect(keysOf((await openDisk(place)).host)).toEqual([...KEYS, 'g', 'h']);
  });
});

type Step =
  | { readonly do: 'register'; readonly key: string; readonly size: number }
  | { readonly do: 'end'; readonly key: string }
  | { readonly do: 'flush' | 'turn' | 'restart' | 'kill' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant('register' as const), key: fc.constantFrom(...KEYS), size: fc.nat(300) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('end' as const), key: fc.constantFrom(...KEYS) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('flush' as const, 'turn' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('restart' as const, 'kill' as const) }) },
);

describe('any changes, over many segments, restarts and kills', () => {
  it.each([
    ['always', 0],
    ['always', 100],
    ['no', 0],
  ] as const)('make what a plain map of them holds (%s, room for %d bytes)', async (durability, roomBytes) => {
    const options = { durability, roomBytes, segmentBytes: 300 };
    const check = async (steps: readonly Step[]): Promise<void> => {
      const model = new Map<string, string>();
      let open = await openDisk(newFolder(), options);
      const expectSame = (): void => {
        const registered = open.host.registry.all().map(({ key, body }) => [key, body] as const);
        expect(new Map(registered)).toEqual(model);
      };
      for (const [index, { do: action, ...rest }] of [...steps, { do: 'restart' as const }].entries()) {
        const key = 'key' in rest ? rest.key : '';
        if (action === 'register') {
          const body = `"values":"${index}${'x'.repeat('size' in rest ? rest.size : 0)}"`;
          open.log.propose(open.host.registration(key, { body }));
          model.set(key, body);
        } else if (action === 'end') {
          if (model.delete(key)) open.log.propose(open.host.ending(key));
        } else if (action === 'turn') {
          await new Promise((resolve) => setImmediate(resolve));
        } else {
          await open.log.flush();
        }
        if (action !== 'restart' && action !== 'kill') continue;
        const folder = action === 'kill' ? copyFolder(open.folder) : open.folder;
        await open.log.close();
        open = await openDisk(folder, options);
        expectSame();
      }
      await open.log.close();
    };
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80 }), check), { numRuns: 20 });
  });
});

/** What a crash leaves at one moment, and what had been acknowledged until then. */
interface Moment {
  readonly step: string;
  readonly acknowledged: number;
  readonly killed: Files;
  readonly powerless: Files;
}

/** Changes go on through some compactions; every step that is done to a file is a moment to crash. */
async function runWatched(durability: Durability, roomBytes = 0) {
  const folder = newFolder();
  const moments: Moment[] = [];
  let open: OpenDisk | undefined;
  const stopWatching = watchFolder(folder, (name, watch) => {
    const acknowledged = open?.log.durable ?? 0;
    moments.push({ step: name, acknowledged, killed: readFolder(folder), powerless: watch.afterPowerCut() });
  });
  open = await openDisk(folder, { durability, segmentBytes: 500, roomBytes, io: watchedDisk });
  const { log, host } = open;
  const states = new Map([[0, stateOf(host)]]);
  const propose = (change: Parameters<typeof log.propose>[0]): void => {
    log.propose(change);
    states.set(host.registry.revision, stateOf(host));
  };
  for (let round = 0; !logFiles(folder).includes('00000004.snapshot'); round += 1) {
    const key = KEYS[round % KEYS.length] ?? '';
    if (round % 7 === 6 && host.registry.find(key, '') !== undefined) propose(host.ending(key));
    propose(host.registration(key, { body: `"values":${round}` }));
    if (round % 3 === 0) await log.flush();
    else await new Promise((resolve) => setImmediate(resolve));
  }
  await log.close();
  stopWatching();
  return { moments, states, epoch: log.epoch };
}

describe('a crash at any step of a compaction', () => {
  it.each([
    ['always', 0],
    ['always', 200],
    ['everysec', 0],
  ] as const)('of the process loses nothing (%s, room for %d bytes)', async (durability, roomBytes) => {
    const { moments, states } = await runWatched(durability, roomBytes);
    const steps = moments.map((moment) => moment.step);
    for (const name of ['00000002.snapshot', '00000003.snapshot', '00000003.log']) {
      expect(steps).toEqual(expect.arrayContaining([`sync ${name}.tmp`, `rename ${name}`]));
    }
    expect(steps).toEqual(expect.arrayContaining(['write', 'sync 00000001.log', 'remove 00000001.log']));
    await openEach(
      moments,
      durability,
      ({ killed }) => killed,
      ({ host }, { step: name, acknowledged }) => {
        expect(host.registry.revision, name).toBeGreaterThanOrEqual(acknowledged);
        expect(stateOf(host), name).toEqual(states.get(host.registry.revision));
      },
    );
  });

  it.each([0, 200])(
    'of the machine loses nothing where replies wait for the disk (room for %d bytes)',
    async (roomBytes) => {
      const { moments, states, epoch } = await runWatched('always', roomBytes);
      await openEach(
        moments,
        'always',
        ({ powerless }) => powerless,
        ({ host, log }, { step: name, acknowledged }) => {
          expect(host.registry.revision, name).toBeGreaterThanOrEqual(acknowledged);
          expect(stateOf(host), name).toEqual(states.get(host.registry.revision));
          if (acknowledged > 0) expect(log.epoch, name).toBe(epoch);
        },
      );
    },
  );

  it('of the machine leaves a registry of before where they do not wait, under a new epoch', async () => {
    const { moments, states, epoch } = await runWatched('everysec');
    await openEach(
      moments.slice(0, -5),
      'everysec',
      ({ powerless }) => powerless,
      ({ host, log }, { step: name }) => {
        expect(stateOf(host), name).toEqual(states.get(host.registry.revision));
        expect(log.epoch, name).not.toBe(epoch);
      },
    );
  });

  /** Opens what each moment has left; where several have left the same, the last, which had acknowledged most. */
  async function openEach(
    moments: readonly Moment[],
    durability: Durability,
    filesOf: (moment: Moment) => Files,
    check: (open: OpenDisk, moment: Moment) => void,
  ): Promise<void> {
    const contentOf = (moment: Moment): string =>
      [...filesOf(moment)].map(([name, bytes]) => name + bytes.toString('latin1')).join();
    const queue = [...new Map(moments.map((moment) => [contentOf(moment), moment])).values()];
    const work = async (): Promise<void> => {
      for (let moment = queue.pop(); moment !== undefined; moment = queue.pop()) {
        const open = await openDisk(writeFolder(newFolder(), filesOf(moment)), { durability }).catch((error: unknown) =>
          expect.fail(`${moment?.step}: ${String(error)}`),
        );
        check(open, moment);
        await open.log.close();
      }
    };
    await Promise.all(Array.from({ length: 8 }, work));
  }
});
