import type { Client, WatchTarget } from '@reg/client';
import { ALL } from '@reg/protocol';
import { Board } from '../board.js';
import { type Context, withClient } from '../context.js';
import { CommandError } from '../errors.js';
import { Journal } from '../journal.js';
import { readKey, readPrefix } from '../names.js';

export interface WatchArguments {
  /** The name of a service, or `all`; absent where there is a prefix. */
  readonly key?: string;
  readonly prefix?: string;
}

/** Shows what is there, and every change of it, until it is interrupted: that is its end, and no failure. */
export async function watch(given: WatchArguments, context: Context): Promise<void> {
  const target = readTarget(given);
  const { output, signal } = context;
  const action = async (client: Client): Promise<void> => {
    await reach(client, context);
    const display = output.live ? new Board(titleOf(target), context) : new Journal(titleOf(target), context);
    client.on('disconnect', ({ error }) => display.lost(error));
    try {
      for await (const event of client.watch(target, { signal })) display.take(event);
    } catch (error) {
      if (!signal.aborted || !display.answered) throw error;
    } finally {
      display.close();
    }
  };
  await withClient(context, action, { reconnect: {} });
}

/** Where there is no registry it goes on trying, but only for `--timeout` before there was one. */
async function reach(client: Client, { output, signal }: Context): Promise<void> {
  client.once('retry', ({ error }) => output.note('retry', `no connection yet (${error.message}): trying again`));
  await client.ping({ signal });
  client.removeAllListeners('retry');
}

/** @throws {RegistryError | CommandError} */
function readTarget({ key, prefix }: WatchArguments): WatchTarget {
  if ((key === undefined) === (prefix === undefined)) {
    throw new CommandError('usage', 'what to watch is either the name of a service, or all, or what --prefix says');
  }
  if (prefix !== undefined) return { prefix: readPrefix(prefix) };
  return key === undefined || key === ALL ? ALL : readKey(key);
}

function titleOf(target: WatchTarget): string {
  if (typeof target === 'object') return `services that begin with ${target.prefix}`;
  return target === ALL ? 'all services' : target;
}
