/** The commands that are about a registry as such. */

import { type Command, Option } from 'commander';
import type { AuditArguments } from '../commands/audit.js';
import type { ConnectionFlags } from '../context.js';
import { CONNECTION_FLAGS, type Surroundings } from './syntax.js';

/** A row of the daemon's table of options, as far as a flag of `serve` is made of it. */
export interface ServeOption {
  readonly flag: string;
  readonly env: string;
  readonly help: string;
  readonly initial: unknown;
  /** All values that it takes, where they are few. */
  readonly choices?: readonly string[];
}

export async function loadServeOptions(): Promise<readonly ServeOption[]> {
  const { OPTIONS } = await import('@reg/server');
  return Object.values<ServeOption>(OPTIONS);
}

/** The flags of `serve` that are no options of the daemon, which it has beside them. */
interface ServeFlags {
  readonly memory?: boolean;
  readonly config?: string;
  readonly printConfig?: boolean;
}

export function addServe(program: Command, { host, output }: Surroundings, options: readonly ServeOption[]): void {
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
      if (NOT_FOR_SERVE.some((name) => program.getOptionValueSource(name) === 'cli')) {
        command.error(
          'error: --addr, --timeout and --token are not for serve, which listens where --host and --port say',
        );
      }
      const { serve } = await import('../commands/serve.js');
      // The program has flags of the same names, and takes them wherever they stand.
      const { tlsCert, tlsKey, tlsCa } = program.opts<Partial<ConnectionFlags>>();
      const options = { ...flags, tlsCert, tlsKey, tlsCa, ...(memory && { storage: 'memory' }) };
      await serve({ flags: options, config, printConfig: printConfig === true }, { env: host.env, output });
    });
}

const NOT_FOR_SERVE = ['addr', 'timeout', 'token'];

function isConnectionFlag(option: Option): boolean {
  return CONNECTION_FLAGS.includes(option.attributeName());
}

/** What is wrong with its value is for the daemon's own table to find. The choices are there for completion. */
function makeServeOption({ flag, env, help, initial, choices }: ServeOption): Option {
  const byDefault = initial === false || initial === undefined || initial === '' ? '' : `, default ${String(initial)}`;
  const oneOf = choices ? `one of ${choices.join(', ')}; ` : '';
  const option = new Option(flag, `${help} (${oneOf}env ${env}${byDefault})`);
  if (choices) option.argChoices = [...choices];
  return option;
}

export function addStatus(program: Command, { makeContext }: Surroundings): void {
  program
    .command('status')
    .summary('show how the registry is')
    .description('Shows what the registry holds, does and lacks. Marked with ! is what is not as it should be.')
    .addHelpText(
      'after',
      `
Examples:
  regctl status
  regctl status --json | jq .instances.suspect`,
    )
    .action(async () => {
      const { status } = await import('../commands/status.js');
      await status(await makeContext());
    });
}

export function addAudit(program: Command, { makeContext }: Surroundings): void {
  program
    .command('audit')
    .summary('show who changed what')
    .description(
      'Shows who registered, took over or destroyed what, from where and when, and who was not let: the latest of what ' +
        'the registry has recorded, which it does where it was told to (serve --audit).',
    )
    .option('--limit <n>', 'so many entries (default 100)')
    .option('--follow', 'go on with what is recorded from now on, until Ctrl-C')
    .addHelpText(
      'after',
      `
With --json it writes the reply of the protocol, and with --follow the entries, one a line.

Examples:
  regctl audit --limit 20
  regctl audit --follow
  regctl audit --limit 1000 --json | jq -c '.entries[] | select(.event == "took_over")'`,
    )
    .action(async (flags: AuditArguments) => {
      const { audit } = await import('../commands/audit.js');
      await audit(flags, await makeContext());
    });
}

export function addBackup(program: Command, { makeContext }: Surroundings): void {
  program
    .command('backup')
    .summary('write everything that is registered into a file')
    .description(
      'Writes everything that is registered at one moment into a file, while the registry goes on. Values and the ' +
        'secrets of owners are in it: it is for its owner only (mode 600).',
    )
    .argument('<file>', 'where to; it must not be there yet')
    .addHelpText(
      'after',
      `
Examples:
  regctl backup reg-2026-01-31.jsonl
  regctl restore --check reg-2026-01-31.jsonl`,
    )
    .action(async (file: string) => {
      const { backup } = await import('../commands/backup.js');
      await backup(file, await makeContext());
    });
}

interface RestoreFlags {
  readonly dataDir?: string;
  readonly config?: string;
  readonly replace?: boolean;
  readonly check?: boolean;
}

export function addRestore(program: Command, { host, output }: Surroundings): void {
  program
    .command('restore')
    .summary('make a data folder of a backup')
    .description(
      'Checks a backup, and makes a data folder of it that a registry starts with, under a new epoch. No registry may ' +
        'be using the folder.',
    )
    .argument('<file>', 'a file that "regctl backup" has written')
    .option('--data-dir <folder>', 'the data folder (env REG_DATA_DIR, default that of serve)')
    .option('--config <file>', 'the JSON file of options that serve is started with (env REG_CONFIG)')
    .option('--replace', 'set aside what the folder holds, into a folder within it')
    .option('--check', 'only say whether the backup is whole')
    .addHelpText(
      'after',
      `
Examples:
  regctl restore reg-2026-01-31.jsonl --data-dir /var/lib/reg
  regctl restore reg-2026-01-31.jsonl --replace
  regctl restore --check reg-2026-01-31.jsonl`,
    )
    .action(async (file: string, { config, replace, check, ...flags }: RestoreFlags) => {
      const { restore } = await import('../commands/restore.js');
      const wanted = { file, flags, config, replace: replace === true, check: check === true };
      await restore(wanted, { env: host.env, output });
    });
}

interface DoctorFlags {
  readonly config?: string;
  readonly dataDir?: string;
  readonly host?: string;
  readonly port?: string;
}

export function addDoctor(program: Command, { host, output, exit }: Surroundings): void {
  program
    .command('doctor')
    .summary('look for what keeps a registry from working here')
    .description(
      'Looks at what a registry needs of this machine: options, data folder, disk, clock, descriptors, certificate, tokens, port. It changes ' +
        'nothing, and says of what it finds how to mend it. Ends with exit code 1 where something is bad.',
    )
    .option('--config <file>', 'the JSON file of options that serve is started with (env REG_CONFIG)')
    .option('--data-dir <folder>', 'the data folder (env REG_DATA_DIR, default that of serve)')
    .option('--host <address>', 'address that it listens on (env REG_HOST)')
    .option('--port <number>', 'TCP port (env REG_PORT)')
    .addHelpText(
      'after',
      `
Run it as the user that the registry runs as, and with the same environment.

Examples:
  regctl doctor
  regctl doctor --config /etc/reg/reg.json
  regctl doctor --json | jq '.findings[] | select(.verdict != "good")'`,
    )
    .action(async ({ config, ...flags }: DoctorFlags) => {
      const { doctor } = await import('../commands/doctor.js');
      if (!(await doctor({ flags, config }, { env: host.env, output }))) exit(1);
    });
}

export function addHealth(program: Command, { makeContext, exit }: Surroundings): void {
  program
    .command('health')
    .summary('say by the exit code whether the registry works')
    .description(
      'Ends with 0 where the registry answers, and with 1 where it does not within --timeout (2s). With --ready it also ' +
        'has to take changes, and the grace after its start has to be over.',
    )
    .option('--ready', 'whether clients should be sent to it')
    .addHelpText(
      'after',
      `
Examples:
  regctl health                      is it to be restarted? (liveness)
  regctl health --ready              may clients be sent to it? (readiness)
  regctl health --timeout 500ms`,
    )
    .action(async ({ ready }: { readonly ready?: boolean }) => {
      const { health } = await import('../commands/health.js');
      if (!(await health(ready ? 'ready' : 'alive', await makeContext('2s')))) exit(1);
    });
}
