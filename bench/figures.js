/** What is said of the samples of one thing: their median and their spread. */

/** @returns `{ median, least, most }`. */
export function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
  return { median, least: sorted[0], most: sorted.at(-1) };
}

/** Whether all samples of a row have it. */
export function hasMetric({ samples }, metric) {
  return samples.every((sample) => sample[metric] !== undefined);
}

export function values(samples, metric) {
  return samples.map((sample) => sample[metric]);
}

/** Three digits that mean something, with commas in the large ones. */
export function show(value) {
  if (value === 0) return '0';
  const digits = Math.floor(Math.log10(Math.abs(value)));
  if (digits >= 2) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.min(2 - digits, 6));
}

export function showSpread({ median, least, most }, unit = 1) {
  const range = least === most ? '' : ` (${show(least / unit)} to ${show(most / unit)})`;
  return `${show(median / unit)}${range}`;
}
