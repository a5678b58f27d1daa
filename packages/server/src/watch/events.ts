import { encodeErrorFields, LINE_END, type RegistryError, type ResetEvent } from '@reg/protocol';
import { type Change, reasonOf } from '../change.js';
import { encodeGone, encodeRecord, type Instance } from '../registry/instance.js';
import type { Sight } from '../registry/selection.js';

/** A state with more than this is told in pieces of about so much, as the peer takes them. */
const PIECE_CHARS = 64 * 1024;
/** After so many that may not be seen others have their turn. */
const LOOKS_PER_PIECE = 1000;
/** So many of the latest changes are kept as text, for connections that have fallen behind for a moment. */
const KEPT_TEXTS = 256;
/** A longer text is not kept: 1 MiB for all is enough. */
const MAX_KEPT_CHARS = 4096;

/** How the line of a change begins: all of it that is not the same for every watch, and up to the revision. */
export function openChange(watch: number): string {
  return `{"type":"change","watch":${watch},"revision":`;
}

/**
 * Changes as text, from behind `openChange` to the end of the line. Each is encoded when it is first asked for, and
 * told from there to every watch.
 */
export class ChangeTexts {
  readonly #kept = new Array<{ readonly revision: number; readonly text: string } | undefined>(KEPT_TEXTS);

  of(change: Change): string {
    const { revision } = change;
    const place = revision % KEPT_TEXTS;
    const kept = this.#kept[place];
    if (kept?.revision === revision) return kept.text;
    const text = encodeChange(change);
    if (text.length <= MAX_KEPT_CHARS) this.#kept[place] = { revision, text };
    return text;
  }
}

/** Each piece of a text costs as much as some of the text, so there are few. */
function encodeChange(change: Change): string {
  const { revision, at } = change;
  switch (change.kind) {
    case 'register': {
      const kind = change.generation === revision ? 'registered' : 'updated';
      return `${revision},"at":${at},"change":"${kind}","service":${encodeRecord(change)}}${LINE_END}`;
    }
    case 'expire':
    case 'destroy':
      return `${revision},"at":${at},"change":"${reasonOf(change)}","service":${encodeGone(change)}}${LINE_END}`;
  }
}

/**
 * The lines of a state, made as they are asked for: the reset that comes before it, where there is a reason for one,
 * and the instances, unless there are none. Where many of them may not be seen, some lines are empty: a piece takes
 * little time in any case.
 *
 * @param sight what of them is told; `undefined` for all.
 */
export function* encodeState(
  watch: number,
  reset: ResetEvent['reason'] | undefined,
  instances: readonly Instance[],
  sight: Sight | undefined,
): Generator<string, undefined> {
  if (reset !== undefined) yield `{"type":"reset","watch":${watch},"reason":"${reset}"}${LINE_END}`;
  const opening = `{"type":"state","watch":${watch},"services":[`;
  let text = opening;
  let unseen = 0;
  for (const instance of instances) {
    if (sight !== undefined && !sight.has(instance.key)) {
      unseen += 1;
      if (unseen % LOOKS_PER_PIECE === 0) yield '';
      continue;
    }
    text += text === opening ? encodeRecord(instance) : `,${encodeRecord(instance)}`;
    if (text.length < PIECE_CHARS) continue;
    yield `${text}]}${LINE_END}`;
    text = opening;
  }
  if (text !== opening) yield `${text}]}${LINE_END}`;
}

export function encodeSynced(watch: number, epoch: string, revision: number, isWarming: boolean): string {
  const warming = isWarming ? ',"warming":true' : '';
  return `{"type":"synced","watch":${watch},"epoch":${JSON.stringify(epoch)},"revision":${revision}${warming}}${LINE_END}`;
}

export function encodeEnded(watch: number, error: RegistryError): string {
  return `{"type":"ended","watch":${watch},"error":${encodeErrorFields(error)}}${LINE_END}`;
}

export function encodeProgress(revision: number): string {
  return `{"type":"progress","revision":${revision}}${LINE_END}`;
}
