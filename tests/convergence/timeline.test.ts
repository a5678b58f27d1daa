import fc from 'fast-check';
import { expect, test } from 'vitest';
import { both, type Spans, Timeline, total, union, without } from './timeline.js';

/** Whether it was so in each of the ms from 0 to 59. */
const moments = fc.array(fc.boolean(), { minLength: 60, maxLength: 60 });

function spansOf(was: readonly boolean[]): Spans {
  const timeline = new Timeline();
  for (const [at, on] of was.entries()) timeline.set(on, at);
  return timeline.spans(was.length);
}

function momentsOf(spans: Spans): boolean[] {
  return Array.from({ length: 60 }, (_, at) => spans.some(([from, to]) => from <= at && at < to));
}

test('a timeline has the spans in which it was on; the last is open to the end', () => {
  const timeline = new Timeline();
  timeline.set(true, 10);
  timeline.set(true, 12);
  timeline.set(false, 15);
  timeline.set(false, 16);
  timeline.set(true, 20);
  timeline.set(false, 20);
  timeline.set(true, 30);
  expect(timeline.spans(40)).toEqual([
    [10, 15],
    [30, 40],
  ]);
  expect(timeline.spans(30)).toEqual([[10, 15]]);
});

test('both, without and union are what they say of every moment', () => {
  fc.assert(
    fc.property(moments, moments, (a, b) => {
      expect(momentsOf(both(spansOf(a), spansOf(b)))).toEqual(a.map((on, at) => on && b[at]));
      expect(momentsOf(without(spansOf(a), spansOf(b)))).toEqual(a.map((on, at) => on && !b[at]));
      expect(momentsOf(union([spansOf(a), spansOf(b)]))).toEqual(a.map((on, at) => on || b[at]));
    }),
  );
});

test('a union makes every span longer at its end, and joins what then meets', () => {
  const spans: Spans = [
    [0, 5],
    [8, 9],
    [20, 21],
  ];
  expect(union([spans], 4)).toEqual([
    [0, 13],
    [20, 25],
  ]);
  expect(total(spans)).toBe(7);
  expect(total([])).toBe(0);
});
