import { once } from 'node:events';
import type { Clock, Timer } from '@reg/protocol';

/** Some 12 days, which is within what Node's timers hold; then it begins anew. */
const STAY_MS = 2 ** 30;

/** Keeps the process, which a client does not, until the function that it returns is called. */
export function stay(clock: Clock): () => void {
  let timer: Timer;
  const begin = (): void => {
    timer = clock.after(STAY_MS, begin);
    timer.ref();
  };
  begin();
  return () => timer.cancel();
}

/** Resolves when the signal is aborted, perhaps at once. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

/** Whether `promise` is fulfilled within `ms`. The process stays for it that long. */
export async function within(clock: Clock, ms: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: Timer | undefined;
  const over = new Promise<boolean>((resolve) => {
    timer = clock.after(ms, () => resolve(false));
    timer.ref();
  });
  const kept = promise.then(
    () => true,
    () => false,
  );
  const result = await Promise.race([kept, over]);
  timer?.cancel();
  return result;
}
