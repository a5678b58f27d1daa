/** Makes bench/RESULTS.md and its charts from the results of the parts. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { barChart } from './chart.js';
import { show, showSpread, spread } from './figures.js';
import { rowId } from './run.js';

/**
 * @param folder a URL.
 * @param measured `[{ part, result }]`, a part of parts/ and what main.js wrote of it.
 */
export function writeReport(folder, measured) {
  mkdirSync(new URL('charts/', folder), { recursive: true });
  const all = measured.map(({ part, result }) => ({ part, result, verdicts: judge(part, result) }));
  for (const { file, svg } of measured.flatMap(({ part, result }) => drawCharts(part, result))) {
    writeFileSync(new URL(file, folder), svg);
  }
  const sections = [INTRODUCTION, summary(all), ...all.flatMap(partSections), machines(measured)];
  writeFileSync(new URL('RESULTS.md', folder), `${sections.filter(Boolean).join('\n\n')}\n`);
}

const INTRODUCTION = `# Results of the benchmark

Written by \`pnpm bench\`; nothing in it is typed by hand. Ratios are what counts: they are of figures that were measured
in turns on one machine, while absolute figures are those of this machine alone. Each figure is the median of the rounds,
with the least and the most of them in brackets. Server and generator share the machine.`;

/** One for each target of a part: its figure, whether it is met, and what is needed to say so. */
function judge(part, result) {
  const rows = new Map(result.rows.map((row) => [rowId(row.peer, row.work, row.setting), row]));
  return part.targets.map((target) => {
    const ours = rows.get(rowId(...target.ours));
    const theirs = target.theirs && rows.get(rowId(...target.theirs));
    if (ours === undefined || (target.theirs && theirs === undefined)) return { target };
    const figure = spread(theirs ? ratios(target, ours.samples, theirs.samples) : values(ours.samples, target.metric));
    return { target, figure, isMet: isMet(target, figure.median) };
  });
}

/** Of each round; where less is better, how many times sooner or smaller ours is, if the target says so. */
function ratios({ metric, theirMetric = metric, isInverse = false }, ours, theirs) {
  return ours.slice(0, theirs.length).map((sample, round) => {
    const ratio = sample[metric] / theirs[round][theirMetric];
    return isInverse ? 1 / ratio : ratio;
  });
}

/** `undefined` where the figure is only to be known. */
function isMet({ atLeast, atMost }, value) {
  if (atLeast !== undefined) return value >= atLeast;
  if (atMost !== undefined) return value <= atMost;
  return undefined;
}

function summary(all) {
  const verdicts = all.flatMap((one) => one.verdicts).filter(({ target }) => bound(target) !== '');
  const met = verdicts.filter((verdict) => verdict.isMet).length;
  const missed = verdicts.filter((verdict) => verdict.isMet === false).length;
  const rest = verdicts.length - met - missed;
  return `**${met} of ${verdicts.length} targets are met, ${missed} are not**${rest > 0 ? `, ${rest} were not measured` : ''}.`;
}

function partSections({ part, result, verdicts }) {
  const missing = result.missing.map((name) => `${name} is not installed: not measured.`).join(' ');
  const quick = result.isQuick ? '**Measured in the quick form: these figures mean nothing.**' : '';
  const chartLinks = drawCharts(part, result)
    .map(({ title, file }) => `![${title}](${file})`)
    .join('\n\n');
  return [`## ${part.title}`, quick, part.about, missing, targetTable(verdicts), chartLinks, figureTable(part, result)];
}

function targetTable(verdicts) {
  if (verdicts.length === 0) return '';
  return table(
    ['what', 'against', 'ours', 'to reach', ''],
    verdicts.map(({ target, figure, isMet: met }) => [
      target.what,
      target.theirs?.[0] === target.ours[0] ? target.theirs.slice(1).join(', ') : (target.theirs?.[0] ?? '–'),
      figure === undefined
        ? 'not measured'
        : `${showSpread(figure, target.unit)} ${target.theirs ? '×' : target.unitName}`,
      bound(target),
      verdictOf(met),
    ]),
  );
}

/** What is to be reached, in words. */
function bound({ atLeast, atMost, stretch, unit = 1, theirs, unitName }) {
  const measure = theirs ? '×' : unitName;
  const more = stretch === undefined ? '' : ` (${show(stretch)})`;
  if (atLeast !== undefined) return `≥ ${show(atLeast / unit)} ${measure}${more}`;
  if (atMost !== undefined) return `≤ ${show(atMost / unit)} ${measure}${more}`;
  return '';
}

function verdictOf(met) {
  if (met === undefined) return '';
  return met ? 'met' : '**not met**';
}

/** @returns `[{ title, file, svg }]`. */
function drawCharts(part, result) {
  return part.charts.map((chart, n) => {
    const rows = result.rows.filter((row) => isOf(chart, row));
    const settings = [...new Set(rows.map(({ setting }) => setting))];
    const groups = settings.map((setting) => ({
      label: setting,
      bars: rows.filter((row) => row.setting === setting).map((row) => bar(row, chart)),
    }));
    return { title: chart.title, file: `charts/${part.name}-${n + 1}.svg`, svg: barChart(chart.title, groups, chart) };
  });
}

function isOf({ work, metric }, row) {
  return (work === undefined || row.work === work) && hasMetric(row, metric);
}

function bar({ peer, samples }, { metric, unit = 1 }) {
  const { median, least, most } = spread(values(samples, metric));
  return { name: peer, median: median / unit, least: least / unit, most: most / unit, text: show(median / unit) };
}

function figureTable(part, { rows }) {
  const columns = part.columns.filter(({ metric }) => rows.some((row) => hasMetric(row, metric)));
  return table(
    ['', '', 'server', ...columns.map(({ title }) => title)],
    rows
      .toSorted((a, b) => order(rows, a) - order(rows, b))
      .map((row) => [
        row.work,
        row.setting,
        row.peer,
        ...columns.map(({ metric, unit }) =>
          hasMetric(row, metric) ? showSpread(spread(values(row.samples, metric)), unit) : '',
        ),
      ]),
  );
}

/** Rows of the same work and setting stand together, where the first of them was. */
function order(rows, row) {
  return rows.findIndex(({ work, setting }) => work === row.work && setting === row.setting);
}

function hasMetric({ samples }, metric) {
  return samples.every((sample) => sample[metric] !== undefined);
}

function values(samples, metric) {
  return samples.map((sample) => sample[metric]);
}

/** The machine of each part: parts can be measured alone, on other days or on another machine. */
function machines(measured) {
  const groups = groupBy(measured, ({ result }) => JSON.stringify(result.machine));
  const sections = [...groups.values()].map((group) => {
    const { machine } = group[0].result;
    const versions = Object.assign({}, ...group.map(({ result }) => result.versions));
    const rows = [...Object.entries(machine), ...Object.entries(versions)];
    const names = group.map(
      ({ part, result }) => `${part.name} (${result.finished.slice(0, 10)}, ${result.minutes} min)`,
    );
    return `Of ${names.join(', ')}:\n\n${table(['', ''], rows)}`;
  });
  return ['## The machine', ...sections].join('\n\n');
}

function groupBy(items, key) {
  const groups = new Map();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
