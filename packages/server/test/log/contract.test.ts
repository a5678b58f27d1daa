import type { Durability } from '@reg/protocol';
import { MemoryLog } from '../../src/log/memory.js';
import { describeLog, type OpenLog, type Place } from './contract.js';
import { copyFolder, newFolder, openDisk, TestHost } from './harness.js';
import { SharedLog, SharedStream } from './shared-log.js';

function memory(): Place {
  const open = async (): Promise<OpenLog> => {
    const [log, host] = [new MemoryLog(), new TestHost()];
    await log.open(host);
    return { log, host };
  };
  return { open, openAfterCrash: open };
}

function disk(durability: Durability): Place {
  const folder = newFolder();
  return {
    open: () => openDisk(folder, { durability }),
    openAfterCrash: () => openDisk(copyFolder(folder), { durability }),
  };
}

/** Stands in for the log of several daemons, to show that the interface fits one. */
function shared(): Place {
  const stream = new SharedStream();
  const open = async (): Promise<OpenLog> => {
    const [log, host] = [new SharedLog(stream), new TestHost()];
    await log.open(host);
    return { log, host };
  };
  const openAfterCrash = async (before: OpenLog): Promise<OpenLog> => {
    await before.log.close();
    return open();
  };
  return { open, openAfterCrash, proposeElsewhere: (change) => stream.append(change) };
}

describeLog('the memory log', memory, {
  keeps: false,
  epochAfterClose: 'new',
  epochAfterCrash: 'new',
  isShared: false,
});
for (const durability of ['always', 'everysec', 'no'] as const) {
  describeLog(`the disk log with durability ${durability}`, () => disk(durability), {
    keeps: true,
    epochAfterClose: 'kept',
    epochAfterCrash: durability === 'always' ? 'kept' : 'new',
    isShared: false,
  });
}
describeLog('a log that orders elsewhere', shared, {
  keeps: true,
  epochAfterClose: 'kept',
  epochAfterCrash: 'kept',
  isShared: true,
});
