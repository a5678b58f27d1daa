import type { Client } from './client.js';
import { DRAIN_TIMEOUT, type DrainOptions } from './drain.js';
import { checkDelay } from './options.js';

export interface SignalOptions extends DrainOptions {
  /** Which signals end the process; SIGTERM and SIGINT. */
  readonly signals?: readonly NodeJS.Signals[];
  /** What is done in the end, in place of raising the signal again. */
  readonly exit?: (signal: NodeJS.Signals) => void;
}

type Listener = (signal: NodeJS.Signals) => void;

/** Those of all clients of this process: the signal is raised again when the last of them has left. */
const ours = new Set<unknown>();
let leaving = 0;

/**
 * Leaves gracefully when the process is told to end: drains what the client has registered, closes the client, and
 * raises the signal again, which ends the process as if nobody had listened. Where others listen to it, ending the
 * process is left to them. A second signal does not wait for the first.
 *
 * @returns what undoes it.
 * @throws {RegistryError} `bad_config`
 */
export function handleSignals(client: Pick<Client, 'drain' | 'close'>, options: SignalOptions = {}): () => void {
  const { signals = ['SIGTERM', 'SIGINT'], exit, timeout = DRAIN_TIMEOUT } = options;
  checkDelay(timeout, 'timeout');
  const undo = (): void => {
    for (const signal of signals) process.off(signal, listener);
    ours.delete(listener);
  };
  const listener: Listener = (signal) => {
    // Asked now: who listens once listens no more when all is done.
    const isOthers = process.listeners(signal).some((other) => !ours.has(other));
    undo();
    leaving += 1;
    void leave(client, { timeout }).then(() => {
      leaving -= 1;
      if (exit) exit(signal);
      else if (!isOthers && leaving === 0) raise(signal);
    });
  };
  ours.add(listener);
  // First, or those who listen once would be gone.
  for (const signal of signals) process.prependListener(signal, listener);
  return undo;
}

/** Never rejects: whatever fails, the process has to end. */
async function leave(client: Pick<Client, 'drain' | 'close'>, options: DrainOptions): Promise<void> {
  await client.drain(options);
  await client.close();
}

function raise(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
