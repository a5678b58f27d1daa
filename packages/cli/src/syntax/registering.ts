/** The commands that change what is registered. */

import { DEFAULT_TIMEOUT } from '@reg/protocol';
import { type Command, Option } from 'commander';
import type { RegisterArguments } from '../commands/register.js';
import type { RunArguments } from '../commands/run.js';
import { append, choice, type Surroundings } from './syntax.js';

export function addRegister(program: Command, { makeContext }: Surroundings): void {
  const command = program
    .command('register')
    .summary('register a service')
    .description(
      'Registers a service, or one instance of it. Registering again renews it, and replaces its content. It ends ' +
        'when its ttl is over; with --keep it stays registered for as long as the command runs.',
    )
    .argument('<key>', 'name of the service')
    .argument('<values>', 'where it is, and whatever else its users need')
    .option('--instance <id>', 'which of several instances of the service; without it the one unnamed instance')
    .option('--keep', 'stay, and keep it registered; Ctrl-C destroys it');
  addContent(command)
    .addOption(choice('--status <status>', 'what it says of itself', ['passing', 'draining', 'critical']))
    .addHelpText(
      'after',
      `
Examples:
  regctl register redis 123456@127.0.0.1:6379 --ttl 30
  regctl register web 10.0.0.5:80 --instance web-1 --tag v2 --meta zone=eu-1 --weight 5
  regctl register db '{"host":"10.0.0.7","port":5432}' --json-value --ttl never
  regctl register web 10.0.0.5:80 --instance web-1 --ttl 10 --keep`,
    )
    .action(async (key: string, values: string, flags: Omit<RegisterArguments, 'key' | 'values'>) => {
      const { register } = await import('../commands/register.js');
      await register({ ...flags, key, values }, await makeContext());
    });
}

/** What is registered, beside where it is. */
function addContent(command: Command): Command {
  return command
    .option(
      '--ttl <time>',
      `how long it lives unless it is registered again, in seconds or as 500ms or 2m, or "never" (default ${DEFAULT_TIMEOUT})`,
    )
    .option(
      '--linger <time>',
      'how long it outlives a connection that breaks, or "none" to be bound to none (default 2)',
    )
    .option('--takeover', 'take it over from another owner that has it')
    .option('--tag <tag>', 'a word that describes it; may be given again', append)
    .option('--meta <name=text>', 'something to know of it; may be given again', append)
    .option('--weight <n>', 'its share of traffic, for those who balance it, 0 to 65535')
    .option('--json-value', 'values is JSON, not text');
}

export function addRun(program: Command, { host, makeContext, exit }: Surroundings): void {
  const command = program
    .command('run')
    .summary('run a command, registered while it works')
    .description(
      'Runs a command, and keeps a service registered while that lives and its check passes: from the first check that ' +
        'passes on, critical where two in a row fail, and destroyed when it ends. Asked to stop by SIGTERM or Ctrl-C it ' +
        'drains the registration, then passes the signal on. It exits as the command does. Whether there is a registry ' +
        'makes no difference to the command.',
    )
    .usage('<key> <values> [options] -- command [arguments]')
    .argument('<key>', 'name of the service')
    .argument('<values>', 'where it is, and whatever else its users need')
    .argument('[command...]', 'what to run, after two dashes')
    .option('--check <check>', 'tcp, tcp:host:port, a URL that has to answer 2xx or 3xx, or command:line for the shell')
    .option('--check-interval <time>', 'from one check to the next, and what one may take (default 2s)', '2s')
    .option('--drain-timeout <time>', 'how long to wait, when it leaves, for those who watch (default 5s)', '5s')
    .option('--instance <id>', 'its instance; without it one that no other process has');
  addContent(command)
    .addHelpText(
      'after',
      `
The check tcp connects to where the values say that the service is. Before the first check that passes, checks come
every 250 ms.

Examples:
  regctl run payments 10.0.0.5:8080 --check tcp -- node server.js
  regctl run payments 10.0.0.5:8080 --check http://127.0.0.1:8080/health --ttl 10 -- ./server --port 8080
  regctl run mail 10.0.0.6:25 --check 'command:./is-up.sh' --check-interval 10s --tag v2 -- ./mail`,
    )
    .action(
      async (key: string, values: string, words: string[], flags: Omit<RunArguments, 'key' | 'values' | 'command'>) => {
        const { run } = await import('../commands/run.js');
        const { foreground, takeSignals } = host;
        const context = { ...(await makeContext()), foreground, takeSignals };
        exit(await run({ ...flags, key, values, command: words }, context));
      },
    );
}

export function addDestroy(program: Command, { makeContext }: Surroundings): void {
  program
    .command('destroy')
    .summary('end registrations')
    .description('Ends the unnamed instance of a service, a named one, or all. Nothing to end is no failure.')
    .argument('<key>', 'name of the service')
    .option('--instance <id>', 'this instance')
    .addOption(new Option('--all', 'every instance of the service').conflicts('instance'))
    .addHelpText(
      'after',
      `
Whoever keeps it registered is told, and does not register it again.

Examples:
  regctl destroy redis
  regctl destroy web --instance web-1
  regctl destroy web --all`,
    )
    .action(async (key: string, flags: { instance?: string; all?: boolean }) => {
      const { destroy } = await import('../commands/destroy.js');
      await destroy({ ...flags, key }, await makeContext());
    });
}
