import type { BackupReply, Client } from '@reg/client';
import { writeBackup } from '@reg/server';
import { type Context, withClient } from '../context.js';
import { countOf } from '../records.js';

/** Writes everything that is registered at one moment into a file. */
export async function backup(file: string, context: Context): Promise<void> {
  const { output, signal } = context;
  const header = await withClient(context, (client) => writeBackup(file, pagesOf(client, signal)));
  output.result(
    { file, ...header },
    `${countOf(header.instances, 'registration')} in ${file}, as of revision ${header.revision}`,
  );
}

/** The first page holds on to the moment that all the others are of. */
async function* pagesOf(client: Client, signal: AbortSignal): AsyncGenerator<BackupReply> {
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page: BackupReply = await client.request('backup', { after }, { signal });
    yield page;
    after = page.next;
  }
}
