/** Records of the registry as people see them. */

import type { InstanceRecord, Json, Timeout } from '@reg/client';
import { type Status, statusOf } from '@reg/protocol';
import { age } from './duration.js';
import type { Column, Table, Tone } from './table.js';

/** How each status is shown; what passes is nothing to look at. */
export const STATUS_TONES: Readonly<Record<Status, Tone | undefined>> = {
  passing: undefined,
  suspect: 'doubtful',
  draining: 'leaving',
  critical: 'bad',
};

/** A column of the table, and what it says of a record. */
interface View extends Column {
  /** Only where details are asked for, or where an instance is not passing. */
  readonly only?: 'detail' | 'trouble';
  readonly cell: (record: InstanceRecord, now: number) => string;
}

const VIEWS: readonly View[] = [
  { title: 'SERVICE', flexible: true, cell: ({ key }) => key },
  { title: 'INSTANCE', flexible: true, cell: ({ instance }) => instance ?? '-' },
  { title: 'VALUE', flexible: true, cell: ({ values }) => showValue(values) },
  { title: 'STATUS', only: 'trouble', cell: statusOf },
  { title: 'TTL', cell: ({ timeout }) => showSeconds(timeout) },
  { title: 'LEFT', only: 'detail', cell: ({ left }) => (left === undefined ? '-' : showSeconds(tenths(left))) },
  { title: 'LINGER', only: 'detail', cell: ({ linger }) => (linger === undefined ? '-' : showSeconds(linger)) },
  { title: 'REGISTERED', cell: ({ registered }, now) => `${age(now - registered)} ago` },
  { title: 'REVISION', only: 'detail', cell: ({ revision }) => String(revision) },
  { title: 'LABELS', only: 'detail', flexible: true, cell: showLabels },
];

export interface TableOptions {
  readonly detail?: boolean;
  /** The status of each, also where all are passing. */
  readonly status?: boolean;
}

/** @param now ms since the Unix epoch. */
export function tabulate(records: readonly InstanceRecord[], options: TableOptions, now: number): Table {
  const { detail = false } = options;
  const status = options.status || detail || records.some((record) => statusOf(record) !== 'passing');
  const columns = VIEWS.filter(({ only }) => (only === 'detail' ? detail : only !== 'trouble' || status));
  return {
    columns,
    rows: records.map((record) => columns.map(({ cell }) => cell(record, now))),
    tones: records.map((record) => STATUS_TONES[statusOf(record)]),
  };
}

/** By code units: the same everywhere, whatever language the machine speaks. */
export function byName(a: InstanceRecord, b: InstanceRecord): number {
  return compare(a.key, b.key) || compare(a.instance ?? '', b.instance ?? '');
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export function showValue(values: Json): string {
  return typeof values === 'string' ? values : JSON.stringify(values);
}

export function showSeconds(timeout: Timeout): string {
  return timeout === 'never' ? timeout : `${timeout}s`;
}

/** Rounded up: what is left is never shown as nothing. */
export function tenths(left: Timeout): Timeout {
  return left === 'never' ? left : Math.ceil(left * 10) / 10;
}

export function showLabels({ tags = [], meta = {}, weight }: InstanceRecord): string {
  const words = [...tags, ...Object.entries(meta).map(([name, text]) => `${name}=${text}`)];
  if (weight !== undefined) words.push(`weight:${weight}`);
  return words.join(' ') || '-';
}

/** How many, and of what: `1 instance`, `3 instances`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
