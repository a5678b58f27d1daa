/** Spans of time, in ms since the Unix epoch: in order, apart from each other, none empty. */

export type Span = readonly [from: number, to: number];
export type Spans = readonly Span[];

/** When something was so, noted as it changes. */
export class Timeline {
  readonly #spans: Span[] = [];
  #since: number | undefined;

  /** Whether it is so now. */
  get on(): boolean {
    return this.#since !== undefined;
  }

  /** Notes that it is so, or not, from `at` on; that it was so already changes nothing. */
  set(on: boolean, at: number): void {
    if (on) this.#since ??= at;
    else if (this.#since !== undefined) {
      if (at > this.#since) this.#spans.push([this.#since, at]);
      this.#since = undefined;
    }
  }

  /** All spans; what is still so counts up to `end`. */
  spans(end: number): Spans {
    return this.#since === undefined || end <= this.#since ? this.#spans : [...this.#spans, [this.#since, end]];
  }
}

/** What is in both. */
export function both(a: Spans, b: Spans): Spans {
  const result: Span[] = [];
  for (const [from, to] of a) {
    for (const [start, stop] of b) {
      if (start >= to) break;
      if (stop > from) result.push([Math.max(from, start), Math.min(to, stop)]);
    }
  }
  return result;
}

/** What is in the first and not in the second. */
export function without(a: Spans, b: Spans): Spans {
  const result: Span[] = [];
  for (const [start, to] of a) {
    let from = start;
    for (const [cut, resume] of b) {
      if (cut >= to) break;
      if (resume <= from) continue;
      if (cut > from) result.push([from, cut]);
      from = resume;
    }
    if (from < to) result.push([from, to]);
  }
  return result;
}

/** What is in any of them, with every span made longer by `after` at its end. */
export function union(lists: readonly Spans[], after = 0): Spans {
  const result: Span[] = [];
  for (const [from, to] of lists.flat().sort(([a], [b]) => a - b)) {
    const last = result.at(-1);
    if (last !== undefined && from <= last[1]) result[result.length - 1] = [last[0], Math.max(last[1], to + after)];
    else result.push([from, to + after]);
  }
  return result;
}

/** ms of all together. */
export function total(spans: Spans): number {
  return spans.reduce((sum, [from, to]) => sum + to - from, 0);
}
