/** Waiting without sleeping: for the loop, for the disk, and for what comes of both. */

/** Far more than a disk that is busy takes, and less than a test may. */
const PATIENCE_MS = 20_000;

/** One turn of the loop. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets the loop and the disk go on until `isSo`. */
export async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`it has not come to this: ${isSo}`);
    await turn();
  }
}

/**
 * Lets everything that is ready to run, run: streams, promises and what is being read and written on the disk, not
 * time. `turns` of the loop in a row go by in which no file was being used.
 */
export async function settle(turns = 10): Promise<void> {
  for (let quiet = 0; quiet < turns; ) {
    await turn();
    const isBusy = process.getActiveResourcesInfo().some((name) => /^(FSReq|CloseReq)/.test(name));
    quiet = isBusy ? 0 : quiet + 1;
  }
}
