import { CommandError, explain } from './errors.js';
import { type Host, processHost } from './host.js';
import { Output } from './output.js';
import { makeProgram } from './program.js';

/** Runs regctl as this process. Its exit code is set, and the process ends when nothing is left to be done. */
export async function main(version: string): Promise<void> {
  const args = process.argv.slice(2);
  const host = processHost((error) => {
    const failure = explain(new CommandError('unwritable', `cannot write: ${error.message}`));
    new Output(host, args).fail(failure);
    process.exit(failure.exit);
  });
  process.exitCode = await run(args, version, host);
}

/**
 * Runs one command line.
 *
 * @param args without the program's name.
 * @returns the exit code; see `EXIT_CODES`, but that of a command that it ran may be any. It never throws.
 */
export async function run(args: readonly string[], version: string, host: Host): Promise<number> {
  const output = new Output(host, args);
  let code = 0;
  try {
    const program = await makeProgram(args, version, host, output, (ended) => {
      code = ended;
    });
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    const failure = explain(error);
    if (failure.exit !== 0) output.fail(failure);
    return failure.exit;
  }
}
