/**
 * What a terminal is sent to draw in place, as ECMA-48 and xterm have it. The alternate screen is used: it has no
 * lines to scroll, so that a terminal whose size changes does not leave bits of what was drawn before.
 */

/** To the alternate screen, and without a cursor. */
export const ENTER = '\u001b[?1049h\u001b[?25l';
/** Back, to what was there before. */
export const LEAVE = '\u001b[?25h\u001b[?1049l';

const HOME = '\u001b[H';
const CLEAR_REST = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

/** Line over line, so that nothing flickers. None may fill the width: what clears would take its last character. */
export function drawLines(lines: readonly string[]): string {
  return HOME + lines.map((line) => line + CLEAR_REST).join('\r\n') + CLEAR_BELOW;
}
