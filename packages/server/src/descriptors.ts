import { readFileSync } from 'node:fs';

/** Kept for the data folder, the log, and what Node has open by itself. */
const RESERVED = 32;

/**
 * How many connections this process may have without running out of descriptors, at which the system closes new
 * connections without a word and the disk log can open no file any more; `undefined` where the system does not tell.
 */
export function connectionsThatFit(): number | undefined {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? undefined : Math.max(1, Number(limit) - RESERVED);
  } catch {
    return undefined;
  }
}
