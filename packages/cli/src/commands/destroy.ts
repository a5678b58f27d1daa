import type { DestroyReply } from '@reg/client';
import { ALL, EVERY_INSTANCE } from '@reg/protocol';
import { type Context, withClient } from '../context.js';
import { CommandError } from '../errors.js';
import { nameOf, readInstance, readKey } from '../names.js';
import { countOf } from '../records.js';

export interface DestroyArguments {
  readonly key: string;
  /** The unnamed one where absent. */
  readonly instance?: string;
  /** Every instance of the service. */
  readonly all?: boolean;
}

const NOT_EVERYTHING =
  'nothing ends the registrations of all services at once. For one service: regctl destroy <key> --all';

/** Ends an instance of a service, or all, and says what is left. That there was nothing to end is no failure. */
export async function destroy(given: DestroyArguments, context: Context): Promise<void> {
  const { output, signal } = context;
  if (given.key === ALL) throw new CommandError('usage', NOT_EVERYTHING);
  const key = readKey(given.key);
  const instance = given.all ? EVERY_INSTANCE : readInstance(given.instance);
  const reply = await withClient(context, (client) =>
    client.destroy(key, { ...(instance !== undefined && { instance }), signal }),
  );
  const { removed, left } = reply;
  output.result({ key, removed, left }, [whatWasDone(given, reply), ...remaining(given, left)].join('\n'));
}

function whatWasDone({ key, instance, all }: DestroyArguments, { removed, left }: DestroyReply): string {
  if (removed > 0 && all) return `destroyed ${key}: ${countOf(removed, 'instance')}`;
  if (removed > 0) return `destroyed ${nameOf({ key, instance })}`;
  if (left === 0) return `nothing to destroy: nothing is registered as ${key}`;
  return `nothing to destroy: ${key} has no ${instance === undefined ? 'unnamed instance' : `instance ${instance}`}`;
}

/** Without `--instance` or `--all` the unnamed instance is gone, so that all that are left have names. */
function remaining({ key, instance, all }: DestroyArguments, left: number): string[] {
  if (left === 0 || all) return [];
  const verb = left === 1 ? 'remains' : 'remain';
  if (instance !== undefined) {
    return [`${countOf(left, 'instance')} of ${key} ${verb}: regctl query ${key} shows ${left === 1 ? 'it' : 'them'}`];
  }
  return [`${countOf(left, 'named instance')} of ${key} ${verb}: --instance <id> removes one, --all removes all`];
}
