/** What all charts are made of: a white sheet, so that they can be read on any background, texts, and axes. */

export const WIDTH = 760;
/** Height of the title above what is drawn. */
export const HEAD = 34;
const INK = '#1a202c';
const GRID = '#e2e8f0';
/** Of a character of the text, about: no font is at hand to measure. */
const CHARACTER = 6.6;

/** A server has one colour in all charts. */
const COLOUR_OF = {
  reg: '#2b6cb0',
  'reg, on disk': '#63b3ed',
  Redis: '#c05621',
  'Redis, hz 500, effort 10': '#ed8936',
  etcd: '#2f855a',
  ZooKeeper: '#805ad5',
  'node:net echo': '#718096',
  "the article's server": '#b7791f',
};
const OTHERS = ['#2b6cb0', '#c05621', '#2f855a', '#805ad5', '#b7791f', '#718096'];

/** @returns the colour of each of these names, by name. */
export function coloursOf(names) {
  const family = (name) => COLOUR_OF[name] ?? COLOUR_OF[name.split(',')[0]];
  return new Map(names.map((name, n) => [name, family(name) ?? OTHERS[n % OTHERS.length]]));
}

export function sheet(title, height, parts) {
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${round(height)}" font-family="sans-serif" font-size="12" fill="${INK}">`;
  const head = `<text x="8" y="20" font-weight="bold">${encoded(title)}</text>`;
  return [open, '<rect width="100%" height="100%" rx="6" fill="white"/>', head, ...parts, '</svg>\n'].join('\n');
}

export function text(x, y, said, anchor = 'start') {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${encoded(said)}</text>`;
}

export function line(x1, y1, x2, y2, { colour = INK, width = 1.2 } = {}) {
  return `<path d="M${round(x1)} ${round(y1)}L${round(x2)} ${round(y2)}" stroke="${colour}" stroke-width="${width}"/>`;
}

export function gridLine(x1, y1, x2, y2) {
  return line(x1, y1, x2, y2, { colour: GRID, width: 1 });
}

/** The names beside their colours, in as many rows as they need. @returns `{ parts, height }`. */
export function legend(colours, top) {
  const parts = [];
  let [x, y] = [8, top];
  for (const [name, colour] of colours) {
    const width = 36 + name.length * CHARACTER;
    if (x > 8 && x + width > WIDTH) [x, y] = [8, y + 20];
    parts.push(`<rect x="${round(x)}" y="${y}" width="11" height="11" fill="${colour}"/>`, text(x + 16, y + 10, name));
    x += width;
  }
  return { parts, height: y - top + 22 };
}

/**
 * The values of an axis, from the first to the last: powers of ten, or from 0 on in round steps.
 *
 * @param values that must all be on it, and greater than 0 where it is logarithmic.
 */
export function ticksOf(values, isLogarithmic) {
  const most = Math.max(...values);
  if (!isLogarithmic) {
    const step = roundUp(most / 5);
    return Array.from({ length: Math.max(1, Math.ceil(most / step - 1e-9)) + 1 }, (_, n) => n * step);
  }
  const first = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const last = Math.max(first + 1, Math.ceil(Math.log10(most) - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, n) => 10 ** (first + n));
}

/** To 1, 2 or 5 times a power of ten. */
function roundUp(value) {
  if (value === 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => step * power >= value * (1 - 1e-9));
}

/** From a value to its place between `from` and `to`, where the ticks begin and end. */
export function scaleOf(ticks, isLogarithmic, from, to) {
  const place = isLogarithmic ? Math.log : (value) => value;
  const [first, last] = [place(ticks[0]), place(ticks.at(-1))];
  return (value) => from + ((to - from) * (place(value) - first)) / (last - first);
}

/** What stands at a tick: short, and exact. */
export function tickText(value) {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}

function encoded(said) {
  return said.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

export function round(value) {
  return Math.round(value * 10) / 10;
}
