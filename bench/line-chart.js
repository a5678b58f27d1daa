/** Lines over a logarithmic axis, as SVG: how something grows. Each point is a median with its spread. */

import { coloursOf, gridLine, HEAD, line, round, scaleOf, sheet, text, ticksOf, tickText, WIDTH } from './svg.js';

const LEFT = 78;
const RIGHT = 250;
const HEIGHT = 220;
const FOOT = 44;
/** What the names at the ends of the lines need, each. */
const NAME = 15;

/**
 * @param series `[{ name, points: [{ at, median, least, most }] }]`, with points in order of `at`, which is above 0.
 * @param x what `at` counts.
 * @param isLogarithmic whether the other axis is, too.
 */
export function lineChart(title, series, { x: counted, isLogarithmic = false }) {
  const points = series.flatMap((one) => one.points);
  const colours = coloursOf(series.map(({ name }) => name));
  const [right, bottom] = [WIDTH - RIGHT, HEAD + HEIGHT];
  const xTicks = ticksOf(
    points.map(({ at }) => at),
    true,
  );
  const yTicks = ticksOf(
    points.flatMap(({ least, most }) => [least, most]),
    isLogarithmic,
  );
  const x = scaleOf(xTicks, true, LEFT, right);
  const y = scaleOf(yTicks, isLogarithmic, bottom, HEAD);
  const grid = [
    ...xTicks.map(
      (tick) => gridLine(x(tick), HEAD, x(tick), bottom) + text(x(tick), bottom + 16, tickText(tick), 'middle'),
    ),
    ...yTicks.map(
      (tick) => gridLine(LEFT, y(tick), right, y(tick)) + text(LEFT - 6, y(tick) + 4, tickText(tick), 'end'),
    ),
    text((LEFT + right) / 2, bottom + 34, counted, 'middle'),
  ];
  const lines = series.map((one) => drawLine(one, x, y, colours.get(one.name)));
  const names = drawNames(series, y, right, colours);
  return sheet(`${title}${isLogarithmic ? ' (logarithmic)' : ''}`, bottom + FOOT, [...grid, ...lines, ...names]);
}

function drawLine({ points }, x, y, colour) {
  const path = points.map(({ at, median }) => `${round(x(at))} ${round(y(median))}`).join('L');
  return [
    `<path d="M${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...points.flatMap(({ at, median, least, most }) => [
      line(x(at), y(least), x(at), y(most), { colour }),
      `<circle cx="${round(x(at))}" cy="${round(y(median))}" r="3" fill="${colour}"/>`,
    ]),
  ].join('');
}

/** Each at the height where its line ends, or below the one above it. */
function drawNames(series, y, right, colours) {
  const ends = series
    .map(({ name, points }) => ({ name, height: y(points.at(-1).median) }))
    .toSorted((a, b) => a.height - b.height);
  const room = HEAD + HEIGHT - NAME * ends.length;
  let free = 0;
  return ends.map(({ name, height }, n) => {
    const top = Math.max(free, Math.min(height, room + NAME * n));
    free = top + NAME;
    const colour = colours.get(name);
    return [
      line(right + 6, height, right + 18, top, { colour, width: 1 }),
      `<circle cx="${right + 22}" cy="${round(top)}" r="4" fill="${colour}"/>`,
      text(right + 30, top + 4, name),
    ].join('');
  });
}
