import { ALL, LINE_END, NOT_SELECTIVE, openReply, type QueryRequest, RegistryError } from '@reg/protocol';
import type { Caller } from '../caller.js';
import type { Core } from '../core.js';
import { encodeRecord, type Instance } from '../registry/instance.js';
import type { Again } from '../registry/known-lines.js';
import { MAX_LOOKS, type Selected, type Sight } from '../registry/selection.js';
import type { Reply } from '../reply.js';

/** What a reply has beside its records: an id of 64 escaped bytes, and the names and digits of the rest. */
const HEAD_BYTES = 512;
/** A reply with more than this is made in pieces of about so much, as the peer takes them. */
const PIECE_BYTES = 64 * 1024;

/**
 * Answers what is registered and has not expired. The records are those of this moment, however long it takes
 * to send them.
 */
export function query(request: QueryRequest, core: Core, caller: Caller): Reply {
  const now = core.clock.latest;
  if (!isOrdinary(request)) {
    // Of one service the gate has decided; of all, what the caller may not see is left out.
    const sight = request.key === ALL ? core.access?.sight('query', caller) : undefined;
    return replyOf(request, select(request, core, now, sight), core, now, undefined);
  }
  const selected = select(request, core, now, undefined);
  const { instances } = selected;
  const until = validUntil(instances, now, core.warmUntil);
  const [first] = instances;
  const again = first === undefined ? undefined : { service: first.key, renewed: undefined, time: until };
  return replyOf(request, selected, core, now, again);
}

/** Whether it asks for a service as it is, and nothing more: such answers are kept. */
function isOrdinary({ id, key, instance, detail, limit, after, selector }: QueryRequest): boolean {
  const isWhole = id === undefined && instance === undefined && limit === Number.POSITIVE_INFINITY && after === 0;
  return isWhole && selector === NOT_SELECTIVE && !detail && key !== ALL;
}

/** When the reply says something else though nothing was changed: at the first expiry, or when the grace is over. */
function validUntil(instances: readonly Instance[], now: number, warmUntil: number): number {
  let until = now < warmUntil ? warmUntil : Number.POSITIVE_INFINITY;
  for (const { expiresAt } of instances) until = Math.min(until, expiresAt);
  return until;
}

/** @throws {RegistryError} `too_large` */
function select(request: QueryRequest, core: Core, now: number, sight: Sight | undefined): Selected {
  const { key, instance, selector, after, limit } = request;
  const service = key === ALL ? undefined : key;
  const selected = core.registry.select(
    { service, instance, selector, sight, after, limit, maxBytes: core.limits.maxReplyBytes - HEAD_BYTES },
    now,
  );
  const isPage = limit < Number.POSITIVE_INFINITY || after > 0;
  if (selected.cut !== undefined && (!isPage || selected.next === after)) throw tooLarge(selected, core);
  return selected;
}

function replyOf(
  { id, detail }: QueryRequest,
  selected: Selected,
  core: Core,
  now: number,
  again: Again | undefined,
): Reply {
  const { instances, bytes, revision } = selected;
  const opening = `${openReply(id)},${encodeHead(selected, core, now)}"services":[`;
  // As of now: while a long reply is sent, instances are renewed, and end.
  const left = detail ? instances.map(({ expiresAt }) => expiresAt - now) : undefined;
  const line = bytes > PIECE_BYTES ? encodeInPieces(opening, instances, left) : encode(opening, instances, left);
  return { id, shows: revision, line, again };
}

/** No page that a client could go on with. */
function tooLarge({ cut }: Selected, { limits }: Core): RegistryError {
  const size = cut === 'looks' ? `take more than ${MAX_LOOKS} looks` : `be over ${limits.maxReplyBytes} bytes`;
  return new RegistryError('too_large', `the reply would ${size}: ask for pages, with "limit" and then "after"`);
}

function encodeHead({ revision, cut, next }: Selected, { warmUntil }: Core, now: number): string {
  const warming = now < warmUntil ? '"warming":true,' : '';
  const onward = cut === undefined ? '' : `"next":${next},`;
  return `"revision":${revision},${warming}${onward}`;
}

function encode(opening: string, instances: readonly Instance[], left: readonly number[] | undefined): string {
  const records = instances.map((instance, index) => encodeRecord(instance, left?.[index]));
  return `${opening}${records.join(',')}]}${LINE_END}`;
}

function* encodeInPieces(
  opening: string,
  instances: readonly Instance[],
  left: readonly number[] | undefined,
): Generator<string> {
  let text = opening;
  let separator = '';
  for (const [index, instance] of instances.entries()) {
    text += separator + encodeRecord(instance, left?.[index]);
    separator = ',';
    if (text.length < PIECE_BYTES) continue;
    yield text;
    text = '';
  }
  yield `${text}]}${LINE_END}`;
}
