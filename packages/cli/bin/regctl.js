#!/usr/bin/env node
// Written by hand, because it has to be there before anything is built. The version is answered here: loading
// the rest of the program would take several times as long as all of that.

import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

if (process.argv[2] === '--version' || process.argv[2] === '-V') {
  process.stdout.write(`${version}\n`);
} else {
  const { main } = await import('../dist/index.js');
  await main(version);
}
