/** Bars with their spread, as SVG: groups of bars, one for each peer of the group. */

import {
  coloursOf,
  gridLine,
  HEAD,
  legend,
  line,
  round,
  scaleOf,
  sheet,
  text,
  ticksOf,
  tickText,
  WIDTH,
} from './svg.js';

const LEFT = 236;
const RIGHT = 70;
const BAR = 15;
const GAP = 14;

/**
 * @param groups `[{ label, bars: [{ name, median, least, most, text }] }]`.
 * @param isLogarithmic where the bars differ so much that the small ones would not be seen.
 */
export function barChart(title, groups, { isLogarithmic = false } = {}) {
  const all = groups.flatMap(({ bars }) => bars);
  const colours = coloursOf([...new Set(all.map(({ name }) => name))]);
  const ticks = ticksOf(valuesOf(all, isLogarithmic), isLogarithmic);
  const x = scaleOf(ticks, isLogarithmic, LEFT, WIDTH - RIGHT);
  const parts = [];
  let y = HEAD;
  for (const { label, bars } of groups) {
    parts.push(text(LEFT - 8, y + (bars.length * BAR) / 2 + 4, label, 'end'));
    for (const bar of bars) {
      parts.push(drawBar(bar, (value) => x(Math.max(value, ticks[0])), y, colours.get(bar.name)));
      y += BAR;
    }
    y += GAP;
  }
  const axis = ticks.map(
    (tick) => gridLine(x(tick), HEAD - 4, x(tick), y - 8) + text(x(tick), y + 6, tickText(tick), 'middle'),
  );
  const { parts: names, height } = legend(colours, y + 20);
  return sheet(`${title}${isLogarithmic ? ' (logarithmic)' : ''}`, y + 20 + height, [...axis, ...parts, ...names]);
}

function valuesOf(bars, isLogarithmic) {
  const values = bars.flatMap(({ least, most }) => [least, most]);
  return isLogarithmic ? values.filter((value) => value > 0) : values;
}

function drawBar({ median, least, most, text: said }, x, y, colour) {
  const [left, middle] = [x(0), y + BAR / 2];
  return [
    `<rect x="${left}" y="${y + 1}" width="${round(x(median) - left)}" height="${BAR - 2}" fill="${colour}"/>`,
    least === most ? '' : line(x(least), middle, x(most), middle),
    text(x(most) + 5, middle + 4, said),
  ].join('');
}
