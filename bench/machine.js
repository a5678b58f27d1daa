/** What the figures were measured on. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

export function describeMachine() {
  const here = fileURLToPath(new URL('.', import.meta.url));
  return {
    Processor: `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores`,
    Memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    System: `${distribution()}, Linux ${release()}`,
    'File system of the data': said('df', ['--output=fstype', here]).split('\n').at(-1),
    'Node.js': process.versions.node,
    'C compiler': said('cc', ['--version']).split('\n')[0],
    Commit: `${said('git', ['-C', here, 'rev-parse', '--short', 'HEAD'])}${isChanged(here) ? ', with changes' : ''}`,
  };
}

function distribution() {
  return /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
}

/** Whether the code is not that of the commit; what the benchmark itself writes does not count. */
function isChanged(here) {
  const paths = [':/packages', ':/bench', ...['RESULTS.md', 'results', 'charts'].map((name) => `:!/bench/${name}`)];
  return said('git', ['-C', here, 'status', '--porcelain', '--', ...paths]) !== '';
}

function said(command, args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
