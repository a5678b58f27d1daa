import { text } from 'node:stream/consumers';

/** What is written to; `process.stdout` is one. */
export interface Terminal {
  readonly isTTY?: boolean;
  /** Only where it is a terminal. */
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

/** What a run of regctl has from its process, and a test from itself. */
export interface Host {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  /** Whether a terminal sends Ctrl-C to this process and, at the same time, to those that it starts. */
  readonly foreground: boolean;
  /** All of standard input. */
  readInput(): Promise<string>;
  /**
   * A signal that Ctrl-C aborts, and that nobody reads the results any more. Until somebody asks for it, Ctrl-C ends
   * the process as it always does.
   */
  interruption(): AbortSignal;
  /** From now on `listener` gets every signal that can be passed on, and nothing else comes of it. */
  takeSignals(listener: (signal: NodeJS.Signals) => void): void;
}

const INTERRUPTED = 130;

/** What other processes are told by. Those that a terminal stops and resumes with act on all of them at once. */
const PASSED_ON: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];

/** @param unwritable is called where what was written could not be, as on a disk that is full. */
export function processHost(unwritable: (error: Error) => void): Host {
  const { env, stdout, stderr } = process;
  const controller = new AbortController();
  // Whoever reads a pipe may have had enough, as in `regctl query all | head`: what goes on writing ends then.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') controller.abort();
    else unwritable(error);
  });
  stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') unwritable(error);
  });
  const readInput = (): Promise<string> => text(process.stdin);
  return { env, stdout, stderr, foreground: process.stdin.isTTY === true, readInput, ...processSignals(controller) };
}

function processSignals(controller: AbortController): Pick<Host, 'interruption' | 'takeSignals'> {
  /** The first signal asks for an end in good order, the second does not wait for it. */
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    controller.abort();
  };
  return {
    interruption() {
      process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
      return controller.signal;
    },
    takeSignals(listener) {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
      for (const signal of PASSED_ON) process.on(signal, listener);
    },
  };
}
