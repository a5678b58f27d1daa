/** Makes bench/RESULTS.md and its charts from the results of the parts. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { drawCharts } from './charts.js';
import { hasMetric, show, showSpread, spread, values } from './figures.js';
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

Written by \`npm run bench\`; nothing in it is typed by hand. Ratios are what counts: they are of figures that were measured
in turns on one machine, while absolute figures are those of this machine alone. Each figure is the median of the rounds,
with the least and the most of them in brackets. Server and generator share the machine.`;

/** Share of a core from which on the generator may be the limit, and what marks such a row. */
const BUSY = 0.9;
const MARK = '(g)';

/** One for each target of a part: its figure, whether it is met, and what is needed to say so. */
function judge(part, result) {
  const rows = new Map(result.rows.map((row) => [rowId(row.peer, row.work, row.setting), row]));
  return part.targets.map((target) => {
    const ours = rows.get(rowId(...target.ours));
    const theirs = target.theirs && rows.get(rowId(...target.theirs));
    if (ours === undefined || (target.theirs && theirs === undefined)) return { target };
    const figure = spread(theirs ? ratios(target, ours.samples, theirs.samples) : values(ours.samples, target.metric));
    const isDoubtful = [ours, theirs].some((row) => row !== undefined && isBusy(row));
    return { target, figure, isDoubtful, isMet: isMet(target, figure.median) };
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
  const missing = result.missing.length > 0 ? `Not installed, and so not measured: ${result.missing.join('; ')}.` : '';
  const quick = result.isQuick ? '**Measured in the quick form: these figures mean nothing.**' : '';
  const chartLinks = drawCharts(part, result)
    .map(({ title, file }) => `![${title}](${file})`)
    .join('\n\n');
  const figures = (part.tables ?? [part.columns]).map((columns) => figureTable(columns, result));
  const tables = [targetTable(verdicts), chartLinks, ...figures];
  return [
    `## ${part.title}`,
    quick,
    part.about,
    missing,
    ...tables,
    failures(result),
    faults(result),
    checks(result),
    busyNote(result),
  ];
}

function failures({ failures: all = [] }) {
  return all.length === 0 ? '' : `Failed, and measured once more: ${all.join('; ')}.`;
}

function faults({ faults: all = [] }) {
  return all.length === 0 ? '' : `**This run has failed:** ${all.join('; ')}.`;
}

/** What is known of the answers. */
function checks({ rows }) {
  const checked = rows.flatMap(({ samples }) => samples).reduce((sum, sample) => sum + (sample.checked ?? 0), 0);
  return checked === 0
    ? ''
    : `${show(checked)} of the replies were compared with what they should be, and all were right.`;
}

/** Where the generator may have been what was measured. */
function isBusy({ samples }) {
  return spread(samples.map(({ generatorCpu = 0 }) => generatorCpu)).median > BUSY;
}

function busyNote({ rows }) {
  if (!rows.some(({ samples }) => hasMetric({ samples }, 'generatorCpu'))) return '';
  return rows.some(isBusy)
    ? `In rows marked with ${MARK} the generator took more than ${BUSY} of a core: it may have been the limit there, and the server could do more.`
    : `The generator took no more than ${BUSY} of a core in any row: it was not what held a server up.`;
}

/** Where nothing is to be reached it only says how things compare. */
function targetTable(verdicts) {
  if (verdicts.length === 0) return '';
  const hasBounds = verdicts.some(({ target }) => bound(target) !== '');
  const head = hasBounds ? ['what', 'against', 'ours', 'to reach', ''] : ['what', 'against', 'ratio'];
  return table(
    head,
    verdicts.map(({ target, figure, isDoubtful, isMet: met }) =>
      [
        target.what,
        target.theirs?.[0] === target.ours[0] ? target.theirs.slice(2).join(', ') : (target.theirs?.[0] ?? '–'),
        figure === undefined
          ? 'not measured'
          : `${showSpread(figure, target.unit)} ${target.theirs ? '×' : target.unitName}${isDoubtful ? ` ${MARK}` : ''}`,
        bound(target),
        verdictOf(met),
      ].slice(0, head.length),
    ),
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

/** Of those columns that some row has, and those rows that have some of them. */
function figureTable(all, result) {
  const columns = all.filter(({ metric }) => result.rows.some((row) => hasMetric(row, metric)));
  const rows = result.rows.filter((row) => columns.some(({ metric }) => hasMetric(row, metric)));
  const hasPeers = new Set(rows.map(({ peer }) => peer)).size > 1;
  return table(
    ['', '', ...(hasPeers ? ['server'] : []), ...columns.map(({ title }) => title)],
    rows
      .toSorted((a, b) => order(rows, a) - order(rows, b))
      .map((row) => [
        row.work,
        row.setting,
        ...(hasPeers ? [row.peer] : []),
        ...columns.map((column) => cell(row, column)),
      ]),
  );
}

function cell(row, { metric, unit }) {
  if (!hasMetric(row, metric)) return '';
  return `${showSpread(spread(values(row.samples, metric)), unit)}${metric === 'generatorCpu' && isBusy(row) ? ` ${MARK}` : ''}`;
}

/** Rows of the same work and setting stand together, where the first of them was. */
function order(rows, row) {
  return rows.findIndex(({ work, setting }) => work === row.work && setting === row.setting);
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
