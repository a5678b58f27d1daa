import type { Change } from './change.js';

/**
 * A change as a log may show it. Values hold credentials: of a string only what follows its last `@` is shown,
 * as in `123456@127.0.0.1:6379`; of anything else nothing is.
 */
export function redact(change: Change): object {
  const { key, instance, revision } = change;
  if (change.kind !== 'register') return { key, instance, revision };
  const { values } = JSON.parse(`{${change.body}}`) as { values: unknown };
  const at = typeof values === 'string' ? values.lastIndexOf('@') : -1;
  return at === -1 ? { key, instance, revision } : { key, instance, revision, address: String(values).slice(at + 1) };
}
