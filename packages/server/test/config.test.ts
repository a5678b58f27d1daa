import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultConfig, resolveConfig } from '@reg/server';
import { afterAll, describe, expect, test } from 'vitest';
import { redact } from '../src/redact.js';
import { PLAIN } from './harness.js';

const folder = mkdtempSync(join(tmpdir(), 'reg-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(content: string): string {
  const path = join(folder, `${Math.random()}.json`);
  writeFileSync(path, content);
  return path;
}

describe('configuration', () => {
  test('is the defaults where nothing is said: loopback, durable, in a folder of the platform', () => {
    const config = resolveConfig({ flags: {}, env: {}, file: undefined });
    expect(config).toEqual(defaultConfig());
    expect(config).toMatchObject({ host: '127.0.0.1', port: 6734, storage: 'disk', durability: 'always', grace: 15 });
  });

  test('takes flags before environment before file', () => {
    const path = file('{"port":1,"history":1,"grace":1,"repair":true}');
    expect(resolveConfig({ flags: { port: '3' }, env: { REG_PORT: '2', REG_HISTORY: '2' }, file: path })).toMatchObject(
      { port: 3, history: 2, grace: 1, repair: true },
    );
  });

  test.each([
    [{ port: '65536' }, {}, '{}', /--port is "65536": it must be a whole number from 0 to 65535/],
    [{}, { REG_DURABILITY: 'sometimes' }, '{}', /REG_DURABILITY .* one of always, everysec, no/],
    [{}, {}, '{"grace":-1}', /"grace" in .* seconds from 0 to 86400/],
    [{}, {}, '{"prot":1}', /"prot", which is no option; options are host, port/],
    [{}, {}, '[]', /must hold a JSON object/],
    [{}, {}, '{', /is not JSON/],
    [{}, { REG_HOST: '' }, '{}', /REG_HOST .* a text/],
  ])('refuses %j %j %s, naming where it was said', (flags, env, content, message) => {
    expect(() => resolveConfig({ flags, env, file: file(content) })).toThrow(message);
  });

  test('refuses a file that is not there', () => {
    expect(() => resolveConfig({ flags: {}, env: {}, file: join(folder, 'none') })).toThrow(
      /there is no configuration file/,
    );
  });
});

test.each([
  ['"123456@127.0.0.1:6379"', '127.0.0.1:6379'],
  ['"user:p@ss@db:5432"', 'db:5432'],
  ['"token-without-address"', undefined],
  ['{"password":"123456@x"}', undefined],
  ['17', undefined],
])('a log shows of the value %s only the address: %s', (values, address) => {
  const shown = redact({
    kind: 'register',
    revision: 1,
    key: 'redis',
    instance: '',
    generation: 1,
    at: 0,
    registered: 0,
    ttl: 1,
    body: `"values":${values},"timeout":1`,
    ...PLAIN,
    owner: 'the secret of the owner',
    expiresAt: 1,
  });
  expect(shown).toEqual({ key: 'redis', instance: '', revision: 1, ...(address === undefined ? {} : { address }) });
});
