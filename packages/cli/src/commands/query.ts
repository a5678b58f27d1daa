import type { Client, QueryReply } from '@reg/client';
import { ALL, type QueryMessage, type Status } from '@reg/protocol';
import { formatAddress } from '../address.js';
import { type Context, withClient } from '../context.js';
import { CommandError } from '../errors.js';
import { readInstance, readKey } from '../names.js';
import { byName, tabulate } from '../records.js';
import { readMeta } from '../wanted.js';

export interface QueryArguments {
  /** The name of a service, or `all`. */
  readonly key: string;
  readonly instance?: string;
  readonly detail?: boolean;
  /** Commander has seen to it that it is one. Where absent: what is usable. */
  readonly status?: Status | 'any';
  readonly tag?: readonly string[];
  /** Each `name=text`. */
  readonly meta?: readonly string[];
}

/** Records asked for at once: a reply of so many is far below what the daemon refuses to send. */
const PAGE = 1000;

const ONE_OF_ALL = '--instance is for one service, not for "all"';

export const WARMING = 'the registry has just restarted: what is missing may still be on its way back';

/** Shows what is registered under a name, or everything. A name without instances is a failure. */
export async function query(given: QueryArguments, context: Context): Promise<void> {
  const { output, clock, address } = context;
  if (given.key !== ALL) readKey(given.key);
  else if (given.instance !== undefined) throw new CommandError('usage', ONE_OF_ALL);
  readInstance(given.instance);
  const answer = await withClient(context, (client) => find(client, given, context));
  const { services, warming } = answer;
  if (services.length === 0 && !output.json) {
    output.note('empty', `nothing ${selects(given) ? 'like that ' : ''}is registered at ${formatAddress(address)}`);
  } else {
    output.table(answer, tabulate(services, { detail: given.detail === true }, clock.wall()));
  }
  if (warming) output.note('warming', WARMING);
}

async function find(client: Client, given: QueryArguments, { signal }: Context): Promise<QueryReply> {
  const answer = await collect(client, messageOf(given), signal);
  if (answer.services.length > 0 || given.key === ALL) return answer;
  const { key, instance } = given;
  const others = await client.query(key, {
    ...(instance !== undefined && { instance }),
    status: 'any',
    limit: 1,
    signal,
  });
  const message = others.services.length > 0 ? nothingLikeThat(given) : nothing(given);
  throw new CommandError('not_found', answer.warming ? `${message}\n${WARMING}` : message);
}

/** Walks every page, so that no size of the registry is too much. */
export async function collect(
  client: Client,
  { key, ...message }: QueryMessage,
  signal: AbortSignal,
): Promise<QueryReply> {
  const options = { ...message, limit: PAGE, signal };
  let page = await client.query(key, options);
  const services = [...page.services];
  while (page.next !== undefined) {
    page = await client.query(key, { ...options, after: page.next });
    services.push(...page.services);
  }
  const { revision, warming } = page;
  return { revision, ...(warming && { warming }), services: services.sort(byName) };
}

function messageOf({ key, instance, detail, status, tag, meta }: QueryArguments): QueryMessage {
  return {
    key,
    ...(instance !== undefined && { instance }),
    ...(detail && { detail }),
    ...(status && { status }),
    ...(tag && { tags: tag }),
    ...(meta && { meta: readMeta(meta) }),
  };
}

function selects({ status, tag, meta }: QueryArguments): boolean {
  return status !== undefined || tag !== undefined || meta !== undefined;
}

function nothing({ key, instance }: QueryArguments): string {
  return instance === undefined
    ? `nothing is registered as ${key}. All names are shown by: regctl query all`
    : `${key} has no instance ${instance}. All it has are shown by: regctl query ${key}`;
}

/** There is something, but not what was asked for. */
function nothingLikeThat(given: QueryArguments): string {
  const { key, instance } = given;
  const who = instance === undefined ? `no instance of ${key} is` : `${key}/${instance} is there, but not`;
  const what = selects(given) ? 'like that' : 'usable: it drains, or says that it cannot serve';
  return `${who} ${what}. All it has are shown by: regctl query ${key} --status any`;
}
