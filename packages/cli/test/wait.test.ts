import { describe, expect, it } from 'vitest';
import type { Child, Ending } from '../src/child.js';
import { type WaitArguments, wait } from '../src/commands/wait.js';
import { type Bench, type BenchOptions, deadAddr, makeBench, regctl, startServer } from './regctl.js';

interface Waiting extends Bench {
  readonly ended: Promise<number>;
  /** Whether it has ended, as far as is known. */
  settled(): boolean;
}

async function begin(given: Partial<WaitArguments> = {}, options: BenchOptions = {}): Promise<Waiting> {
  return start(await makeBench(options), given);
}

async function start(bench: Bench, given: Partial<WaitArguments> = {}): Promise<Waiting> {
  let settled = false;
  const ended = wait({ key: 'web', command: [], ...given }, bench.context).finally(() => {
    settled = true;
  });
  ended.catch(() => {});
  await bench.registry.settle();
  return { ...bench, ended, settled: () => settled };
}

describe('regctl wait', () => {
  it('is over when there are enough instances', async () => {
    const { registry, stdout, connect, settled, ended } = await begin({ min: '2' });
    const client = connect();
    await client.request('register', { key: 'web', instance: 'a', values: 'a:1' });
    await client.request('register', { key: 'db', instance: 'a', values: 'a:1' });
    await registry.settle();
    expect(settled()).toBe(false);
    await client.request('register', { key: 'web', instance: 'b', values: 'a:1' });
    await registry.settle();
    expect(await ended).toBe(0);
    expect(stdout.text).toBe('web has 2 usable instances\n');
  });

  it('is over at once where there are enough already, and tells a program how many', async () => {
    const bench = await makeBench({ args: ['--json'] });
    await bench.connect().request('register', { key: 'web', values: 'a:1' });
    const { stdout, ended } = await start(bench);
    expect(await ended).toBe(0);
    expect(JSON.parse(stdout.text)).toEqual({ key: 'web', instances: 1 });
  });

  it('counts what passes, and nothing else', async () => {
    const { registry, connect, settled } = await begin();
    const client = connect();
    for (const status of ['critical', 'draining'] as const) {
      await client.request('register', { key: 'web', instance: status, values: 'a:1', status });
    }
    await registry.settle();
    expect(settled()).toBe(false);
    await client.request('register', { key: 'web', instance: 'critical', values: 'a:1' });
    await registry.settle();
    expect(settled()).toBe(true);
  });

  it('is in vain when the time is over, and says what there was', async () => {
    const { registry, connect, ended } = await begin({ min: '3' });
    await connect().request('register', { key: 'web', values: 'a:1' });
    await registry.advance(5000);
    await expect(ended).rejects.toMatchObject({
      code: 'not_enough',
      message: 'web has 1 usable instance after 5s, not 3',
    });
  });

  it('waits for the registry too', async () => {
    const bench = await makeBench();
    await bench.registry.stop();
    const { registry, connect, settled, ended } = await start(bench);
    await registry.advance(2000);
    expect(settled()).toBe(false);
    await registry.start();
    await connect().request('register', { key: 'web', values: 'a:1' });
    await registry.advance(2000);
    expect(await ended).toBe(0);
  });

  it('does not take what was there before a restart for alive until the registry does', async () => {
    const bench = await makeBench({ grace: 3 });
    await bench.registry.advance(5000);
    const client = bench.connect();
    await client.request('register', { key: 'web', instance: 'a', values: 'a:1', timeout: 'never' });
    await bench.registry.advance(1000);
    await bench.registry.restart({ crash: true });
    const { registry, settled, ended } = await start(bench);
    await registry.advance(2000);
    expect(settled()).toBe(false);
    await registry.advance(2000);
    expect(await ended).toBe(0);
  });

  it('takes what has come after a restart for alive', async () => {
    const bench = await makeBench({ grace: 3 });
    await bench.registry.restart({ crash: true });
    const { registry, connect, settled } = await start(bench);
    await connect().request('register', { key: 'web', instance: 'a', values: 'a:1' });
    await registry.settle();
    expect(settled()).toBe(true);
  });

  it('says that the registry has just restarted where it waited in vain', async () => {
    const bench = await makeBench({ grace: 60 });
    await bench.registry.restart({ crash: true });
    const { registry, ended } = await start(bench);
    await registry.advance(5000);
    await expect(ended).rejects.toThrow('web has 0 usable instances after 5s, not 1\nthe registry has just restarted');
  });

  it('ends with 5 when the time is over, also where no registry answers', async () => {
    const { addr } = await startServer();
    const { code, err } = await regctl(['wait', 'web', '--timeout', '50ms', '--addr', addr]);
    expect({ code, err }).toEqual({ code: 5, err: 'error: web has 0 usable instances after 50ms, not 1\n' });
    const dead = await regctl(['wait', 'web', '--addr', await deadAddr(), '--timeout', '50ms', '--json']);
    expect(dead.code).toBe(5);
    expect(JSON.parse(dead.err).error).toMatchObject({
      code: 'not_enough',
      message: expect.stringMatching(/^no registry answered within 50ms/),
    });
  });

  it('ends with 130 where it is interrupted', async () => {
    const controller = new AbortController();
    const { addr } = await startServer();
    const running = regctl(['wait', 'web', '--addr', addr], { signal: controller.signal });
    controller.abort();
    expect((await running).code).toBe(130);
  });

  it.each([['0'], ['-1'], ['1.5'], ['many']])('refuses --min %s', async (min) => {
    const { code, err } = await regctl(['wait', 'web', `--min=${min}`]);
    expect(code).toBe(2);
    expect(err).toContain('--min must be a whole number');
  });
});

describe('the command after regctl wait', () => {
  it('runs with all that follows the dashes, and regctl exits as it does', async () => {
    const { addr } = await startServer();
    await regctl(['register', 'web', 'a:1', '--addr', addr]);
    const command = ['sh', '-c', 'test "$*" = "--json --min 9" && exit 7', 'sh', '--json', '--min', '9'];
    const { code, out, err } = await regctl(['wait', 'web', '--min', '1', '--addr', addr, '--', ...command]);
    expect({ code, out, err }).toEqual({ code: 7, out: '', err: '' });
  });

  it('does not run where the time is over', async () => {
    const { addr } = await startServer();
    const { code } = await regctl(['wait', 'web', '--timeout', '50ms', '--addr', addr, '--', 'true']);
    expect(code).toBe(5);
  });

  it('is passed the signals', async () => {
    const killed: string[] = [];
    let end: (ending: Ending) => void = () => {};
    const ended = new Promise<Ending>((resolve) => {
      end = resolve;
    });
    const child: Child = { ended, kill: (signal) => killed.push(signal) };
    const bench = await makeBench();
    await bench.connect().request('register', { key: 'web', values: 'a:1' });
    const code = wait({ key: 'web', command: ['server'] }, bench.context, async () => child);
    await bench.registry.settle();
    for (const signal of ['SIGHUP', 'SIGTERM', 'SIGTERM'] as const) bench.signal(signal);
    await bench.registry.settle();
    expect(killed.sort()).toEqual(['SIGHUP', 'SIGTERM', 'SIGTERM']);
    end({ code: 143, signal: 'SIGTERM' });
    expect(await code).toBe(143);
  });
});
