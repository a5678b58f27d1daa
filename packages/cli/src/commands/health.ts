import { RegistryError } from '@reg/protocol';
import { type Context, withClient } from '../context.js';

/** What is asked of a registry: that it answers, or that it is one to send clients to. */
export type Health = 'alive' | 'ready';

/** Answers of a registry that is there, but not for who asks. */
const REFUSALS: readonly string[] = [
  'unauthenticated',
  'forbidden',
  'throttled',
  'over_limit',
] satisfies RegistryError['code'][];

/**
 * Asks a registry how it is, for programs that look again and again. It takes no longer than `--timeout`, whatever the
 * registry does. Nothing is asked of the disk: one that hangs is no reason to kill the daemon that waits for it.
 *
 * @returns whether it is so.
 */
export async function health(wanted: Health, context: Context): Promise<boolean> {
  const { output, clock, signal, timeout } = context;
  const controller = new AbortController();
  const timer = clock.after(timeout, () => controller.abort());
  timer.ref();
  try {
    const reason = await findReason(wanted, { ...context, signal: AbortSignal.any([signal, controller.signal]) });
    const state = reason === undefined ? wanted : `not ${wanted}`;
    const text = reason === undefined ? state : `${state}: ${reason}`;
    output.report({ [wanted]: reason === undefined, ...(reason !== undefined && { reason }) }, [
      { text, tone: reason === undefined ? 'good' : 'bad' },
    ]);
    return reason === undefined;
  } finally {
    timer.cancel();
  }
}

/** Why it is not as wanted; `undefined` where it is. */
async function findReason(wanted: Health, context: Context): Promise<string | undefined> {
  const { signal } = context;
  try {
    return await withClient(context, async (client) => {
      if (wanted === 'alive') {
        await client.ping({ signal });
        return undefined;
      }
      const { refusing, warming } = await client.status({ signal });
      if (refusing !== undefined) return `it refuses changes: ${refusing}`;
      return warming === undefined ? undefined : 'it has just started, and what was registered is on its way back';
    });
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    // It has answered, and that is what was asked. How it is, it tells only whom it knows.
    if (wanted === 'alive' && REFUSALS.includes(error.code)) return undefined;
    // What to do about it is in further lines, for people.
    return error.code === 'aborted' ? 'it did not answer in time' : (error.message.split('\n')[0] ?? error.message);
  }
}
