import { createHash } from 'node:crypto';
import { checkName, isObject, isTexts, RegistryError } from '@reg/protocol';
import type { Sight } from '../registry/selection.js';

/** What a caller can be allowed. Who may register a service may destroy it, too; `admin` is everything. */
export const ACTIONS = ['register', 'query', 'watch', 'admin'] as const;
type Action = (typeof ACTIONS)[number];
/** An action on a service. */
export type NamedAction = Exclude<Action, 'admin'>;

/** Which actions on which names. A name that ends in `*` is a prefix, and `*` alone is every name. */
export interface Rule {
  readonly actions: readonly Action[];
  readonly names: readonly string[];
}

const RULE_FIELDS: readonly (keyof Rule)[] = ['actions', 'names'];

/** At the end of a name, everything that begins so. A service whose name itself ends in it needs no rule of its own. */
const ANY = '*';

/**
 * Reads the rules of an entry of the file of tokens.
 *
 * @throws {RegistryError} `access_failed`, saying what is wrong, but for where.
 */
export function parseRules(given: unknown): readonly Rule[] {
  if (!Array.isArray(given)) throw new RegistryError('access_failed', '"rules" must be an array');
  return given.map(parseRule);
}

/**
 * What is not looked at must not seem to be in force: with a misspelt "expires" a token would have no end.
 *
 * @throws {RegistryError} `access_failed` where there is a field that is not among `known`.
 */
export function refuseStrangers(
  given: Readonly<Record<string, unknown>>,
  known: readonly string[],
  what: string,
): Readonly<Record<string, unknown>> {
  const stranger = Object.keys(given).find((field) => !known.includes(field));
  if (stranger === undefined) return given;
  throw new RegistryError('access_failed', `"${stranger}" is not for ${what}, which has ${known.join(', ')}`);
}

function parseRule(given: unknown): Rule {
  const { actions, names } = isObject(given) ? refuseStrangers(given, RULE_FIELDS, 'a rule') : {};
  if (!isTexts(actions) || !isTexts(names)) {
    throw new RegistryError('access_failed', 'a rule must have "actions" and "names", arrays of strings');
  }
  const rule = { actions: actions.map(parseAction), names };
  names.forEach(checkPattern);
  // It would be read as less than it is: what an admin may do is about no name.
  if (rule.actions.includes('admin') && !names.includes(ANY)) {
    throw new RegistryError('access_failed', 'the action "admin" is about everything: its names must be ["*"]');
  }
  return rule;
}

function parseAction(word: string): Action {
  const action = ACTIONS.find((known) => known === word);
  if (action !== undefined) return action;
  throw new RegistryError('access_failed', `there is no action "${word}"; actions are ${ACTIONS.join(', ')}`);
}

function checkPattern(pattern: string): void {
  if (pattern === ANY) return;
  try {
    // As the beginning of a name: a reserved word may be one.
    if (pattern.endsWith(ANY)) checkName(`${pattern.slice(0, -1)}x`, 'name');
    else checkName(pattern, 'name');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RegistryError('access_failed', `${JSON.stringify(pattern)} is no name and no prefix: ${reason}`, {
      cause,
    });
  }
}

/** Some of all names. To find one costs as much as there are prefixes, however many names there are. */
class Names implements Sight {
  readonly tag: string;
  readonly #exact = new Set<string>();
  readonly #prefixes: readonly string[];

  constructor(patterns: readonly string[]) {
    const prefixes = new Set<string>();
    for (const pattern of patterns) {
      if (pattern.endsWith(ANY)) prefixes.add(pattern.slice(0, -1));
      else this.#exact.add(pattern);
    }
    this.#prefixes = [...prefixes];
    const sorted = [...new Set(patterns)].sort();
    this.tag = createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 12);
  }

  has(name: string): boolean {
    if (this.#exact.has(name)) return true;
    for (const prefix of this.#prefixes) if (name.startsWith(prefix)) return true;
    return false;
  }
}

/** No name. */
export const NOTHING: Sight = new Names([]);

/** What somebody may do: rules, in the form in which they are asked. */
export class Rights {
  readonly isAdmin: boolean;
  readonly #sights: { readonly [A in NamedAction]: Sight | undefined };

  constructor(rules: readonly Rule[]) {
    this.isAdmin = rules.some(({ actions }) => actions.includes('admin'));
    const sightOf = (action: NamedAction): Sight | undefined => {
      const patterns = rules.filter(({ actions }) => actions.includes(action)).flatMap(({ names }) => names);
      return this.isAdmin || patterns.includes(ANY) ? undefined : new Names(patterns);
    };
    this.#sights = { register: sightOf('register'), query: sightOf('query'), watch: sightOf('watch') };
  }

  allows(action: NamedAction, service: string): boolean {
    return this.#sights[action]?.has(service) ?? true;
  }

  /** On which services an action is allowed; `undefined` for all. */
  sight(action: NamedAction): Sight | undefined {
    return this.#sights[action];
  }
}
