import { ALL } from '@reg/protocol';
import type { Context } from '../context.js';
import { plain } from '../table.js';
import { collect } from './query.js';

/** How long somebody who has pressed Tab waits, in ms. */
const PATIENCE_MS = 300;

/**
 * Writes the names of all services, one a line, for completion: as they are, so that they complete to what is
 * there. Those that a terminal would act upon are left out. What fails is silent: there is nobody to read it.
 */
export async function services({ connect, clock, output }: Context): Promise<void> {
  const controller = new AbortController();
  const timer = clock.after(PATIENCE_MS, () => controller.abort());
  const client = connect({ requestTimeout: PATIENCE_MS, connectTimeout: PATIENCE_MS });
  try {
    const reply = await collect(client, { key: ALL, status: 'any' }, controller.signal);
    const names = new Set(reply.services.map(({ key }) => key));
    for (const name of names) if (plain(name) === name) output.script(`${name}\n`);
    await client.close();
  } catch {
    // No names, no completion.
  } finally {
    timer.cancel();
  }
}
