/** Every text up to so long (a character is 3 bytes at most) is copied through one buffer. */
const SCRATCH_BYTES = 48 * 1024;
/** What is cut out of a text is a copy where it is shorter than this; see `own`. */
const MIN_CUT = 13;

const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/**
 * A copy of a text that refers to no other. What V8 cuts out of a text refers to the whole of it, so that a name of 16
 * characters may keep all that came with it from the network; and what it joins refers to its parts, each of which has
 * a header. Once through bytes and back costs 0.1 µs, as little as any way that surely copies. Whoever keeps a text of
 * a request for longer than the request owns it.
 *
 * @param text well-formed.
 */
export function own(text: string): string {
  if (text.length < MIN_CUT) return text;
  if (text.length * 3 > SCRATCH_BYTES) return Buffer.from(text).toString();
  return scratch.toString('utf8', 0, scratch.write(text));
}
