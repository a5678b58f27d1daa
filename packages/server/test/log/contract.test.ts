import type { Durability } from '@reg/protocol';
import { MemoryLog } from '../../src/log/memory.js';
import { describeLog, type OpenLog, type Place } from './contract.js';
import { copyFolder, newFolder, openDisk, TestHost } from './harness.js';

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

describeLog('the memory log', memory, { keeps: false, epochAfterClose: 'new', epochAfterCrash: 'new' });
for (const durability of ['always', 'everysec', 'no'] as const) {
  describeLog(`the disk log with durability ${durability}`, () => disk(durability), {
    keeps: true,
    epochAfterClose: 'kept',
    epochAfterCrash: durability === 'always' ? 'kept' : 'new',
  });
}
