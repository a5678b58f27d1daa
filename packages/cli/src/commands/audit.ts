import type { AuditEntry, Client } from '@reg/client';
import { type Context, withClient } from '../context.js';
import { readCount } from '../count.js';
import { moment } from '../duration.js';
import { nameOf } from '../names.js';
import { countOf } from '../records.js';
import { within } from '../stay.js';
import type { Line, Table } from '../table.js';

export interface AuditArguments {
  /** How many entries; 100 where absent. */
  readonly limit?: string;
  /** Goes on until it is interrupted. */
  readonly follow?: boolean;
}

/** How often somebody who follows is told what is new, in ms. */
const LOOK_MS = 1000;
/** More than are made between two looks, or kept. */
const ALL = 1000;

/** Shows what the registry has recorded lately, and with `--follow` what it records from then on. */
export async function audit({ limit: text = '100', follow }: AuditArguments, context: Context): Promise<void> {
  const limit = readCount(text, '--limit');
  const { output, signal } = context;
  await withClient(context, async (client) => {
    const reply = await client.audit({ limit }, { signal });
    if (reply.kept === 'none') {
      output.note('not_recorded', 'the registry records nothing: it does where it is told to, with --audit');
    }
    if (!follow) {
      output.table(reply, tableOf(reply.entries));
      return;
    }
    tell(reply.entries, context);
    await goOn(client, reply.entries.at(-1)?.number ?? 0, context);
  });
}

/** Asks again and again: there is so little of it that nobody has to be told of each entry. Ctrl-C is no failure. */
async function goOn(client: Client, from: number, context: Context): Promise<void> {
  const { clock, signal } = context;
  const interrupted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  let last = from;
  while (!signal.aborted && !(await within(clock, LOOK_MS, interrupted))) {
    const { entries } = await client.audit({ after: last, limit: ALL });
    tell(entries, context);
    last = entries.at(-1)?.number ?? last;
  }
}

function tell(entries: readonly AuditEntry[], { output }: Context): void {
  for (const entry of entries) output.report(entry, [lineOf(entry)]);
}

function tableOf(entries: readonly AuditEntry[]): Table {
  return {
    columns: [
      { title: 'time' },
      { title: 'event' },
      { title: 'instance', flexible: true },
      { title: 'by' },
      { title: 'from' },
      { title: 'about', flexible: true },
    ],
    rows: entries.map((entry) => [moment(entry.at), entry.event, ...cellsOf(entry)]),
  };
}

/** The entry on a line of its own. */
export function lineOf(entry: AuditEntry): Line {
  const words = [moment(entry.at), entry.event.padEnd(WORD_WIDTH), ...cellsOf(entry)];
  return { text: words.join('  '), tone: SERIOUS.includes(entry.event) ? 'doubtful' : 'faint' };
}

/** As wide as the widest name of an event. */
const WORD_WIDTH = 13;
/** Events that somebody may have to do something about. */
const SERIOUS: readonly string[] = [
  'took_over',
  'undone',
  'denied',
  'auth_failed',
  'lost',
] satisfies AuditEntry['event'][];

/** Of what, by whom, from where, and what else. */
function cellsOf({ service, instance, caller, peer, revision, reason, count }: AuditEntry): string[] {
  const name = service === undefined ? '-' : nameOf({ key: service, ...(instance === undefined ? {} : { instance }) });
  const about = [
    ...(revision === undefined ? [] : [`revision ${revision}`]),
    ...(count === undefined ? [] : [countOf(count, 'entry').replace(/ys$/, 'ies')]),
    ...(reason === undefined ? [] : [reason]),
  ];
  return [name, caller ?? '-', peer ?? 'the registry', about.length > 0 ? about.join(', ') : '-'];
}
