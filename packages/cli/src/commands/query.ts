import type { Client, InstanceRecord, Json, QueryReply, Timeout } from '@reg/client';
import { ALL, formatEndpoint } from '@reg/protocol';
import { type Context, withClient } from '../context.js';
import { CommandError } from '../errors.js';
import { readInstance, readKey } from '../names.js';
import type { Column, Table } from '../table.js';

export interface QueryArguments {
  /** The name of a service, or `all`. */
  readonly key: string;
  readonly instance?: string;
  readonly detail?: boolean;
}

/** Records asked for at once: a reply of so many is far below what the daemon refuses to send. */
const PAGE = 1000;

const ONE_OF_ALL = '--instance is for one service, not for "all"';

const WARMING = 'the registry has just restarted: what is missing may still be on its way back';

/** Shows what is registered under a name, or everything. A name without instances is a failure. */
export async function query(given: QueryArguments, context: Context): Promise<void> {
  const { output, signal, clock, address } = context;
  if (given.key !== ALL) readKey(given.key);
  else if (given.instance !== undefined) throw new CommandError('usage', ONE_OF_ALL);
  readInstance(given.instance);
  const answer = await withClient(context, (client) => collect(client, given, signal));
  const { services, warming } = answer;
  if (services.length === 0 && given.key !== ALL) {
    throw new CommandError('not_found', warming ? `${nothing(given)}\n${WARMING}` : nothing(given));
  }
  if (services.length === 0 && !output.json) {
    output.note('empty', `nothing is registered at ${formatEndpoint(address.endpoint)}`);
  } else {
    output.table(answer, tabulate(services, given.detail === true, clock.wall()));
  }
  if (warming) output.note('warming', WARMING);
}

/** Walks every page, so that no size of the registry is too much. */
export async function collect(
  client: Client,
  { key, instance, detail }: QueryArguments,
  signal: AbortSignal,
): Promise<QueryReply> {
  const message = { ...(instance !== undefined && { instance }), ...(detail && { detail }), limit: PAGE, signal };
  let page = await client.query(key, message);
  const services = [...page.services];
  while (page.next !== undefined) {
    page = await client.query(key, { ...message, after: page.next });
    services.push(...page.services);
  }
  const { revision, warming } = page;
  return { revision, ...(warming && { warming }), services: services.sort(byName) };
}

/** By code units: the same everywhere, whatever language the machine speaks. */
function byName(a: InstanceRecord, b: InstanceRecord): number {
  return compare(a.key, b.key) || compare(a.instance ?? '', b.instance ?? '');
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function nothing({ key, instance }: QueryArguments): string {
  return instance === undefined
    ? `nothing is registered as ${key}. All names are shown by: regctl query all`
    : `${key} has no instance ${instance}. All it has are shown by: regctl query ${key}`;
}

/** A column of the table, and what it says of a record. */
interface View extends Column {
  readonly detail?: true;
  readonly cell: (record: InstanceRecord, now: number) => string;
}

const VIEWS: readonly View[] = [
  { title: 'SERVICE', flexible: true, cell: ({ key }) => key },
  { title: 'INSTANCE', flexible: true, cell: ({ instance }) => instance ?? '-' },
  { title: 'VALUE', flexible: true, cell: ({ values }) => showValue(values) },
  { title: 'TTL', cell: ({ timeout }) => showSeconds(timeout) },
  { title: 'LEFT', detail: true, cell: ({ left }) => (left === undefined ? '-' : showSeconds(tenths(left))) },
  { title: 'REGISTERED', cell: ({ registered }, now) => `${age(now - registered)} ago` },
  { title: 'REVISION', detail: true, cell: ({ revision }) => String(revision) },
  { title: 'LABELS', detail: true, flexible: true, cell: showLabels },
];

/** @param now ms since the Unix epoch. */
export function tabulate(records: readonly InstanceRecord[], detail: boolean, now: number): Table {
  const columns = VIEWS.filter((view) => detail || !view.detail);
  return { columns, rows: records.map((record) => columns.map(({ cell }) => cell(record, now))) };
}

function showValue(values: Json): string {
  return typeof values === 'string' ? values : JSON.stringify(values);
}

function showSeconds(timeout: Timeout): string {
  return timeout === 'never' ? timeout : `${timeout}s`;
}

/** Rounded up: what is left is never shown as nothing. */
function tenths(left: Timeout): Timeout {
  return left === 'never' ? left : Math.ceil(left * 10) / 10;
}

function showLabels({ tags = [], meta = {}, weight }: InstanceRecord): string {
  const words = [...tags, ...Object.entries(meta).map(([name, text]) => `${name}=${text}`)];
  if (weight !== undefined) words.push(`weight:${weight}`);
  return words.join(' ') || '-';
}

/** The largest unit that leaves two or more of it, from seconds to days; a clock that is behind makes no age. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
