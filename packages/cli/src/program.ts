/**
 * Every command of regctl with its flags and its help, and nothing of what it does: that is imported when the
 * command is run, so that none has to wait for what another needs. The rows themselves are in `syntax/`.
 */

import { formatEndpoint } from '@reg/protocol';
import { Argument, Command, CommanderError, type Option } from 'commander';
import { DEFAULT_ENDPOINT } from './address.js';
import type { ConnectionFlags } from './context.js';
import { EXIT_CODES } from './errors.js';
import type { Host } from './host.js';
import { columnsOf, type Output } from './output.js';
import { SHELLS } from './shells.js';
import { addContext, addInit, addLogin, addLogout } from './syntax/access.js';
import {
  addAudit,
  addBackup,
  addDoctor,
  addHealth,
  addRestore,
  addServe,
  addStatus,
  loadServeOptions,
} from './syntax/daemon.js';
import { addExplain, addQuery, addWait, addWatch } from './syntax/finding.js';
import { addDestroy, addRegister, addRun } from './syntax/registering.js';
import type { Surroundings } from './syntax/syntax.js';
import { addToken } from './syntax/tokens.js';

/**
 * @param args is looked at for commands that need the daemon's options: loading the daemon takes time.
 * @param exit is called by commands that end with a code of their own.
 */
export async function makeProgram(
  args: readonly string[],
  version: string,
  host: Host,
  output: Output,
  exit: (code: number) => void,
): Promise<Command> {
  const program = makeRoot(version, host, output);
  const surroundings: Surroundings = {
    host,
    output,
    exit,
    makeContext: async (patience = DEFAULT_PATIENCE, flags = {}) => {
      const { makeContext } = await import('./context.js');
      const given = program.opts<Partial<ConnectionFlags>>();
      return makeContext({ timeout: patience, ...given, ...flags }, host, output);
    },
  };
  addRegister(program, surroundings);
  addRun(program, surroundings);
  addQuery(program, surroundings);
  addWatch(program, surroundings);
  addWait(program, surroundings);
  addExplain(program, surroundings);
  addDestroy(program, surroundings);
  addServe(program, surroundings, NEED_SERVER.some((name) => args.includes(name)) ? await loadServeOptions() : []);
  addStatus(program, surroundings);
  addAudit(program, surroundings);
  addHealth(program, surroundings);
  addDoctor(program, surroundings);
  addBackup(program, surroundings);
  addRestore(program, surroundings);
  addToken(program, surroundings);
  addInit(program, surroundings);
  addLogin(program, surroundings);
  addLogout(program, surroundings);
  addContext(program, surroundings);
  addCompletion(program, surroundings);
  addHelp(program);
  pointToHelp(program, 'regctl');
  return program;
}

const NEED_SERVER = ['serve', 'completion'];

/** As it could be typed. */
const DEFAULT_PATIENCE = '5s';

const ROOT_HELP = `
Examples:
  regctl serve                                              run a registry here
  regctl register redis 123456@127.0.0.1:6379 --ttl 30      register a service for 30 seconds
  regctl register web 10.0.0.5:80 --instance web-1 --keep   ... and for as long as this runs
  regctl run web 10.0.0.5:80 --check tcp -- ./server        ... and for as long as a server works
  regctl query redis                                        where is it?
  regctl query all --json                                   everything, for a program
  regctl watch web                                          and what becomes of it?
  regctl wait redis -- node server.js                       run a command once there is one
  regctl explain web/web-1                                  why is it as it is?
  regctl destroy redis
  regctl init /etc/reg                                      set up a registry with TLS
  regctl login regs://registry.example.org                  ... and get to it

Environment:
  REG_ADDR               where the registry is, unless --addr says it
  REG_TOKEN              who you are to it, unless --token says it
  NO_COLOR, FORCE_COLOR  no colour, and colour also where there is no terminal

Exit codes:
${Object.entries(EXIT_CODES)
  .map(([code, meaning]) => `  ${code.padStart(3)}  ${meaning}`)
  .join('\n')}
Commands that run another exit as that does, with 128 and its number where a signal ended it.`;

/** Our own words tell choices and defaults; Commander would add them once more. */
const HELP = { showGlobalOptions: true, optionDescription: ({ description }: Option) => description };

function makeRoot(version: string, { stdout }: Host, output: Output): Command {
  return new Command('regctl')
    .description('Registers, finds and destroys services in a registry, and runs one.')
    .version(version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    .option(
      '--addr <host:port>',
      `where the registry is; several with commas between them (env REG_ADDR, default ${formatEndpoint(DEFAULT_ENDPOINT)})`,
    )
    .option('--timeout <time>', `how long to wait for it, in seconds or as 500ms or 2m (default ${DEFAULT_PATIENCE})`)
    .option('--token <token>', 'who you are to it (env REG_TOKEN); others can see it here, so rather use regctl login')
    .option('--tls-ca <file>', 'who signs its certificate, where its address is regs://')
    .option('--tls-cert <file>', 'your own certificate, where it wants one')
    .option('--tls-key <file>', 'its private key')
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

function addCompletion(program: Command, { makeContext, output }: Surroundings): void {
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
function pointToHelp(command: Command, path: string): void {
  for (const one of command.commands) pointToHelp(one, `${path} ${one.name()}`);
  command.exitOverride((error) => {
    if (error.exitCode === 0) throw error;
    const message = error.code === 'commander.help' ? 'a command is missing' : error.message;
    throw new CommanderError(error.exitCode, error.code, `${message}\nSee: ${path} --help`);
  });
}
