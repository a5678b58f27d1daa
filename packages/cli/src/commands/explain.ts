import type { ExplainReply, InstanceRecord } from '@reg/client';
import { type EndReason, type HolderReply, statusOf } from '@reg/protocol';
import { type Context, withClient } from '../context.js';
import { age, lapse, moment } from '../duration.js';
import { CommandError } from '../errors.js';
import { nameOf, readInstanceName } from '../names.js';
import { countOf, STATUS_TONES, showLabels, showSeconds, showValue, tenths } from '../records.js';
import { type Fact, type Line, listFacts } from '../table.js';
import { lineOf } from './audit.js';

/** Tells what is known of one instance, or how it ended. That nothing is known is a failure. */
export async function explain(text: string, context: Context): Promise<void> {
  const { output, signal, clock } = context;
  const name = readInstanceName(text);
  const { key, instance } = name;
  const reply = await withClient(context, (client) => client.explain(key, instance ?? null, { signal }));
  if (!reply.service && !reply.ended) {
    const message = `nothing is registered as ${nameOf(name)}, and nothing is known of an end of it.`;
    throw new CommandError('not_found', `${message}\nAll instances are shown by: regctl query ${key} --status any`);
  }
  output.report(
    { key, ...(instance !== undefined && { instance }), ...reply },
    describe(nameOf(name), reply, clock.wall()),
  );
}

/** @param now ms since the Unix epoch. */
export function describe(name: string, reply: ExplainReply, now: number): Line[] {
  const { service, ended } = reply;
  if (service) {
    return [
      { text: `${name} is ${whyOf(service, reply, now)}`, tone: STATUS_TONES[statusOf(service)] ?? 'good' },
      ...findProblems(service, reply, now).map((text): Line => ({ text: `! ${text}`, tone: 'doubtful' })),
      { text: '' },
      ...listFacts(factsOf(service, reply, now)),
      ...recordOf(reply),
    ];
  }
  const how = ended ? `${ENDS[ended.reason]} ${when(ended.at, now)}, at revision ${ended.revision}` : 'is not there';
  return [{ text: `${name} ${how}`, tone: 'bad' }, { text: '' }, ...listFacts([watchedBy(reply)]), ...recordOf(reply)];
}

/** What was recorded of it, the latest last. */
function recordOf({ audit = [] }: ExplainReply): Line[] {
  return audit.length === 0 ? [] : [{ text: '' }, ...audit.map(lineOf)];
}

const ENDS: Readonly<Record<EndReason, string>> = {
  expired: 'has expired, not renewed in time or cut off for longer than its linger,',
  destroyed: 'was destroyed',
  superseded: 'was taken over by another owner',
};

/** Its status, and why. */
function whyOf(service: InstanceRecord, { holder }: ExplainReply, now: number): string {
  const status = statusOf(service);
  if (status === 'draining') return 'draining: it says that it is leaving';
  if (status === 'critical') return 'critical: it says that it cannot serve';
  if (status === 'passing') return 'passing';
  const { left } = service;
  const cause =
    holder?.closed === undefined
      ? 'nobody has come back for it since the registry started'
      : `its connection broke ${lapse(now - holder.closed)} ago`;
  const rest =
    left === undefined || left === 'never' ? '' : `, and it ends in ${showSeconds(tenths(left))} unless it comes back`;
  return `suspect: ${cause}${rest}`;
}

function factsOf(service: InstanceRecord, reply: ExplainReply, now: number): Fact[] {
  const { registered, generation, revision } = service;
  const { owned, changed = registered, holder } = reply;
  const facts: Fact[] = [
    ['value', showValue(service.values)],
    ['labels', showLabels(service)],
    ['registered', `${when(registered, now)}, at revision ${generation}`],
  ];
  if (revision !== generation) facts.push(['changed', `${when(changed, now)}, at revision ${revision}`]);
  facts.push(
    ['by', holder ? sourceOf(holder, now) : 'nobody since the registry started'],
    [
      'owner',
      owned
        ? 'who registered it: nobody else can, unless it is suspect'
        : 'none: whoever registers it again replaces it',
    ],
    ['renewed', renewalOf(service, reply, now)],
  );
  if (holder && holder.heartbeats > 0) facts.push(['heartbeats', rhythmOf(holder)]);
  facts.push(['linger', lingerOf(service)], watchedBy(reply));
  return facts;
}

function when(wall: number, now: number): string {
  return `${age(now - wall)} ago (${moment(wall)})`;
}

function sourceOf({ peer, opened, closed }: HolderReply, now: number): string {
  if (closed === undefined) return `${peer}, connected for ${age(now - opened)}`;
  return `${peer}, whose connection ended ${lapse(now - closed)} ago, after ${lapse(closed - opened)}`;
}

function renewalOf({ timeout, left }: InstanceRecord, { renewed }: ExplainReply, now: number): string {
  if (timeout === 'never') return 'never: it stays until it is destroyed';
  const rest = left === undefined ? '' : `, ${showSeconds(tenths(left))} of its ttl of ${showSeconds(timeout)} left`;
  return `${renewed === undefined ? 'not since its connection broke' : `${lapse(now - renewed)} ago`}${rest}`;
}

function rhythmOf({ heartbeats, intervals }: HolderReply): string {
  if (intervals.length === 0) return `${heartbeats} over that connection`;
  const mean = intervals.reduce((sum, each) => sum + each, 0) / intervals.length;
  const range = `${lapse(Math.min(...intervals))} to ${lapse(Math.max(...intervals))}`;
  return `${heartbeats} over that connection, one every ${lapse(mean)} (${range})`;
}

function lingerOf({ linger }: InstanceRecord): string {
  return linger === undefined
    ? 'none: it does not depend on its connection'
    : `${showSeconds(linger)} after its connection`;
}

function watchedBy({ watches, watchers }: ExplainReply): Fact {
  if (watches === 0) return ['watched by', 'nobody'];
  const peers = [...new Set(watchers)];
  const more = watchers.length < watches ? ' and others' : '';
  return ['watched by', `${countOf(watches, 'watch').replace(/hs$/, 'hes')}: ${peers.join(', ')}${more}`];
}

/** Heartbeats come at a third of the ttl. Where two in a row are missing, a third one is all that is left. */
const LATE = 2 / 3;

function findProblems({ timeout, linger }: InstanceRecord, { renewed, holder }: ExplainReply, now: number): string[] {
  if (timeout === 'never' || !holder || linger === undefined) return [];
  const ttl = timeout * 1000;
  const problems: string[] = [];
  if (renewed !== undefined && now - renewed > ttl * LATE) {
    problems.push(`It was not renewed for ${lapse(now - renewed)}, and should be every ${lapse(ttl / 3)}.`);
  }
  const longest = Math.max(0, ...holder.intervals);
  if (longest > ttl * LATE) {
    problems.push(`Its heartbeats are irregular: of the last, one came ${lapse(longest)} after the one before.`);
  }
  return problems;
}
