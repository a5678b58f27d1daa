import { expect, test } from 'vitest';
import { AFTERMATH, type Figure, Ledger } from './ledger.js';

const SLOTS = [{ key: 'web', name: 'web/a', worker: 0 }];

/** ms of the longest, undisturbed and disturbed. */
const longest = ({ undisturbed, disturbed }: Figure): [number, number] => [undisturbed.ms, disturbed.ms];

test('what is live and not listed is missing, from any view that watches it', () => {
  const ledger = new Ledger(SLOTS);
  const near = ledger.watcher('w1.1/0', 1, (key) => key === 'web');
  const blind = ledger.watcher('w1.1/0', 1, () => false);
  for (const watcher of [ledger.prober, near, blind]) ledger.watching(watcher, true, 0);
  ledger.live('web/a', 1000);
  ledger.seen(ledger.prober, 'web/a', 'passing', 1010);
  ledger.seen(near, 'web/a', 'passing', 1030);
  ledger.seen(near, 'web/a', 'suspect', 1500);
  ledger.seen(near, 'web/a', 'passing', 1600);
  const { registry, views } = ledger.figures(2000);
  expect(longest(registry.missing)).toEqual([10, 0]);
  expect(longest(views.missing)).toEqual([30, 0]);
  expect(longest(views.unusable)).toEqual([100, 0]);
  expect(longest(views.lingering)).toEqual([0, 0]);
  expect(views.calm).toBe(1);
});

test('what is dead and listed lingers, and misleads while it is passing', () => {
  const ledger = new Ledger(SLOTS);
  ledger.watching(ledger.prober, true, 0);
  ledger.seen(ledger.prober, 'web/a', 'passing', 0);
  ledger.live('web/a', 0);
  ledger.dead('web/a', 1000);
  ledger.seen(ledger.prober, 'web/a', 'suspect', 1005);
  ledger.seen(ledger.prober, 'web/a', undefined, 3000);
  const { registry } = ledger.figures(4000);
  expect(longest(registry.misleading)).toEqual([5, 0]);
  expect(longest(registry.lingering)).toEqual([2000, 0]);
  expect(longest(registry.missing)).toEqual([0, 0]);
});

test('what is told late counts from when it was', () => {
  const ledger = new Ledger(SLOTS);
  ledger.watching(ledger.prober, true, 0);
  ledger.dead('web/a', 2000);
  ledger.live('web/a', 1000);
  ledger.seen(ledger.prober, 'web/a', 'passing', 1000);
  const { registry } = ledger.figures(3000);
  expect(longest(registry.missing)).toEqual([0, 0]);
  expect(longest(registry.lingering)).toEqual([1000, 0]);
});

test('a disturbance of the process, of the watcher, or of the daemon, and its aftermath, count apart', () => {
  const end = 3 * AFTERMATH;
  for (const disturb of [
    (ledger: Ledger, on: boolean, at: number) => ledger.disturbed(0, on, at),
    (ledger: Ledger, on: boolean, at: number) => ledger.disturbed(1, on, at),
    (ledger: Ledger, on: boolean, at: number) => ledger.away(on, at),
  ]) {
    const ledger = new Ledger(SLOTS);
    const watcher = ledger.watcher('w1.1/0', 1, () => true);
    ledger.watching(watcher, true, 0);
    ledger.live('web/a', 0);
    disturb(ledger, true, 100);
    disturb(ledger, false, 200);
    const { missing, calm } = ledger.figures(end).views;
    expect(longest(missing)).toEqual([end - 200 - AFTERMATH, end]);
    expect(calm).toBeCloseTo((end - AFTERMATH - 100) / end);
  }
  const ledger = new Ledger(SLOTS);
  const watcher = ledger.watcher('w1.1/0', 1, () => true);
  ledger.watching(watcher, true, 0);
  ledger.live('web/a', 0);
  ledger.disturbed(2, true, 0);
  expect(ledger.figures(end).views.missing).toEqual({
    undisturbed: { ms: end, instance: 'web/a', watcher: 'w1.1/0', from: 0 },
    disturbed: { ms: 0 },
  });
});
