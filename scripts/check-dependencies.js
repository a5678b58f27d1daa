/**
 * Checks everything that is installed, also what only builds and tests: that its licence lets a program of any licence
 * use it, and that it works without a script of its own at the installation. What a package says of its licence is
 * believed; one that says nothing fails.
 *
 *     node scripts/check-dependencies.js [--list]
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Permissive licences, by their SPDX names. MPL-2.0 asks for changes of its own files only. */
const ALLOWED = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'MPL-2.0',
  'Python-2.0',
  'Unlicense',
]);

/** What a person has read, where the manifest names no licence. A later version has to be read again. */
const READ = { 'spawndamnit@3.0.1': 'MIT' };

/** Scripts that an installation would run. */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall'];

const store = fileURLToPath(new URL('../node_modules/.pnpm', import.meta.url));
const packages = [...new Map(findPackages().map((each) => [each.id, each])).values()];

if (process.argv.includes('--list')) for (const { id, license } of packages) console.log(`${license}\t${id}`);
const problems = packages.flatMap(problemsOf);
if (packages.length === 0) problems.push('nothing is installed: run npm run setup');
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`${packages.length} packages: licences allowed, no install scripts`);

function problemsOf({ id, license, scripts }) {
  const found = [];
  if (!isAllowed(license)) {
    found.push(
      `${id} has the licence ${license ?? '(none)'}: read it before you add it to scripts/check-dependencies.js`,
    );
  }
  for (const name of scripts) found.push(`${id} has a script for its installation: ${name}`);
  return found;
}

/** Every package that pnpm has put into its store of this folder, those of other systems excepted. */
function findPackages() {
  return foldersIn(store)
    .flatMap((entry) => packagesIn(join(store, entry, 'node_modules')))
    .map((folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')))
    .map(({ name, version, license, licenses, scripts = {} }) => {
      const id = `${name}@${version}`;
      const needed = INSTALL_SCRIPTS.filter((each) => Object.hasOwn(scripts, each));
      return { id, license: READ[id] ?? expressionOf(license ?? licenses), scripts: needed };
    });
}

/** The packages that are there themselves; the links beside them lead to others. */
function packagesIn(folder) {
  return foldersIn(folder).flatMap((name) => {
    const path = join(folder, name);
    return name.startsWith('@') ? foldersIn(path).map((scoped) => join(path, scoped)) : [path];
  });
}

function foldersIn(folder) {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

/** What old manifests have as an object, or as a list of which one may be chosen, as an expression. */
function expressionOf(license) {
  if (Array.isArray(license)) return license.map(expressionOf).join(' OR ');
  return typeof license === 'object' && license !== null ? license.type : license;
}

/** Of alternatives one has to be allowed, of what holds together all. */
function isAllowed(license) {
  if (typeof license !== 'string') return false;
  const alternatives = license.replaceAll(/[()]/g, '').split(' OR ');
  return alternatives.some((each) => each.split(' AND ').every((name) => ALLOWED.has(name.trim())));
}
