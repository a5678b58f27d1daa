/** Bars with their spread, as SVG: groups of bars, one for each peer of the group. */

const WIDTH = 760;
const LEFT = 250;
const RIGHT = 130;
const BAR = 15;
const GAP = 14;
const COLOURS = ['#2b6cb0', '#c05621', '#718096', '#2f855a', '#805ad5', '#b7791f'];

/**
 * @param groups `[{ label, bars: [{ name, median, least, most, text }] }]`.
 * @param isLogarithmic where the bars differ so much that the small ones would not be seen.
 */
export function barChart(title, groups, { isLogarithmic = false } = {}) {
  const names = [...new Set(groups.flatMap(({ bars }) => bars.map(({ name }) => name)))];
  const all = groups.flatMap(({ bars }) => bars);
  const x = scale(all, isLogarithmic);
  const parts = [];
  let y = 34;
  for (const { label, bars } of groups) {
    parts.push(text(LEFT - 8, y + (bars.length * BAR) / 2 + 4, label, 'end'));
    for (const bar of bars) {
      parts.push(drawBar(bar, x, y, COLOURS[names.indexOf(bar.name) % COLOURS.length]));
      y += BAR;
    }
    y += GAP;
  }
  const legend = drawLegend(names, y);
  const head = `<text x="8" y="20" font-weight="bold">${encoded(title)}${isLogarithmic ? ' (logarithmic)' : ''}</text>`;
  return svg(y + 20 * Math.ceil(names.length / 3) + 8, [head, ...parts, ...legend]);
}

/** From a value to its place. */
function scale(bars, isLogarithmic) {
  const most = Math.max(...bars.map((bar) => bar.most));
  const span = WIDTH - LEFT - RIGHT;
  if (!isLogarithmic) return (value) => LEFT + (span * value) / most;
  const least = Math.min(...bars.map((bar) => bar.least).filter((value) => value > 0)) / 2;
  return (value) => LEFT + Math.max(0, (span * Math.log(value / least)) / Math.log(most / least));
}

function drawBar({ median, least, most, text: said }, x, y, colour) {
  const middle = y + BAR / 2;
  return [
    `<rect x="${LEFT}" y="${y + 1}" width="${round(x(median) - LEFT)}" height="${BAR - 2}" fill="${colour}"/>`,
    `<path d="M${round(x(least))} ${middle}H${round(x(most))}" stroke="#1a202c" stroke-width="1.5"/>`,
    text(Math.max(x(median), x(most)) + 5, middle + 4, said),
  ].join('');
}

function drawLegend(names, y) {
  return names.map((name, n) => {
    const [left, top] = [8 + (n % 3) * 240, y + 20 * Math.floor(n / 3)];
    const colour = COLOURS[n % COLOURS.length];
    return `<rect x="${left}" y="${top}" width="11" height="11" fill="${colour}"/>${text(left + 16, top + 10, name)}`;
  });
}

function svg(height, parts) {
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`;
  return `${open}\n<rect width="100%" height="100%" fill="white"/>\n${parts.join('\n')}\n</svg>\n`;
}

function text(x, y, said, anchor = 'start') {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${encoded(said)}</text>`;
}

function encoded(said) {
  return said.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

function round(value) {
  return Math.round(value * 10) / 10;
}
