/** Fuzzing of the data folder: whatever became of its files, it is opened as it once was, or refused, or repaired. */

import { readdirSync, rmSync } from 'node:fs';
import { RegistryError } from '@reg/protocol';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { settle, until } from '../settle.js';
import { type Files, newFolder, openDisk, readFolder, stateOf, writeFolder } from './harness.js';

/** How many folders are damaged; with the folders in memory (`TMPDIR=/dev/shm`) it takes a tenth of the time. */
const RUNS = Number(process.env['REG_FUZZ_RUNS'] ?? 250);
/** Little enough that damage meets what matters, and enough for several sectors of it. */
const ROOM_BYTES = 2048;

interface Fixture {
  readonly files: Files;
  /** The registry at each revision. */
  readonly states: readonly object[][];
  /** The checkpoint's high-water mark: what came before it is missed. */
  readonly checkpointed: number;
}

/** A folder as a kill leaves it: a snapshot, a segment with entries before and after the checkpoint, and room. */
async function makeFixture(): Promise<Fixture> {
  const { log, host, folder } = await openDisk(newFolder(), { segmentBytes: 600, roomBytes: ROOM_BYTES });
  const states: object[][] = [[]];
  const commit = async (...keys: string[]): Promise<void> => {
    for (const key of keys) {
      log.propose(host.registration(key, { body: `"values":"${key.repeat(100)}"` }));
      states.push(stateOf(host));
    }
    await log.flush();
  };
  await settle();
  await commit('a', 'b', 'c', 'd', 'e', 'f');
  await until(() => readdirSync(folder).includes('00000002.snapshot') && !readdirSync(folder).includes('00000001.log'));
  await commit('g');
  await settle();
  host.pass(5000);
  await settle();
  const checkpointed = log.durable;
  await commit('h', 'i');
  return { files: readFolder(folder), states, checkpointed };
}

const damages = fc.record({
  file: fc.nat(),
  at: fc.nat(),
  length: fc.oneof(fc.constantFrom(1, 2, 24, 64, 512), fc.nat(3000)),
  kind: fc.constantFrom('flip', 'zeros', 'garbage', 'cut', 'gone', 'twice', 'another', 'no file'),
  garbage: fc.uint8Array({ minLength: 1, maxLength: 16 }),
  /** Where the bytes come from that another file has in its place. */
  from: fc.nat(),
});

type Damage = typeof damages extends fc.Arbitrary<infer T> ? T : never;

function damage(bytes: Buffer, others: Buffer, { at, length, kind, garbage, from }: Damage): Buffer | undefined {
  const start = at % (bytes.length + 1);
  const [before, part, after] = [
    bytes.subarray(0, start),
    bytes.subarray(start, start + length),
    bytes.subarray(start + length),
  ];
  switch (kind) {
    case 'flip':
      return Buffer.concat([before, part.map((byte, index) => byte ^ (garbage[index % garbage.length] ?? 0)), after]);
    case 'zeros':
      return Buffer.concat([before, Buffer.alloc(part.length), after]);
    case 'garbage':
      return Buffer.concat([before, garbage, bytes.subarray(start + garbage.length)]);
    case 'cut':
      return before;
    case 'gone':
      return Buffer.concat([before, after]);
    case 'twice':
      return Buffer.concat([before, part, part, after]);
    case 'another': {
      const place = from % (others.length + 1);
      return Buffer.concat([before, others.subarray(place, place + part.length), after]);
    }
    case 'no file':
      return undefined;
  }
}

function damaged({ files }: Fixture, list: readonly Damage[]): Files {
  const result = new Map(files);
  const everything = Buffer.concat([...files.values()]);
  for (const each of list) {
    const name = [...result.keys()].sort()[each.file % Math.max(1, result.size)];
    const bytes = name === undefined ? undefined : result.get(name);
    if (name === undefined || bytes === undefined) continue;
    const after = damage(bytes, everything, each);
    if (after === undefined) result.delete(name);
    else result.set(name, after);
  }
  return result;
}

it(
  `a folder is opened as it once was, or refused, or repaired, whatever became of its files: ${RUNS} folders`,
  async () => {
    const fixture = await makeFixture();
    const everSeen = new Set(fixture.states.flat().map((record) => JSON.stringify(record)));
    let [opened, refused] = [0, 0];

    const check = async (files: Files): Promise<void> => {
      const folder = writeFolder(newFolder(), files);
      try {
        const { log, host } = await openDisk(folder, { roomBytes: ROOM_BYTES });
        const state = stateOf(host);
        await log.close();
        opened += 1;
        // Where nobody has touched the checkpoint, nothing that it knows of may be missing either.
        const isKnown = files.get('deadlines')?.equals(fixture.files.get('deadlines') ?? Buffer.alloc(0));
        expect(fixture.states.slice(isKnown ? fixture.checkpointed : 0)).toContainEqual(state);
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        refused += 1;
        expect(error.code).toMatch(/^data_(damaged|foreign)$/);
        expect(readFolder(folder)).toEqual(files);
        if (error.code === 'data_damaged') await checkRepair(folder);
      }
      rmSync(folder, { recursive: true });
    };

    /** What a repair keeps is what there once was; what is foreign it leaves to a person. */
    const checkRepair = async (folder: string): Promise<void> => {
      try {
        const { log, host } = await openDisk(folder, { repair: true, roomBytes: ROOM_BYTES });
        for (const record of stateOf(host)) expect(everSeen).toContain(JSON.stringify(record));
        await log.close();
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        expect(error.code).toBe('data_foreign');
      }
    };

    const property = fc.asyncProperty(fc.array(damages, { minLength: 1, maxLength: 3 }), async (list) => {
      await check(damaged(fixture, list));
    });
    await fc.assert(property, { numRuns: RUNS });
    // Both were met, or the damage is not what it is meant to be.
    expect(Math.min(opened, refused)).toBeGreaterThan(RUNS / 20);
  },
  60_000 + RUNS * 100,
);
