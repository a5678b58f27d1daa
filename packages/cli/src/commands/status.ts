import type { StatusReply } from '@reg/client';
import { STATUSES } from '@reg/protocol';
import { formatAddress } from '../address.js';
import { type Context, withClient } from '../context.js';
import { age, lapse } from '../duration.js';
import { countOf } from '../records.js';
import { type Fact, type Line, listFacts } from '../table.js';

/** Shows what the registry holds, does and lacks. */
export async function status(context: Context): Promise<void> {
  const { output, signal, clock, address } = context;
  const reply = await withClient(context, (client) => client.status({ signal }));
  output.report(reply, describe(reply, formatAddress(address), clock.wall()));
}

/** @param now ms since the Unix epoch. */
export function describe(reply: StatusReply, address: string, now: number): Line[] {
  const { version, pid, started } = reply;
  const heading = `registry at ${address}, version ${version}, process ${pid}, running for ${age(now - started)}`;
  const problems = findProblems(reply, now);
  const verdict: Line[] = problems.length > 0 ? problems : [{ text: 'All is well.', tone: 'good' }];
  return [{ text: heading, tone: 'strong' }, ...verdict, { text: '' }, ...listFacts(factsOf(reply))];
}

function factsOf(reply: StatusReply): Fact[] {
  const { services, instances, connections, watches, maxWatches, renewals, expired, memory } = reply;
  const statuses = STATUSES.filter((each) => instances[each] > 0).map((each) => `${instances[each]} ${each}`);
  const total = STATUSES.reduce((sum, each) => sum + instances[each], 0);
  return [
    ['services', String(services)],
    ['instances', statuses.length > 0 ? `${total}: ${statuses.join(', ')}` : String(total)],
    ['connections', String(connections)],
    ['watches', `${watches}, of ${maxWatches} at most`],
    ['renewals', `${renewals} since it started; ${countOf(expired, 'instance')} expired`],
    ['revision', `${reply.revision}, in epoch ${reply.epoch}`],
    ['storage', storageOf(reply)],
    ['stood still', `${lapse(reply.stalled)} since it started; no instance lost time by that`],
    ['memory', `${mebibytes(memory.resident)}, of which objects ${mebibytes(memory.heap)}`],
  ];
}

function storageOf({ log, durability }: StatusReply): string {
  if (durability === 'none') return `${log}: a stop loses everything`;
  return `${log}, durability ${durability}`;
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}

/** A standstill is worth a word where it is of a second, and of a hundredth of the time that it has run. */
const LONG_STALL_MS = 1000;
const STALL_SHARE = 0.01;

/** Watches that are so near to their bound are about to be refused. */
const NEARLY = 0.9;

/** What is wrong, the worst first, and what to do about it. */
function findProblems(reply: StatusReply, now: number): Line[] {
  const { refusing, warming, instances, overdue, behind, watches, maxWatches, stalled, started } = reply;
  const problems: Line[] = [];
  const bad = (text: string): unknown => problems.push({ text: `! ${text}`, tone: 'bad' });
  const doubtful = (text: string): unknown => problems.push({ text: `! ${text}`, tone: 'doubtful' });
  if (refusing !== undefined) bad(`It refuses changes: ${refusing}. Renewals and queries go on.`);
  if (warming !== undefined) {
    doubtful(
      `It has just started: for another ${lapse(warming * 1000)} what is missing may be on its way back, and what is shown may be gone.`,
    );
  }
  if (overdue > 0) {
    doubtful(
      `${are(overdue, 'instance')} overdue: more have expired than it can tell at once. Queries leave them out.`,
    );
  }
  if (behind > 0) {
    doubtful(`${are(behind, 'connection')} behind: who watches there is slow, or stopped. Nobody waits for that.`);
  }
  if (watches >= maxWatches * NEARLY) bad('Hardly any more watches are taken. How many: --max-watches of the daemon.');
  if (instances.critical > 0) {
    bad(`${are(instances.critical, 'instance')} critical, and not used. To see: regctl query all --status critical`);
  }
  if (instances.suspect > 0) {
    const which = are(instances.suspect, 'instance');
    doubtful(`${which} suspect: the connection broke. To see: regctl query all --status suspect`);
  }
  if (stalled >= LONG_STALL_MS && stalled >= (now - started) * STALL_SHARE) {
    doubtful(
      `It stood still for ${lapse(stalled)} since it started: the machine is overloaded, or the process was stopped.`,
    );
  }
  return problems;
}

function are(count: number, noun: string): string {
  return `${countOf(count, noun)} ${count === 1 ? 'is' : 'are'}`;
}
