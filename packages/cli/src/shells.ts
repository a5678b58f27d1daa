/**
 * The completion scripts. They know commands, flags and choices by heart, and ask regctl for the names of
 * services. Such names are what anybody has registered: no shell may come to evaluate them, so nothing of them
 * goes through `compgen -W` or `eval`.
 */

/** A command as a shell completes it. */
export interface Completed {
  /** Empty for regctl before its command. */
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
  /** What its first argument may be, as far as that is known in advance. */
  readonly words: readonly string[];
  /** Whether its first argument may be the name of a service. */
  readonly services: boolean;
}

export interface CompletedOption {
  /** Short and long. */
  readonly names: readonly string[];
  readonly takesValue: boolean;
  readonly takesFile: boolean;
  readonly choices: readonly string[];
  readonly help: string;
}

/** Every shell that there is a script for. */
export const SHELLS: Readonly<Record<string, (commands: readonly Completed[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

function bashScript(commands: readonly Completed[]): string {
  return `# bash completion for regctl.

_regctl() {
  # Not COMP_WORDS, which has addresses and names cut at their colons. Read without -r: backslashes are undone.
  local line=\${COMP_LINE:0:COMP_POINT}
  local -a words
  read -a words <<< "$line"
  [[ $line == *[!\\\\][[:space:]] ]] && words+=('')
  local program=$1 current=\${words[\${#words[@]}-1]}
  local -a before=("\${words[@]:1:\${#words[@]}-2}")
${findCandidates(commands)}

  COMPREPLY=()
  [[ -n $files ]] && compopt -o default 2> /dev/null
  # Bash replaces only what follows the last of its word breaks.
  local breaks=\${COMP_WORDBREAKS//[^:=@]/} cut='' candidate quoted
  [[ -n $breaks ]] && cut=\${current%"\${current##*["$breaks"]}"}
  for candidate in "\${candidates[@]/#/$flag}"; do
    [[ $candidate == "$current"* ]] || continue
    printf -v quoted %q "\${candidate#"$cut"}"
    COMPREPLY+=("$quoted")
  done
}

complete -F _regctl regctl
`;
}

function zshScript(commands: readonly Completed[]): string {
  return `#compdef regctl
# zsh completion for regctl.

_regctl() {
  local program=\${words[1]} current=\${words[CURRENT]}
  local -a before=("\${(@)words[2,CURRENT-1]}")
${findCandidates(commands)}

  [[ -n $flag ]] && compset -P '*='
  if [[ -n $files ]]; then
    _files
  else
    compadd -a -- candidates
  fi
}

if [[ "\${funcstack[1]}" == _regctl ]]; then
  _regctl "$@"
else
  compdef _regctl regctl
fi
`;
}

/** What bash and zsh have in common: from \`before\` and \`current\` to \`candidates\`, or \`files\` where files are meant. */
function findCandidates(commands: readonly Completed[]): string {
  return `  local command='' operands=0 expects='' flag='' files='' services='' word name
  local -a addr=() candidates=()

  for word in "\${before[@]}"; do
    if [[ -n $expects ]]; then
      [[ $expects == --addr ]] && addr=(--addr "$word")
      expects=''
      continue
    fi
    case "$word" in
      # Another command follows, or what is no flag: nothing is known of it.
      --) files=yes; break ;;
      ${alternatives(valueFlags(commands))}) expects=$word ;;
      --addr=*) addr=("$word") ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=$word; else operands=$((operands + 1)); fi ;;
    esac
  done

  # A flag and its value in one word.
  if [[ -z $expects && $current == --*=* ]]; then
    expects=\${current%%=*} flag=\${current%%=*}=
  fi

  if [[ -n $files ]]; then
    :
  elif [[ -n $expects ]]; then
    case "$command $expects" in
${commands.flatMap(valueCases).join('\n')}
    esac
  elif [[ "$current" == -* ]]; then
    case "$command" in
${commands.map(flagCase).join('\n')}
    esac
  else
    case "$command $operands" in
${commands.map(wordCase).join('\n')}
    esac
  fi

  if [[ -n $services ]]; then
    while IFS= read -r name; do
      candidates+=("$name")
    done < <("$program" __services "\${addr[@]}" 2> /dev/null)
  fi`;
}

function valueFlags(commands: readonly Completed[]): string[] {
  const flags = commands.flatMap(({ options }) =>
    options.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names),
  );
  return [...new Set(flags)];
}

function valueCases({ name, options }: Completed): string[] {
  return options.flatMap(({ names, choices, takesFile }) => {
    const patterns = alternatives(names.map((flag) => `'${name} ${flag}'`));
    if (takesFile) return [`      ${patterns}) files=yes ;;`];
    return choices.length > 0 ? [`      ${patterns}) candidates=(${choices.join(' ')}) ;;`] : [];
  });
}

function flagCase({ name, options }: Completed): string {
  return `      '${name}') candidates=(${options.flatMap(({ names }) => names).join(' ')}) ;;`;
}

/** Before a command its name is what is completed, after it its first argument. */
function wordCase({ name, words, services }: Completed): string {
  return `      '${name} 0') candidates=(${words.join(' ')})${services ? ' services=yes' : ''} ;;`;
}

function alternatives(patterns: readonly string[]): string {
  return patterns.join(' | ');
}

function fishScript(commands: readonly Completed[]): string {
  const [root, ...named] = commands;
  const names = named.map(({ name }) => name).join(' ');
  const lines = [
    '# fish completion for regctl.',
    'complete -c regctl -f',
    ...(root?.options ?? []).map((option) => fishLine('', fishOption(option), option.help)),
    ...named.map(({ name, summary }) => fishLine(`not __fish_seen_subcommand_from ${names}`, `-a ${name}`, summary)),
    ...named.flatMap((command) => fishCommand(command, root?.options ?? [])),
  ];
  return `${lines.join('\n')}\n`;
}

function fishCommand({ name, options, words, services }: Completed, global: readonly CompletedOption[]): string[] {
  const condition = `__fish_seen_subcommand_from ${name}`;
  const known = new Set(global.flatMap((option) => option.names));
  const own = options.filter((option) => !option.names.some((flag) => known.has(flag)));
  const lines = own.map((option) => fishLine(condition, fishOption(option), option.help));
  if (words.length > 0) lines.push(fishLine(condition, `-a '${words.join(' ')}'`, ''));
  if (services) lines.push(fishLine(condition, "-a '(regctl __services 2> /dev/null)'", 'service'));
  return lines;
}

function fishLine(condition: string, what: string, help: string): string {
  const when = condition === '' ? '' : ` -n ${fishQuote(condition)}`;
  const description = help === '' ? '' : ` -d ${fishQuote(help.replaceAll('\n', ' '))}`;
  return `complete -c regctl${when} ${what}${description}`;
}

function fishOption({ names, takesValue, takesFile, choices }: CompletedOption): string {
  const flags = names.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  if (takesFile) flags.push('-r -F');
  else if (takesValue) flags.push('-x');
  if (choices.length > 0) flags.push(`-a '${choices.join(' ')}'`);
  return flags.join(' ');
}

function fishQuote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
