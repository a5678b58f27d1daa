/** What is written to; `process.stdout` is one. */
export interface Terminal {
  readonly isTTY?: boolean;
  /** Only where it is a terminal. */
  readonly columns?: number;
  write(text: string): unknown;
}

/** What a run of regctl has from its process, and a test from itself. */
export interface Host {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  /** A signal that Ctrl-C aborts. Until somebody asks for it, Ctrl-C ends the process as it always does. */
  interruption(): AbortSignal;
}

const INTERRUPTED = 130;

/** @param unwritable is called where what was written could not be, as on a disk that is full. */
export function processHost(unwritable: (error: Error) => void): Host {
  const { env, stdout, stderr } = process;
  const listener = (error: NodeJS.ErrnoException): void => {
    // Whoever reads a pipe may have had enough, as in `regctl query all | head`.
    if (error.code !== 'EPIPE') unwritable(error);
  };
  for (const stream of [stdout, stderr]) stream.on('error', listener);
  return { env, stdout, stderr, interruption };
}

/** The first signal asks for an end in good order, the second does not wait for it. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    controller.abort();
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  return controller.signal;
}
