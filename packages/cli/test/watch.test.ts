import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type WatchArguments, watch } from '../src/commands/watch.js';
import { type Bench, type BenchOptions, deadAddr, makeBench, regctl, screen } from './regctl.js';

interface Watched extends Bench {
  readonly ended: Promise<void>;
}

/** Watches, and returns when the present state is shown. */
async function begin(given: WatchArguments = { key: 'web' }, options: BenchOptions = {}): Promise<Watched> {
  const bench = await makeBench(options);
  return start(bench, given);
}

async function start(bench: Bench, given: WatchArguments = { key: 'web' }): Promise<Watched> {
  const ended = watch(given, bench.context);
  ended.catch(() => {});
  await bench.registry.advance(200);
  return { ...bench, ended };
}

/** Lines without the moments that they begin with. */
function linesOf(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z {2}/, ''));
}

describe('regctl watch in a pipe', () => {
  it('writes a line for what is there, and for each change', async () => {
    const bench = await makeBench();
    const client = bench.connect();
    await client.request('register', { key: 'web', instance: 'a', values: 'a:1' });
    const { registry, stdout, stderr, interrupt, ended } = await start(bench);
    await client.request('register', { key: 'web', instance: 'b', values: { port: 1 } });
    await client.request('register', { key: 'db', values: 'd:1' });
    await client.request('register', { key: 'web', instance: 'b', values: { port: 1 }, status: 'draining' });
    await client.destroy('web', { instance: 'a' });
    await registry.settle();
    interrupt();
    await ended;
    expect(linesOf(stdout.text)).toEqual([
      'present     web/a  a:1',
      'registered  web/b  {"port":1}',
      'draining    web/b  {"port":1}',
      'destroyed   web/a',
    ]);
    expect(stderr.text).toBe('watching web from revision 1 on; Ctrl-C ends it\n');
  });

  it('says when a change was made', async () => {
    const { registry, stdout, connect } = await begin();
    await registry.advance(1000);
    const at = new Date(registry.clock.wall()).toISOString();
    await connect().request('register', { key: 'web', values: 'a:1' });
    await registry.advance(1000);
    expect(stdout.text).toBe(`${at}  registered  web  a:1\n`);
  });

  it.each([
    [{ key: 'all' }, ['eu-db', 'eu-web', 'us-web']],
    [{ prefix: 'eu-' }, ['eu-db', 'eu-web']],
    [{ key: 'us-web' }, ['us-web']],
  ])('shows of all services those that are meant: %j', async (given, names) => {
    const bench = await makeBench();
    const client = bench.connect();
    for (const key of ['eu-db', 'eu-web', 'us-web']) await client.request('register', { key, values: 'x' });
    const { stdout } = await start(bench, given);
    expect(linesOf(stdout.text)).toEqual(names.map((name) => `present     ${name}  x`));
  });

  it('shows nothing raw that a terminal would act upon', async () => {
    const { registry, stdout, connect } = await begin();
    await connect().request('register', { key: 'web', values: 'a\u001b[2J\nforged' });
    await registry.settle();
    expect(linesOf(stdout.text)).toEqual(['registered  web  a\\x1b[2J\\nforged']);
  });

  it('goes on when the registry was away, and tells what is otherwise', async () => {
    const { registry, stdout, stderr, connect } = await begin({ key: 'web' }, { storage: 'memory', grace: 3 });
    await registry.advance(5000);
    const client = connect();
    await client.request('register', { key: 'web', instance: 'a', values: 'a:1', timeout: 'never' });
    await client.request('register', { key: 'web', instance: 'b', values: 'b:1', timeout: 'never' });
    await registry.settle();
    await registry.restart();
    await registry.advance(1000);
    await client.request('register', { key: 'web', instance: 'b', values: 'b:1' });
    await registry.advance(3000);
    expect(linesOf(stdout.text)).toEqual([
      'registered  web/a  a:1',
      'registered  web/b  b:1',
      'suspect     web/a  a:1',
      'suspect     web/b  b:1',
      'registered  web/b  b:1',
      'gone        web/a',
    ]);
    expect(stderr.text).toMatch(
      /\nreconnecting: .*\nconnected again\nthe registry has just restarted: what is missing may still be on its way back\n$/,
    );
  });
});

describe('regctl watch --json', () => {
  it('writes the events, one a line, and remarks to standard error', async () => {
    const bench = await makeBench({ args: ['--json'] });
    const client = bench.connect();
    const first = await client.request('register', { key: 'web', instance: 'a', values: 'a:1' });
    const { registry, stdout, stderr } = await start(bench);
    await client.destroy('web', { instance: 'a' });
    await registry.settle();
    const events = linesOf(stdout.text).map((line) => JSON.parse(line));
    const { revision, generation } = first;
    expect(events).toEqual([
      { type: 'state', services: [expect.objectContaining({ key: 'web', instance: 'a', values: 'a:1' })] },
      { type: 'synced', epoch: expect.any(String), revision },
      {
        type: 'change',
        revision: revision + 1,
        at: expect.any(Number),
        change: 'destroyed',
        service: { key: 'web', instance: 'a', generation },
      },
    ]);
    expect(JSON.parse(stderr.text).note.code).toBe('watching');
  });
});

const HOME = '\u001b[H';

/** What stands on a terminal that was drawn in place: lines, without colour. */
function drawn(text: string): string[] {
  const last = text.slice(text.lastIndexOf(HOME));
  return stripVTControlCharacters(last)
    .split('\r\n')
    .map((line) => line.trimEnd());
}

describe('regctl watch on a terminal', () => {
  it('draws a table in place, with where it stands', async () => {
    const stdout = screen(true, 80, 24);
    const { registry, connect } = await begin({ key: 'web' }, { stdout });
    expect(drawn(stdout.text)).toEqual([
      'web  0 instances  live at revision 0',
      '',
      'SERVICE  INSTANCE  VALUE  STATUS  TTL  REGISTERED',
    ]);
    const client = connect();
    await client.request('register', { key: 'web', instance: 'b', values: 'b:1', status: 'critical' });
    await client.request('register', { key: 'web', instance: 'a', values: 'a:1' });
    await registry.advance(5500);
    expect(drawn(stdout.text)).toEqual([
      'web  2 instances: 1 passing, 1 critical  live at revision 2',
      '',
      'SERVICE  INSTANCE  VALUE  STATUS    TTL  REGISTERED',
      'web      a         a:1    passing   30s  5s ago',
      'web      b         b:1    critical  30s  5s ago',
    ]);
    expect(stdout.text).not.toContain('\n\n');
  });

  it('colours what is not passing', async () => {
    const stdout = screen(true, 80, 24);
    const { registry, connect } = await begin({ key: 'web' }, { stdout });
    await connect().request('register', { key: 'web', values: 'x', status: 'critical' });
    await registry.advance(200);
    expect(stdout.text).toContain('\u001b[31mweb      -         x      critical');
  });

  it('draws no more often than somebody can read', async () => {
    const stdout = screen(true, 80, 24);
    const { registry, connect } = await begin({ key: 'web' }, { stdout });
    const before = stdout.text.split(HOME).length;
    const client = connect();
    for (let i = 0; i < 200; i += 1) await client.request('register', { key: 'web', values: i });
    await registry.advance(100);
    expect(stdout.text.split(HOME).length).toBe(before + 1);
    expect(drawn(stdout.text)[3]).toContain('199');
  });

  it('fits the terminal, also when that changes', async () => {
    const stdout = screen(true, 80, 24);
    const { registry, connect } = await begin({ key: 'web' }, { stdout });
    const client = connect();
    for (let i = 0; i < 30; i += 1)
      await client.request('register', { key: 'web', instance: `i-${i}`, values: 'x'.repeat(99) });
    await registry.advance(200);
    expect(drawn(stdout.text)).toHaveLength(24);
    expect(drawn(stdout.text)[23]).toBe('\u2026 and 10 more');
    for (const [columns, rows] of [
      [40, 8],
      [20, 3],
      [200, 40],
    ] as const) {
      stdout.resize(columns, rows);
      const lines = drawn(stdout.text);
      expect(lines).toHaveLength(Math.min(rows, 33));
      for (const line of lines) expect(line.length).toBeLessThan(columns);
    }
  });

  it('says that it reconnects, and for how long what it shows is old', async () => {
    const stdout = screen(true, 80, 24);
    const { registry, connect } = await begin({ key: 'web' }, { stdout, storage: 'memory', grace: 3 });
    await connect().request('register', { key: 'web', values: 'x', timeout: 'never' });
    await registry.advance(4000);
    await registry.stop();
    await registry.advance(5000);
    const [heading, , , row] = drawn(stdout.text);
    expect(heading).toMatch(/^web {2}1 instance: 1 passing {2}reconnecting: this is how it was [45](\.\d)?s ago$/);
    expect(row).toContain('web');
    await registry.start();
    await registry.advance(5000);
    expect(drawn(stdout.text)[0]).toMatch(/live at revision 0$/);
  });

  it('says that the registry is warming, and shows what may come back', async () => {
    const stdout = screen(true, 100, 24);
    const { registry, connect } = await begin({ key: 'web' }, { stdout, storage: 'memory', grace: 60 });
    await connect().request('register', { key: 'web', values: 'x', timeout: 'never' });
    await registry.advance(1000);
    await registry.restart();
    await registry.advance(10_000);
    const [heading, , , row] = drawn(stdout.text);
    expect(heading).toBe(
      'web  1 instance: 1 suspect  warming: the registry has restarted, some may be on their way back',
    );
    expect(row).toContain('suspect');
  });

  it('gives the terminal back as it was, with what there was in the end', async () => {
    const stdout = screen(true, 80, 24);
    const { registry, connect, interrupt, ended } = await begin({ key: 'web' }, { stdout });
    await connect().request('register', { key: 'web', values: 'x' });
    await registry.advance(200);
    expect(stdout.text.startsWith('\u001b[?1049h\u001b[?25l')).toBe(true);
    interrupt();
    await ended;
    const [, after = ''] = stdout.text.split('\u001b[?25h\u001b[?1049l');
    expect(stripVTControlCharacters(after)).toMatch(
      /^web {2}1 instance: 1 passing {2}live at revision 1\n\nSERVICE .*\nweb .*\n$/,
    );
    const before = stdout.text;
    stdout.resize(100, 50);
    await registry.advance(5000);
    expect(stdout.text).toBe(before);
  });

  it('is not drawn in place where the terminal cannot do that', async () => {
    const stdout = screen(true, 80, 24);
    const { code } = await regctl(['watch', 'web', '--addr', await deadAddr(), '--timeout', '50ms'], {
      stdout,
      env: { TERM: 'dumb' },
    });
    expect({ code, text: stdout.text }).toEqual({ code: 4, text: '' });
  });
});

describe('regctl watch', () => {
  it('ends with 4 where there was no registry in time, and leaves the terminal alone', async () => {
    const stdout = screen(true, 80, 24);
    const finished = await regctl(['watch', 'web', '--addr', await deadAddr(), '--timeout', '50ms'], { stdout });
    expect(finished).toMatchObject({ code: 4, out: '' });
    expect(finished.err).toContain('Start one with: regctl serve');
  });

  it('ends with 130 where it is interrupted before it has shown anything, and otherwise with 0', async () => {
    const controller = new AbortController();
    const running = regctl(['watch', 'web', '--addr', await deadAddr()], { signal: controller.signal });
    controller.abort();
    expect((await running).code).toBe(130);
    const { interrupt, ended } = await begin();
    interrupt();
    await expect(ended).resolves.toBeUndefined();
  });

  it.each([[[]], [['web', '--prefix', 'w']], [['a/b']], [['*']], [['--prefix', '']]])('refuses %j', async (args) => {
    expect((await regctl(['watch', ...args])).code).toBe(2);
  });
});
