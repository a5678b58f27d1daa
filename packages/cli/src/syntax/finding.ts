/** The commands that look at what is registered. */

import { STATUSES } from '@reg/protocol';
import type { Command, Option } from 'commander';
import type { QueryArguments } from '../commands/query.js';
import type { WaitArguments } from '../commands/wait.js';
import type { WatchArguments } from '../commands/watch.js';
import { append, choice, type Surroundings } from './syntax.js';

export function addQuery(program: Command, { makeContext }: Surroundings): void {
  program
    .command('query')
    .summary('show what is registered')
    .description(
      'Shows the instances of a service, or of all services: those that pass, and where a service has none of these, ' +
        'the suspect ones, whose connection broke.',
    )
    .argument('<key>', 'name of the service, or "all"')
    .option('--instance <id>', 'only this instance')
    .addOption(choice('--status <status>', 'which of them, by status', ['any', ...STATUSES]))
    .option('--tag <tag>', 'only those that have this tag; may be given again', append)
    .option('--meta <name=text>', 'only those of which this is known; may be given again', append)
    .option('--detail', 'also the time that is left, the revision and the labels')
    .addHelpText(
      'after',
      `
A name with nothing registered ends with exit code 3; "all" with nothing does not.

Examples:
  regctl query redis
  regctl query web --instance web-1 --detail
  regctl query web --status any --tag v2 --meta zone=eu-1
  regctl query all
  regctl query redis --json | jq -r '.services[0].values'`,
    )
    .action(async (key: string, flags: Omit<QueryArguments, 'key'>) => {
      const { query } = await import('../commands/query.js');
      await query({ ...flags, key }, await makeContext());
    });
}

export function addWatch(program: Command, { makeContext }: Surroundings): void {
  program
    .command('watch')
    .summary('show what is registered, and every change')
    .description(
      'Shows the instances of a service, whatever their status, and every change of them, until Ctrl-C: a table on a ' +
        'terminal, and otherwise a line for each change. It goes on when the registry was away.',
    )
    .argument('[key]', 'name of the service, or "all"')
    .option('--prefix <text>', 'every service whose name begins with this')
    .addHelpText(
      'after',
      `
With --json it writes the events of the protocol as they come, one a line: state, synced, change and reset.

Examples:
  regctl watch payments
  regctl watch all
  regctl watch --prefix eu- | tee changes.log
  regctl watch payments --json | jq -c 'select(.type == "change")'`,
    )
    .action(async (key: string | undefined, flags: Omit<WatchArguments, 'key'>) => {
      const { watch } = await import('../commands/watch.js');
      await watch({ ...flags, ...(key !== undefined && { key }) }, await makeContext());
    });
}

/** As it could be typed. */
const DEFAULT_WAIT = '30s';

export function addWait(program: Command, { host, makeContext, exit }: Surroundings): void {
  program
    .command('wait')
    .summary('wait until a service is there')
    .description(
      'Waits until a service has enough instances that pass, and then runs a command in its place, if there is one, and ' +
        'exits as that does. It waits for the registry too. When that has just restarted, what was registered before ' +
        'counts once the registry knows that it lives.',
    )
    .usage('<key> [options] [-- command [arguments]]')
    .argument('<key>', 'name of the service')
    .argument('[command...]', 'what to run then, after two dashes')
    .option('--min <n>', 'so many instances (default 1)')
    // The program takes it, as it does for every command; here it is told what it means.
    .option('--timeout <time>', `how long to wait for them (default ${DEFAULT_WAIT})`)
    .configureHelp({
      ...program.configureHelp(),
      visibleGlobalOptions: () => program.options.filter((option) => !isTimeout(option)),
    })
    .addHelpText(
      'after',
      `
Where the time is over it ends with exit code 5.

Examples:
  regctl wait payments
  regctl wait payments --min 2 --timeout 2m -- node server.js`,
    )
    .action(async (key: string, words: string[], flags: Omit<WaitArguments, 'key' | 'command'>) => {
      const { wait } = await import('../commands/wait.js');
      const { foreground, takeSignals } = host;
      const context = { ...(await makeContext(DEFAULT_WAIT)), foreground, takeSignals };
      exit(await wait({ ...flags, key, command: words }, context));
    });
}

function isTimeout(option: Option): boolean {
  return option.attributeName() === 'timeout';
}

export function addExplain(program: Command, { makeContext }: Surroundings): void {
  program
    .command('explain')
    .summary('tell all that is known of an instance')
    .description(
      'Tells who registered an instance, from where, how it is renewed, why it is suspect and who watches it, or how it ' +
        'ended. Marked with ! is what is not as it should be.',
    )
    .argument('<key/instance>', 'a service and its instance; the service alone for its unnamed one')
    .addHelpText(
      'after',
      `
An instance of which nothing is known ends with exit code 3.

Examples:
  regctl explain payments/i-42
  regctl explain redis --json`,
    )
    .action(async (name: string) => {
      const { explain } = await import('../commands/explain.js');
      await explain(name, await makeContext());
    });
}
