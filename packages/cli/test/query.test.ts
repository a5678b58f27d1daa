import { connect, type InstanceRecord } from '@reg/client';
import { describe, expect, it } from 'vitest';
import { tabulate } from '../src/records.js';
import { regctl, screen, session, startServer } from './regctl.js';

const NOW = Date.UTC(2026, 0, 1);

function record(fields: Partial<InstanceRecord>): InstanceRecord {
  return { key: 'web', values: 'a:1', timeout: 30, revision: 7, generation: 5, registered: NOW - 90_000, ...fields };
}

function rows(fields: Partial<InstanceRecord>, detail = false): readonly string[] | undefined {
  return tabulate([record(fields)], { detail }, NOW).rows[0];
}

describe('the table of a query', () => {
  it('has a row for each instance', () => {
    const { columns } = tabulate([], {}, NOW);
    expect(columns.map(({ title }) => title)).toEqual(['SERVICE', 'INSTANCE', 'VALUE', 'TTL', 'REGISTERED']);
    expect(rows({})).toEqual(['web', '-', 'a:1', '30s', '90s ago']);
    expect(rows({ instance: 'w1', values: { port: 1 }, timeout: 'never' })).toEqual([
      'web',
      'w1',
      '{"port":1}',
      'never',
      '90s ago',
    ]);
  });

  it('has more columns in detail', () => {
    const { columns } = tabulate([], { detail: true }, NOW);
    expect(columns.map(({ title }) => title)).toEqual([
      'SERVICE',
      'INSTANCE',
      'VALUE',
      'STATUS',
      'TTL',
      'LEFT',
      'LINGER',
      'REGISTERED',
      'REVISION',
      'LABELS',
    ]);
    expect(rows({ left: 12.345 }, true)?.slice(3)).toEqual(['passing', '30s', '12.4s', '-', '90s ago', '7', '-']);
    const labels = { tags: ['v2', 'eu'], meta: { zone: 'eu-1' }, weight: 0 };
    expect(rows({ left: 'never', linger: 2, ...labels }, true)?.slice(5)).toEqual([
      'never',
      '2s',
      '90s ago',
      '7',
      'v2 eu zone=eu-1 weight:0',
    ]);
  });

  it('never shows that nothing is left', () => {
    expect(rows({ left: 0.001 }, true)?.[5]).toBe('0.1s');
  });

  it('has the status where one is not passing, and colours for those', () => {
    const records = [
      record({}),
      record({ status: 'suspect' }),
      record({ status: 'draining' }),
      record({ status: 'critical' }),
    ];
    const { columns, rows, tones } = tabulate(records, {}, NOW);
    expect(columns[3]?.title).toBe('STATUS');
    expect(rows.map((row) => row[3])).toEqual(['passing', 'suspect', 'draining', 'critical']);
    expect(tones).toEqual([undefined, 'doubtful', 'leaving', 'bad']);
  });
});

describe('regctl query', () => {
  it('sorts by service, then by instance, the unnamed one first', async () => {
    const regctl = await session();
    await regctl('register', 'web', '1', '--instance', 'b');
    await regctl('register', 'web', '2', '--instance', 'a');
    await regctl('register', 'web', '3');
    await regctl('register', 'db', '4');
    const { out } = await regctl('query', 'all');
    const values = out
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ +/)[2]);
    expect(values).toEqual(['VALUE', '4', '3', '2', '1']);
    const { services } = JSON.parse((await regctl('query', 'all', '--json')).out);
    expect(services.map(({ values }: InstanceRecord) => values)).toEqual(['4', '3', '2', '1']);
  });

  it('shows one instance where it is asked for one', async () => {
    const regctl = await session();
    await regctl('register', 'web', '1', '--instance', 'a');
    await regctl('register', 'web', '2', '--instance', 'b');
    const { services } = JSON.parse((await regctl('query', 'web', '--instance', 'b', '--json')).out);
    expect(services).toHaveLength(1);
    expect(services[0].values).toBe('2');
  });

  it('gives what is left only in detail', async () => {
    const regctl = await session();
    await regctl('register', 'web', '1');
    expect(JSON.parse((await regctl('query', 'web', '--json')).out).services[0]).not.toHaveProperty('left');
    const { services } = JSON.parse((await regctl('query', 'web', '--json', '--detail')).out);
    expect(services[0].left).toBeGreaterThan(0);
  });

  it('fails where nothing is registered under the name', async () => {
    const regctl = await session();
    const message = 'nothing is registered as redis. All names are shown by: regctl query all';
    expect(await regctl('query', 'redis')).toEqual({ code: 3, out: '', err: `error: ${message}\n` });
    const { code, out, err } = await regctl('query', 'redis', '--json');
    expect({ code, out }).toEqual({ code: 3, out: '' });
    expect(JSON.parse(err)).toEqual({ error: { code: 'not_found', message } });
  });

  it('fails where the service has no such instance', async () => {
    const regctl = await session();
    await regctl('register', 'web', '1');
    const { code, err } = await regctl('query', 'web', '--instance', 'w9');
    expect(code).toBe(3);
    expect(err).toContain('web has no instance w9');
  });

  it('does not fail where nothing at all is registered', async () => {
    const regctl = await session();
    const { code, out, err } = await regctl('query', 'all');
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(err).toMatch(/^nothing is registered at 127\.0\.0\.1:\d+\n$/);
    expect(await regctl('query', 'all', '--json')).toEqual({
      code: 0,
      out: '{"revision":0,"services":[]}\n',
      err: '',
    });
  });

  it('walks every page', async () => {
    const { addr } = await startServer();
    const client = connect(addr);
    const names = Array.from({ length: 2500 }, (_, i) => `s${i}`);
    await Promise.all(names.map((key) => client.request('register', { key, values: key })));
    await client.close();
    const { out } = await regctl(['query', 'all', '--json', '--addr', addr]);
    const found = JSON.parse(out).services.map(({ key }: InstanceRecord) => key);
    expect(found).toEqual(names.sort());
  });

  it.each([20, 40, 80, 120])('is no wider than a terminal of %d columns, in detail too', async (columns) => {
    const { addr } = await startServer();
    const labels = ['--tag', 'v2', '--meta', `zone=${'z'.repeat(100)}`];
    const name = 'payments-service-with-a-long-name';
    await regctl(['register', name, 'x'.repeat(100), '--instance', 'i'.repeat(100), ...labels, '--addr', addr]);
    for (const flags of [[], ['--detail']]) {
      const stdout = screen(true, columns);
      await regctl(['query', 'all', ...flags, '--addr', addr, '--no-color'], { stdout });
      for (const line of stdout.text.split('\n')) expect(line.length).toBeLessThanOrEqual(columns);
    }
  });

  it('takes a terminal that says it has no columns for one of 80', async () => {
    const { addr } = await startServer();
    await regctl(['register', 'web', 'a:1', '--addr', addr]);
    const stdout = screen(true, 0);
    await regctl(['query', 'web', '--addr', addr, '--no-color'], { stdout });
    expect(stdout.text).toContain('web      -         a:1    30s');
  });

  it('makes no other line longer for a long name in a pipe', async () => {
    const regctl = await session();
    await regctl('register', 'n'.repeat(255), '1', '--instance', 'i'.repeat(255));
    await regctl('register', 'web', '2');
    const { out } = await regctl('query', 'all');
    const [titles = '', long, short = ''] = out.split('\n');
    expect(long).toContain(`${'n'.repeat(255)}  ${'i'.repeat(255)}`);
    expect(Math.max(titles.length, short.length)).toBeLessThan(200);
  });

  it('shows nothing raw that a terminal would act upon', async () => {
    const { addr } = await startServer();
    const value = 'a\u001b[2J\u0007\u009b31m\nforged  line\u202e';
    await regctl(['register', 'evil', value, '--meta', `x=${value}`, '--addr', addr]);
    const stdout = screen(true, 200);
    await regctl(['query', 'evil', '--detail', '--addr', addr, '--no-color'], { stdout });
    expect(stdout.text).toContain('a\\x1b[2J\\x07\\x9b31m\\nforged  line\\u{202e}');
    expect(stdout.text.split('\n')).toHaveLength(3);
    expect(stdout.text).toMatch(/^[ -~\n]*$/);
    const { out } = await regctl(['query', 'evil', '--json', '--addr', addr]);
    expect(out).toMatch(/^[ -~]*\n$/);
    expect(JSON.parse(out).services[0].values).toBe(value);
  });

  it('shows what passes unless it is asked for a status', async () => {
    const regctl = await session();
    await regctl('register', 'web', '1', '--instance', 'a');
    await regctl('register', 'web', '2', '--instance', 'b', '--status', 'critical');
    const instances = async (...flags: string[]) =>
      JSON.parse((await regctl('query', 'web', '--json', ...flags)).out).services.map(
        (each: InstanceRecord) => each.instance,
      );
    expect(await instances()).toEqual(['a']);
    expect(await instances('--status', 'any')).toEqual(['a', 'b']);
    expect(await instances('--status', 'critical')).toEqual(['b']);
    expect((await regctl('query', 'web', '--status', 'any')).out).toMatch(
      /^SERVICE .* STATUS .*\n.* passing .*\n.* critical /,
    );
    expect((await regctl('query', 'web', '--status', 'dead')).code).toBe(2);
  });

  it('selects by tags and metadata', async () => {
    const regctl = await session();
    await regctl('register', 'web', '1', '--instance', 'a', '--tag', 'v2', '--tag', 'eu', '--meta', 'zone=x');
    await regctl('register', 'web', '2', '--instance', 'b', '--tag', 'v2', '--meta', 'zone=y');
    const values = async (...flags: string[]) =>
      JSON.parse((await regctl('query', 'web', '--json', ...flags)).out).services.map(
        (each: InstanceRecord) => each.values,
      );
    expect(await values('--tag', 'v2')).toEqual(['1', '2']);
    expect(await values('--tag', 'v2', '--tag', 'eu')).toEqual(['1']);
    expect(await values('--tag', 'v2', '--meta', 'zone=y')).toEqual(['2']);
    expect((await regctl('query', 'all', '--meta', 'zone=z')).err).toMatch(/^nothing like that is registered at /);
  });

  it('says where there is something, but nothing usable, or nothing like that', async () => {
    const regctl = await session();
    await regctl('register', 'web', '1', '--instance', 'a', '--status', 'draining');
    const shown = 'All it has are shown by: regctl query web --status any\n';
    expect(await regctl('query', 'web')).toEqual({
      code: 3,
      out: '',
      err: `error: no instance of web is usable: it drains, or says that it cannot serve. ${shown}`,
    });
    expect((await regctl('query', 'web', '--instance', 'a')).err).toContain('web/a is there, but not usable: ');
    expect((await regctl('query', 'web', '--status', 'critical')).err).toBe(
      `error: no instance of web is like that. ${shown}`,
    );
    expect((await regctl('query', 'web', '--status', 'any', '--instance', 'b')).err).toContain(
      'web has no instance b.',
    );
  });
});
