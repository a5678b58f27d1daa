import { type Clock, systemClock } from '@reg/protocol';
import {
  type AccessEntry,
  type AccessRule,
  changeEntries,
  DEFAULT_TOKENS_FILE,
  makeToken,
  parseRules,
  readEntries,
} from '@reg/server';
import { DAY, moment, readDuration } from '../duration.js';
import { CommandError } from '../errors.js';
import type { Host } from '../host.js';
import type { Output } from '../output.js';
import type { Tone } from '../table.js';

export interface TokenContext {
  readonly env: Host['env'];
  readonly output: Output;
  /** That of the machine unless given. */
  readonly clock?: Clock;
}

interface FileArguments {
  /** The file of tokens. */
  readonly tokens?: string;
}

export interface CreateArguments extends FileArguments {
  readonly name: string;
  /** Each `actions:name`, with commas between the actions. */
  readonly allow?: readonly string[];
  readonly admin?: boolean;
  readonly expires?: string;
}

const MAX_EXPIRES = 3650 * DAY;

/** Creates a token, and shows it. */
export function createToken(given: CreateArguments, { env, output, clock = systemClock }: TokenContext): void {
  const { name } = given;
  if (name === '' || name.length > 255) throw new CommandError('usage', 'the name must be 1 to 255 characters');
  const rules = readRules(given);
  const file = fileOf(given, env);
  const now = clock.wall();
  const expires =
    given.expires === undefined ? undefined : now + readDuration(given.expires, '--expires', { most: MAX_EXPIRES });
  const { token, entry } = makeToken(name, rules, now, expires);
  changeEntries(file, (entries) => [...entries, entry]);
  const { hash: _, ...shown } = entry;
  output.result({ token, ...shown, file }, token);
  output.note(
    'shown_once',
    `This is the token of ${name}, shown this once: ${file} has only its hash.\nIt is known to a registry that was started with: regctl serve --tokens ${file}`,
  );
}

/** Shows what the file says of each, but for what recognises it. */
export function listTokens(given: FileArguments, { env, output, clock = systemClock }: TokenContext): void {
  const entries = readEntries(fileOf(given, env));
  const now = clock.wall();
  const tokens = entries.map((entry) => {
    const { hash: _, ...shown } = { hash: undefined, ...entry };
    return { ...shown, state: stateOf(entry, now) };
  });
  if (entries.length === 0) {
    output.result({ tokens }, 'there are no tokens');
    return;
  }
  const columns = ['ID', 'NAME', 'STATE', 'EXPIRES', 'RIGHTS'].map((title) => ({
    title,
    flexible: title === 'RIGHTS',
  }));
  const rows = entries.map((entry) => [
    entry.id,
    entry.name,
    'certificate' in entry ? `certificate ${entry.certificate}` : stateOf(entry, now),
    'expires' in entry && entry.expires !== undefined ? moment(entry.expires) : 'never',
    entry.rules.map(({ actions, names }) => `${actions.join(',')}:${names.join(' ')}`).join('; '),
  ]);
  const tones = entries.map((entry): Tone | undefined => (stateOf(entry, now) === 'good' ? undefined : 'faint'));
  output.table({ tokens }, { columns, rows, tones });
}

/** Ends a token, by its id or its holder's name. */
export function revokeToken(
  given: FileArguments & { readonly id: string },
  { env, output, clock = systemClock }: TokenContext,
): void {
  const file = fileOf(given, env);
  let revoked: AccessEntry | undefined;
  changeEntries(file, (entries) => {
    const chosen = choose(entries, given.id, file);
    revoked = { ...chosen, revoked: chosen.revoked ?? clock.wall() };
    return entries.map((entry) => (entry.id === chosen.id && revoked !== undefined ? revoked : entry));
  });
  if (revoked === undefined) return;
  const { id, name } = revoked;
  output.result({ id, name, revoked: true }, `revoked the token ${id} of ${name}`);
}

type TokenEntry = Extract<AccessEntry, { readonly hash: string }>;

function choose(entries: readonly AccessEntry[], wanted: string, file: string): TokenEntry {
  const tokens = entries.filter((entry): entry is TokenEntry => 'hash' in entry);
  const byId = tokens.find(({ id }) => id === wanted);
  if (byId !== undefined) return byId;
  const [first, ...others] = tokens.filter(({ name, revoked }) => name === wanted && revoked === undefined);
  if (first === undefined) throw new CommandError('not_found', `${file} has no token ${JSON.stringify(wanted)}`);
  if (others.length === 0) return first;
  const ids = [first, ...others].map(({ id }) => id).join(', ');
  throw new CommandError('usage', `${wanted} has several tokens: say which by its id, of ${ids}`);
}

function readRules({ allow = [], admin = false }: CreateArguments): readonly AccessRule[] {
  if (admin === allow.length > 0) {
    throw new CommandError('usage', 'say what the token is good for, either with --allow or with --admin');
  }
  if (admin) return [{ actions: ['admin'], names: ['*'] }];
  return allow.flatMap((text) => {
    const colon = text.indexOf(':');
    if (colon === -1) {
      throw new CommandError('usage', `--allow must be actions and a name, such as register:web, not "${text}"`);
    }
    try {
      return parseRules([{ actions: text.slice(0, colon).split(','), names: [text.slice(colon + 1)] }]);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CommandError('usage', `--allow ${text}: ${reason}`, { cause: error });
    }
  });
}

function fileOf({ tokens }: FileArguments, env: Host['env']): string {
  return tokens ?? (env['REG_TOKENS'] || DEFAULT_TOKENS_FILE);
}

function stateOf(entry: AccessEntry, now: number): 'good' | 'expired' | 'revoked' {
  if ('certificate' in entry) return 'good';
  if (entry.revoked !== undefined) return 'revoked';
  return (entry.expires ?? Number.POSITIVE_INFINITY) > now ? 'good' : 'expired';
}
