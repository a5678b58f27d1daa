/** The charts of a part: bars that stand for servers, or lines that show how something grows. */

import { barChart } from './bar-chart.js';
import { hasMetric, show, spread, values } from './figures.js';
import { lineChart } from './line-chart.js';

/** @returns `[{ title, file, svg }]`; a chart of what was not measured is none. */
export function drawCharts(part, { rows }) {
  return part.charts
    .map((chart, n) => ({
      title: chart.title,
      file: `charts/${part.name}-${n + 1}.svg`,
      svg: chart.lines === undefined ? drawBars(chart, rows) : drawLines(chart, rows),
    }))
    .filter(({ svg }) => svg !== undefined);
}

/** A group for each setting, a bar for each server. */
function drawBars(chart, all) {
  const rows = all.filter((row) => isOf(chart, row));
  if (rows.length === 0) return undefined;
  const settings = [...new Set(rows.map(({ setting }) => setting))];
  const groups = settings.map((setting) => ({
    label: setting,
    bars: rows.filter((row) => row.setting === setting).map((row) => bar(row, chart)),
  }));
  return barChart(chart.title, groups, chart);
}

function bar({ peer, samples }, { metric, unit = 1 }) {
  const { median, least, most } = spread(values(samples, metric));
  return { name: peer, median: median / unit, least: least / unit, most: most / unit, text: show(median / unit) };
}

/** The points of each line are its rows, at the number that their samples have under the name `x`. */
function drawLines(chart, rows) {
  const series = chart.lines
    .map(({ name, ...line }) => ({
      name,
      points: rows.filter((row) => isOf(line, row)).map((row) => point(row, chart, line)),
    }))
    .filter(({ points }) => points.length > 0);
  return series.length === 0 ? undefined : lineChart(chart.title, series, chart);
}

function point({ samples }, { x }, { metric }) {
  return { at: samples[0][x], ...spread(values(samples, metric)) };
}

function isOf({ work, metric }, row) {
  return (work === undefined || row.work === work) && hasMetric(row, metric);
}
