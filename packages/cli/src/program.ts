/**
 * Every command of regctl with its flags and its help, and nothing of what it does: that is imported when the
 * command is run, so that none has to wait for what another needs.
 */

import { DEFAULT_TIMEOUT, formatEndpoint } from '@reg/protocol';
import { Argument, Command, CommanderError, Option } from 'commander';
import { DEFAULT_ENDPOINT } from './address.js';
import type { QueryArguments } from './commands/query.js';
import type { RegisterArguments } from './commands/register.js';
import type { ConnectionFlags, Context } from './context.js';
import { EXIT_CODES } from './errors.js';
import type { Host } from './host.js';
import { columnsOf, type Output } from './output.js';
import { SHELLS } from './shells.js';

/** A row of the daemon's table of options, as far as a flag of `serve` is made of it. */
interface ServeOption {
  readonly flag: string;
  readonly env: string;
  readonly help: string;
  readonly initial: unknown;
  /** All values that it takes, where they are few. */
  readonly choices?: readonly string[];
}

/** @param args is looked at for commands that need the daemon's options: loading the daemon takes time. */
export async function makeProgram(
  args: readonly string[],
  version: string,
  host: Host,
  output: Output,
): Promise<Command> {
  const program = makeRoot(version, host, output);
  const makeContext = async (): Promise<Context> => {
    const context = await import('./context.js');
    return context.makeContext(program.opts<ConnectionFlags>(), host, output);
  };
  addRegister(program, makeContext);
  addQuery(program, makeContext);
  addDestroy(program, makeContext);
  addServe(program, host, output, NEED_SERVER.some((name) => args.includes(name)) ? await loadServeOptions() : []);
  addCompletion(program, makeContext, output);
  addHelp(program);
  for (const command of [program, ...program.commands]) pointToHelp(command);
  return program;
}

type ContextMaker = () => Promise<Context>;

const NEED_SERVER = ['serve', 'completion'];

async function loadServeOptions(): Promise<readonly ServeOption[]> {
  const { OPTIONS } = await import('@reg/server');
  return Object.values<ServeOption>(OPTIONS);
}

/** Seconds, as they could be typed. */
const DEFAULT_PATIENCE = '5';

const ROOT_HELP = `
Examples:
  regctl serve                                              run a registry here
  regctl register redis 123456@127.0.0.1:6379 --ttl 30      register a service for 30 seconds
  regctl register web 10.0.0.5:80 --instance web-1 --keep   ... and for as long as this runs
  regctl query redis                                        where is it?
  regctl query all --json                                   everything, for a program
  regctl destroy redis

Environment:
  REG_ADDR               where the registry is, unless --addr says it
  NO_COLOR, FORCE_COLOR  no colour, and colour also where there is no terminal

Exit codes:
${Object.entries(EXIT_CODES)
  .map(([code, meaning]) => `  ${code.padStart(3)}  ${meaning}`)
  .join('\n')}`;

/** Our own words tell choices and defaults; Commander would add them once more. */
const HELP = { showGlobalOptions: true, optionDescription: ({ description }: Option) => description };

function makeRoot(version: string, { stdout }: Host, output: Output): Command {
  return new Command('regctl')
    .description('Registers, queries and destroys services in a registry, and runs one.')
    .version(version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    .option('--addr <host:port>', `where the registry is (env REG_ADDR, default ${formatEndpoint(DEFAULT_ENDPOINT)})`)
    .option('--timeout <seconds>', `how long to wait for it (default ${DEFAULT_PATIENCE})`, DEFAULT_PATIENCE)
    .option('--json', 'write JSON, failures as {"error":{"code","message"}} to standard error')
    .option('--no-color', 'write without colour')
    .addHelpText('after', ROOT_HELP)
    .configureHelp(HELP)
    .configureOutput({
      writeOut: (text) => output.script(text),
      // Failures are told in one place, in main.ts.
      writeErr: (text) => output.usage(text),
      outputError: () => {},
      getOutHelpWidth: () => Math.min(columnsOf(stdout), 100),
    });
}

function addRegister(program: Command, makeContext: ContextMaker): void {
  program
    .command('register')
    .summary('register a service')
    .description(
      'Registers a service, or one instance of it. Registering again renews it, and replaces its content. It ends ' +
        'when its ttl is over; with --keep it stays registered for as long as the command runs.',
    )
    .argument('<key>', 'name of the service')
    .argument('<values>', 'where it is, and whatever else its users need')
    .option(
      '--ttl <seconds>',
      `how long it lives unless it is registered again, or "never" (default ${DEFAULT_TIMEOUT})`,
    )
    .option('--instance <id>', 'which of several instances of the service; without it the one unnamed instance')
    .option('--tag <tag>', 'a word that describes it; may be given again', append)
    .option('--meta <name=text>', 'something to know of it; may be given again', append)
    .option('--weight <n>', 'its share of traffic, for those who balance it, 0 to 65535')
    .option('--json-value', 'values is JSON, not text')
    .option('--keep', 'stay, and keep it registered; Ctrl-C destroys it')
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
      const { register } = await import('./commands/register.js');
      await register({ ...flags, key, values }, await makeContext());
    });
}

function append(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

function addQuery(program: Command, makeContext: ContextMaker): void {
  program
    .command('query')
    .summary('show what is registered')
    .description('Shows the instances of a service, or of all services.')
    .argument('<key>', 'name of the service, or "all"')
    .option('--instance <id>', 'only this instance')
    .option('--detail', 'also the time that is left, the revision and the labels')
    .addHelpText(
      'after',
      `
A name with nothing registered ends with exit code 3; "all" with nothing does not.

Examples:
  regctl query redis
  regctl query web --instance web-1 --detail
  regctl query all
  regctl query redis --json | jq -r '.services[0].values'`,
    )
    .action(async (key: string, flags: Omit<QueryArguments, 'key'>) => {
      const { query } = await import('./commands/query.js');
      await query({ ...flags, key }, await makeContext());
    });
}

function addDestroy(program: Command, makeContext: ContextMaker): void {
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
Examples:
  regctl destroy redis
  regctl destroy web --instance web-1
  regctl destroy web --all`,
    )
    .action(async (key: string, flags: { instance?: string; all?: boolean }) => {
      const { destroy } = await import('./commands/destroy.js');
      await destroy({ ...flags, key }, await makeContext());
    });
}

/** The flags of `serve` that are no options of the daemon, which it has beside them. */
interface ServeFlags {
  readonly memory?: boolean;
  readonly config?: string;
  readonly printConfig?: boolean;
}

/** Flags that say where the registry is. `serve` has its own. */
const CONNECTION_FLAGS = ['addr', 'timeout'];

function addServe(program: Command, host: Host, output: Output, options: readonly ServeOption[]): void {
  const command = program
    .command('serve')
    .summary('run a registry')
    .description('Runs a registry until SIGTERM or Ctrl-C. Flags come before the environment, that before the file.')
    .configureHelp({
      ...program.configureHelp(),
      visibleGlobalOptions: () => program.options.filter((option) => !isConnectionFlag(option)),
    });
  for (const option of options) command.addOption(makeServeOption(option));
  command
    .addOption(new Option('--memory', 'keep nothing on disk: --storage memory').conflicts(['storage', 'dataDir']))
    .option('--config <file>', 'a JSON file of options, as --print-config prints them (env REG_CONFIG)')
    .option('--print-config', 'print the options that would be in force, and exit')
    .addHelpText(
      'after',
      `
Examples:
  regctl serve
  regctl serve --port 7000 --data-dir /var/lib/reg
  regctl serve --memory --port 0
  regctl serve --durability everysec --print-config > reg.json
  regctl serve --config reg.json`,
    )
    .action(async ({ memory, config, printConfig, ...flags }: ServeFlags) => {
      if (CONNECTION_FLAGS.some((name) => program.getOptionValueSource(name) === 'cli')) {
        command.error('error: --addr and --timeout are not for serve, which listens where --host and --port say');
      }
      const { serve } = await import('./commands/serve.js');
      const options = memory ? { ...flags, storage: 'memory' } : flags;
      await serve({ flags: options, config, printConfig: printConfig === true }, { env: host.env, output });
    });
}

function isConnectionFlag(option: Option): boolean {
  return CONNECTION_FLAGS.includes(option.attributeName());
}

/** What is wrong with its value is for the daemon's own table to find. The choices are there for completion. */
function makeServeOption({ flag, env, help, initial, choices }: ServeOption): Option {
  const byDefault = initial === false ? '' : `, default ${String(initial)}`;
  const oneOf = choices ? `one of ${choices.join(', ')}; ` : '';
  const option = new Option(flag, `${help} (${oneOf}env ${env}${byDefault})`);
  if (choices) option.argChoices = [...choices];
  return option;
}

function addCompletion(program: Command, makeContext: ContextMaker, output: Output): void {
  program
    .command('completion')
    .summary('print a script that completes commands in a shell')
    .description('Prints a script that completes commands, flags and the names of services.')
    .addArgument(new Argument('<shell>', 'for which shell').choices(Object.keys(SHELLS)))
    .addHelpText(
      'after',
      `
Examples:
  source <(regctl completion bash)                                     now, or in ~/.bashrc
  source <(regctl completion zsh)                                      now, or in ~/.zshrc after compinit
  regctl completion fish > ~/.config/fish/completions/regctl.fish      from the next fish on`,
    )
    .action(async (shell: string) => {
      const { completion } = await import('./commands/completion.js');
      completion(shell, program, output);
    });
  program.command('__services', { hidden: true }).action(async () => {
    const { services } = await import('./commands/services.js');
    await services(await makeContext());
  });
}

/** In place of Commander's, which answers the name of no command with the help of all. */
function addHelp(program: Command): void {
  program
    .command('help')
    .summary('show help of a command')
    .description('Shows the help of a command, or of regctl.')
    .argument('[command]', 'name of the command')
    .action((name: string | undefined) => {
      const command = name === undefined ? program : program.commands.find((each) => each.name() === name);
      if (command) command.help();
      else program.error(`error: unknown command '${name}'`);
    });
}

/** Wrong usage is told with where the right one can be read. */
function pointToHelp(command: Command): void {
  const path = command.parent === null ? 'regctl' : `regctl ${command.name()}`;
  command.exitOverride((error) => {
    if (error.exitCode === 0) throw error;
    const message = error.code === 'commander.help' ? 'a command is missing' : error.message;
    throw new CommanderError(error.exitCode, error.code, `${message}\nSee: ${path} --help`);
  });
}
