import type { Command, Option } from 'commander';
import type { Output } from '../output.js';
import { type Completed, type CompletedOption, SHELLS } from '../shells.js';

/** Commands whose argument is the name of a service that is there already. */
const ASKS_FOR_SERVICE = ['query', 'watch', 'wait', 'explain', 'destroy'];

/** Of these, those that take all of them too. */
const TAKES_ALL = ['query', 'watch'];

/** Flags whose value is the name of a file or a folder. */
const FILE = /<(file|folder)>/;

/** Prints the script that teaches a shell the commands of `program`. */
export function completion(shell: string, program: Command, output: Output): void {
  output.script(SHELLS[shell]?.(describe(program)) ?? '');
}

/** What a shell has to know, taken from the commands themselves; the first is regctl without a command. */
function describe(program: Command): readonly Completed[] {
  const help = program.createHelp();
  const global = help.visibleOptions(program).map(describeOption);
  const commands = help.visibleCommands(program);
  const names = commands.map((command) => command.name());
  const root: Completed = { name: '', summary: program.description(), options: global, words: names, services: false };
  return [
    root,
    ...commands.map((command) => ({
      name: command.name(),
      summary: command.summary() || command.description(),
      options: [
        ...command.createHelp().visibleOptions(command),
        ...command.createHelp().visibleGlobalOptions(command),
      ].map(describeOption),
      words: command.name() === 'help' ? names.filter((name) => name !== 'help') : wordsOf(command),
      services: ASKS_FOR_SERVICE.includes(command.name()),
    })),
  ];
}

function wordsOf(command: Command): readonly string[] {
  if (TAKES_ALL.includes(command.name())) return ['all'];
  if (command.commands.length > 0) return command.commands.map((each) => each.name());
  return command.registeredArguments[0]?.argChoices ?? [];
}

function describeOption({ short, long, flags, required, argChoices, description }: Option): CompletedOption {
  const names = [short, long].filter((name) => name !== undefined);
  return { names, takesValue: required, takesFile: FILE.test(flags), choices: argChoices ?? [], help: description };
}
