/** Damage at every byte of every file, and the end of every file at every length. */

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RegistryError } from '@reg/protocol';
import { describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/log/checkpoint.js';
import { decodeEntryHeader, ENTRY_HEADER_BYTES, FILE_HEADER_BYTES } from '../../src/log/format.js';
import { replay } from '../../src/log/replay.js';
import { settle, until } from '../settle.js';
import {
  type Files,
  newFolder,
  type OpenDisk,
  openDisk,
  readFolder,
  refusalOf,
  stateOf,
  TestHost,
  writeFolder,
} from './harness.js';

/** A data folder of a daemon that was killed, and what it had been. */
interface Fixture {
  readonly files: Files;
  /** The registry at each revision. */
  readonly states: readonly object[][];
  readonly epoch: string;
  /** The checkpoint's high-water mark. */
  readonly checkpointed: number;
}

/** Three entries in one segment, the first two of them before the checkpoint. */
async function makeLog(durability: 'always' | 'everysec' = 'always', end: 'killed' | 'closed' = 'killed') {
  const open = await openDisk(newFolder(), { durability });
  const states: object[][] = [[]];
  const { host } = open;
  await propose(
    open,
    states,
    () => host.registration('a'),
    () => host.registration('b'),
  );
  await propose(
    open,
    states,
    () => host.ending('a'),
    () => host.registration('b', { body: '"values":"\u00e9"' }),
  );
  await checkpoint(open);
  await propose(open, states, () => host.registration('c'));
  if (end === 'closed') await open.log.close();
  return fixtureOf(open, states);
}

/** A snapshot, and a segment with two entries behind it, all before the checkpoint. */
async function makeSnapshot(): Promise<Fixture> {
  const open = await openDisk(newFolder(), { segmentBytes: 200 });
  const states: object[][] = [[]];
  const { host, folder } = open;
  await settle();
  await propose(
    open,
    states,
    () => host.registration('a'),
    () => host.registration('b'),
    () => host.registration('x'),
  );
  await until(() => readdirSync(folder).includes('00000002.snapshot') && !readdirSync(folder).includes('00000001.log'));
  await propose(open, states, () => host.ending('x'));
  await propose(open, states, () => host.registration('c'));
  await checkpoint(open);
  return fixtureOf(open, states);
}

type Propose = ReturnType<OpenDisk['host']['registration']> | ReturnType<OpenDisk['host']['ending']>;

/** Proposes changes that share an entry, and keeps the registry after each. */
async function propose({ log, host }: OpenDisk, states: object[][], ...changes: (() => Propose)[]): Promise<void> {
  for (const change of changes) {
    log.propose(change());
    states.push(stateOf(host));
  }
  await log.flush();
}

/** Has the checkpoint written that is due every 5 s. */
async function checkpoint({ log, host, folder }: OpenDisk): Promise<void> {
  await settle();
  host.pass(5000);
  await settle();
  expect(checkpointOf(folder)).toBe(log.durable);
}

function checkpointOf(folder: string): number {
  const read = readCheckpoint(folder);
  return read === undefined || read === 'damaged' ? 0 : read.revision;
}

function fixtureOf({ folder, log }: OpenDisk, states: object[][]): Fixture {
  return { files: readFolder(folder), states, epoch: log.epoch, checkpointed: checkpointOf(folder) };
}

function damaged({ files }: Fixture, name: string, damage: (bytes: Buffer) => Buffer): Files {
  return new Map([...files].map(([each, bytes]) => [each, each === name ? damage(Buffer.from(bytes)) : bytes]));
}

/** The ways in which a byte goes wrong. */
const PATTERNS: readonly ((byte: number) => number)[] = [
  (byte) => byte ^ 0x01,
  (byte) => byte ^ 0x80,
  (byte) => byte ^ 0xff,
  () => 0,
];

/** Every version of a fixture with one wrong byte in `name`. */
function* flips(fixture: Fixture, name: string, patterns = PATTERNS): Generator<{ files: Files; where: string }> {
  const size = fixture.files.get(name)?.length ?? 0;
  for (let at = 0; at < size; at += 1) {
    for (const pattern of patterns) {
      const before = fixture.files.get(name)?.[at] ?? 0;
      const after = pattern(before);
      if (after === before) continue;
      const files = damaged(fixture, name, (bytes) => {
        bytes[at] = after;
        return bytes;
      });
      yield { files, where: `${name}, byte ${at}: ${before} to ${after}` };
    }
  }
}

/** Every version of a fixture in which `name` ends early. */
function* cuts(fixture: Fixture, name: string): Generator<{ files: Files; where: string; length: number }> {
  const size = fixture.files.get(name)?.length ?? 0;
  for (let length = 0; length < size; length += 1) {
    yield {
      files: damaged(fixture, name, (bytes) => bytes.subarray(0, length)),
      where: `${name} to ${length}`,
      length,
    };
  }
}

/** Some of them, where each costs several syncs. */
function* oneIn<T>(share: number, cases: Iterable<T>): Generator<T> {
  let index = 0;
  for (const each of cases) if (index++ % share === 0) yield each;
}

/** Names of the segments and snapshots. */
function logNames({ files }: Fixture): string[] {
  return [...files.keys()].filter((name) => name !== 'deadlines');
}

/** Calls `check` with a folder for each case, some at a time: most of it is waiting for the disk. */
async function forEach<T extends { files: Files }>(
  cases: Iterable<T>,
  check: (folder: string, each: T) => Promise<void>,
) {
  let checked = 0;
  const queue = cases[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      const folder = writeFolder(newFolder(), next.value.files);
      await check(folder, next.value);
      rmSync(folder, { recursive: true });
      checked += 1;
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
  return checked;
}

async function expectRefused(folder: string, files: Files, where: string): Promise<RegistryError> {
  const refusal = await refusalOf(folder).catch((error: unknown) => expect.fail(`${where}: ${String(error)}`));
  expect(refusal.code, where).toMatch(/^data_(damaged|foreign)$/);
  expect(refusal.message, where).toMatch(/backup.*--repair|remove it/);
  expect(readFolder(folder), where).toEqual(files);
  return refusal;
}

/** Goes on with what was opened, and sees that it holds over a kill and a close. */
async function expectUsable(open: OpenDisk, where: string): Promise<void> {
  open.log.propose(open.host.registration('more'));
  await open.log.flush();
  const state = stateOf(open.host);
  const files = readFolder(open.folder);
  await open.log.close();
  const again = await openDisk(open.folder).catch((error: unknown) => expect.fail(`${where}, closed: ${error}`));
  expect(stateOf(again.host), where).toEqual(state);
  await again.log.close();
  const killed = await openDisk(writeFolder(newFolder(), files));
  expect(stateOf(killed.host), where).toEqual(state);
  await killed.log.close();
}

describe.each([
  ['a log', makeLog],
  ['a snapshot and what came after it', makeSnapshot],
])('%s', (_, make) => {
  let fixture: Fixture;

  // Made inside a test, so that the folder goes away with it.
  const load = async (): Promise<Fixture> => {
    fixture ??= await make();
    return fixture;
  };

  it('opens as it was', async () => {
    const { files, states, epoch } = await load();
    const open = await openDisk(writeFolder(newFolder(), files));
    expect(stateOf(open.host)).toEqual(states.at(-1));
    expect(open.log.epoch).toBe(epoch);
    expect(open.host.warnings).toEqual([]);
    await expectUsable(open, 'undamaged');
  });

  it('is refused with a wrong byte in a segment or a snapshot, and left as it is', async () => {
    await load();
    for (const name of logNames(fixture)) {
      await forEach(oneIn(3, flips(fixture, name, PATTERNS.slice(0, 1))), async (folder, { files, where }) => {
        const { message } = await expectRefused(folder, files, where);
        expect(message, where).toContain(join(folder, name));
      });
    }
  });

  it('is never read as something else, in whatever way a byte is wrong', async () => {
    await load();
    for (const name of logNames(fixture)) {
      const folder = writeFolder(newFolder(), fixture.files);
      const { registry } = new TestHost();
      for (const { files, where } of flips(fixture, name)) {
        writeFileSync(join(folder, name), files.get(name) ?? '');
        registry.clear();
        expect(() => replay(folder, registry, () => 0), where).toThrow(join(folder, name));
      }
    }
  });

  it('opens with any wrong byte in the deadlines, and says so', async () => {
    const { states, epoch } = await load();
    await forEach(flips(fixture, 'deadlines', PATTERNS.slice(2)), async (folder, { where }) => {
      const { log, host } = await openDisk(folder);
      expect(stateOf(host), where).toEqual(states.at(-1));
      expect(host.warnings, where).toEqual([expect.stringContaining('checkpoint')]);
      expect(log.epoch, where).toBe(epoch);
      await log.close();
    });
  });

  it('opens with the deadlines cut off anywhere, and says so', async () => {
    const { states } = await load();
    await forEach(cuts(fixture, 'deadlines'), async (folder, { where }) => {
      const { log, host } = await openDisk(folder);
      expect(stateOf(host), where).toEqual(states.at(-1));
      expect(host.warnings, where).toEqual([expect.stringContaining('checkpoint')]);
      await log.close();
    });
  });

  it('opens with a segment that is cut off behind the checkpoint, as it was then, and is refused before it', async () => {
    const { states, checkpointed, epoch } = await load();
    const name = [...fixture.files.keys()].find((each) => each.endsWith('.log')) ?? '';
    const opened = new Set<number>();
    await forEach(cuts(fixture, name), async (folder, { files, where, length }) => {
      const { registry } = new TestHost();
      replay(folder, registry, () => 0, true);
      const { revision } = registry;
      if (revision < checkpointed) {
        await expectRefused(folder, files, where);
        return;
      }
      opened.add(revision);
      const open = await openDisk(folder);
      expect(stateOf(open.host), where).toEqual(states[revision]);
      expect(open.log.epoch, where).toBe(epoch);
      if (length % 8 === 0) await expectUsable(open, where);
      else await open.log.close();
    });
    expect([...opened]).toEqual(make === makeLog ? [checkpointed] : []);
  });

  it('keeps what is before the damage when it is repaired, under a new epoch, and sets the files aside', async () => {
    const { states, epoch } = await load();
    const everSeen = states.flat().map((record) => JSON.stringify(record));
    const names = logNames(fixture);
    for (const name of names) {
      await forEach(oneIn(7, flips(fixture, name, PATTERNS.slice(2, 3))), async (folder, { files, where }) => {
        const { log, host } = await openDisk(folder, { repair: true });
        const state = stateOf(host);
        expect(log.epoch, where).not.toBe(epoch);
        if (make === makeLog) expect(states.slice(0, -1), where).toContainEqual(state);
        else for (const record of state) expect(everSeen, where).toContain(JSON.stringify(record));
        const place = readdirSync(folder).find((each) => each.startsWith('damaged-')) ?? '';
        for (const each of names) expect(readFileSync(join(folder, place, each)), where).toEqual(files.get(each));
        await log.close();
        const again = await openDisk(folder);
        expect(stateOf(again.host), where).toEqual(state);
        expect(again.log.epoch, where).toBe(log.epoch);
        await again.log.close();
      });
    }
  });
});

describe('a snapshot', () => {
  it('is refused when it is cut off anywhere', async () => {
    const fixture = await makeSnapshot();
    const checked = await forEach(cuts(fixture, '00000002.snapshot'), async (folder, { files, where }) => {
      const { message } = await expectRefused(folder, files, where);
      expect(message, where).toContain(join(folder, '00000002.snapshot'));
    });
    expect(checked).toBeGreaterThan(200);
  });
});

describe('a segment of whole entries', () => {
  it('is read back, also where it is longer than what is read at once', async () => {
    const { log, host, folder } = await openDisk(newFolder());
    for (let index = 0; index < 14; index += 1) {
      const bytes = 300_000 + 97_001 * index;
      log.propose(host.registration(`key-${index}`, { body: `"values":"${String(index % 10).repeat(bytes)}"` }));
      if (index % 3 === 0) await log.flush();
    }
    await log.close();
    expect(readFolder(folder).get('00000001.log')?.length).toBeGreaterThan(12_000_000);
    expect(stateOf((await openDisk(folder)).host)).toEqual(stateOf(host));
  });

  it('is refused when one of them is missing, twice there, or in the wrong place', async () => {
    const fixture = await makeLog();
    const name = '00000001.log';
    const segment = fixture.files.get(name) ?? Buffer.alloc(0);
    const [header, first, second, third] = partsOf(segment);
    for (const order of [
      [second, third],
      [first, third],
      [first, first, second, third],
      [first, second, second, third],
      [second, first, third],
    ]) {
      const files = damaged(fixture, name, () => Buffer.concat([header, ...order]));
      const folder = writeFolder(newFolder(), files);
      const { message } = await expectRefused(folder, files, name);
      expect(message).toContain(join(folder, name));
    }
    const whole = damaged(fixture, name, () => Buffer.concat([header, first, second, third]));
    expect(stateOf((await openDisk(writeFolder(newFolder(), whole))).host)).toEqual(fixture.states.at(-1));
  });

  /** The header of a segment, and its three entries. */
  function partsOf(segment: Buffer): [Buffer, Buffer, Buffer, Buffer] {
    const ends = [FILE_HEADER_BYTES];
    for (let at = FILE_HEADER_BYTES; at < segment.length; ) {
      at += ENTRY_HEADER_BYTES + (decodeEntryHeader(segment, at)?.payloadBytes ?? segment.length);
      ends.push(at);
    }
    const part = (index: number): Buffer => segment.subarray(ends[index - 1] ?? 0, ends[index]);
    expect(ends).toHaveLength(4);
    return [part(0), part(1), part(2), part(3)];
  }
});

describe('a log whose replies do not wait for the disk', () => {
  it('opens as it once was when it is cut off, under a new epoch: a power cut does that', async () => {
    const fixture = await makeLog('everysec');
    await forEach(oneIn(3, cuts(fixture, '00000001.log')), async (folder, { files, where, length }) => {
      if (length < 64) {
        await expectRefused(folder, files, where);
        return;
      }
      const { log, host } = await openDisk(folder, { durability: 'everysec' });
      expect(stateOf(host), where).toEqual(fixture.states[host.registry.revision]);
      expect(log.epoch, where).not.toBe(fixture.epoch);
      await log.close();
    });
  });

  it('is refused when it is cut off after it was closed: then everything was on disk', async () => {
    const fixture = await makeLog('everysec', 'closed');
    await forEach(oneIn(3, cuts(fixture, '00000001.log')), async (folder, { files, where }) => {
      await expectRefused(folder, files, where);
    });
  });

  it('is refused with any wrong byte', async () => {
    const fixture = await makeLog('everysec');
    await forEach(oneIn(3, flips(fixture, '00000001.log', PATTERNS.slice(0, 1))), async (folder, { files, where }) => {
      await expectRefused(folder, files, where);
    });
  });
});
