import type { Client } from './client.js';
import type { DrainOptions } from './drain.js';

export interface SignalOptions extends DrainOptions {
  /** Which signals end the process; SIGTERM and SIGINT. */
  readonly signals?: readonly NodeJS.Signals[];
  /** What is done in the end, in place of raising the signal again. */
  readonly exit?: (signal: NodeJS.Signals) => void;
}

/**
 * Leaves gracefully when the process is told to end: drains what the client has registered, closes the client, and
 * raises the signal again, which ends the process as if nobody had listened. Where others listen to it, ending the
 * process is left to them. A second signal does not wait for the first.
 *
 * @returns what undoes it.
 */
export function handleSignals(client: Pick<Client, 'drain' | 'close'>, options: SignalOptions = {}): () => void {
  const { signals = ['SIGTERM', 'SIGINT'], exit = raise, ...drain } = options;
  const undo = (): void => {
    for (const signal of signals) process.off(signal, listener);
  };
  const listener = (signal: NodeJS.Signals): void => {
    undo();
    void leave(client, drain).then(() => exit(signal));
  };
  for (const signal of signals) process.on(signal, listener);
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
