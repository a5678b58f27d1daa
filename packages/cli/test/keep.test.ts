import { createServer, type Server } from 'node:net';
import { connect } from '@reg/client';
import type { Endpoint } from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type RegisterArguments, register } from '../src/commands/register.js';
import { type Bench, type BenchOptions, deadAddr, makeBench, regctl, screen, startServer } from './regctl.js';

interface Kept extends Bench {
  readonly ended: Promise<void>;
}

/** Keeps `web/w1` registered with a ttl of 10 s, and returns when it is. */
async function keep(options: BenchOptions = {}, given: Partial<RegisterArguments> = {}): Promise<Kept> {
  const bench = await makeBench(options);
  const wanted = { key: 'web', values: 'a:1', instance: 'w1', ttl: '10', keep: true, ...given };
  const ended = register(wanted, bench.context);
  ended.catch(() => {});
  await bench.registry.settle();
  expect(bench.stdout.text).not.toBe('');
  return { ...bench, ended };
}

/** Makes the registry forget it, and lets the next heartbeat find that out. */
async function loseIt({ registry }: Kept): Promise<void> {
  registry.dropHeartbeats();
  await registry.advance(10_000);
  registry.dropHeartbeats(false);
  await registry.advance(4000);
}

function endpointOf(server: Server): Endpoint {
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port');
  return { host: address.address, port: address.port };
}

describe('regctl register --keep', () => {
  it('stays registered until it is interrupted, and then destroys what it registered', async () => {
    const { registry, stdout, stderr, find, interrupt, ended } = await keep();
    expect(stdout.text).toBe('registered web/w1, and keeping it registered; Ctrl-C destroys it\n');
    await registry.advance(60_000);
    expect(await find('web')).toHaveLength(1);
    interrupt();
    await ended;
    expect(await find('web')).toHaveLength(0);
    expect(stderr.text).toBe('destroyed web/w1\n');
  });

  it('registers the unnamed instance unless one is named, and exits 0', async () => {
    const { server, addr } = await startServer();
    const controller = new AbortController();
    const stdout = screen();
    const finished = regctl(['register', 'web', 'a:1', '--keep', '--addr', addr], {
      signal: controller.signal,
      stdout,
    });
    await expect.poll(() => stdout.text).not.toBe('');
    expect(server.registry.find('web', '')).toBeDefined();
    controller.abort();
    expect((await finished).code).toBe(0);
    expect(server.registry.find('web', '')).toBeUndefined();
  });

  it.each([
    [undefined, 2],
    ['500ms', 0.5],
    ['none', undefined],
  ])('outlives its connection with --linger %s by %s s', async (linger, seconds) => {
    const { find } = await keep({}, linger === undefined ? {} : { linger });
    expect((await find('web'))[0]?.linger).toBe(seconds);
  });

  it('tells that the registry had lost it, and that it has it again', async () => {
    const kept = await keep();
    await loseIt(kept);
    expect(kept.stderr.text).toMatch(
      /^warning: lost web\/w1: the registry had forgotten it\nrecovered web\/w1 after [\d.]+m?s\n$/,
    );
    kept.interrupt();
    await kept.ended;
  });

  it('tells it as JSON to a program, a line each, and the result as one document', async () => {
    const kept = await keep({ args: ['--json'] });
    await loseIt(kept);
    kept.interrupt();
    await kept.ended;
    expect(JSON.parse(kept.stdout.text)).toEqual({ key: 'web', instance: 'w1', revision: 1, generation: 1 });
    const notes = kept.stderr.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).note.code);
    expect(notes).toEqual(['lost', 'recovered', 'destroyed']);
  });

  it('ends where somebody destroys it, and does not bring it back', async () => {
    const { registry, stderr, connect, find, ended } = await keep();
    await connect().destroy('web', { instance: 'w1' });
    await registry.advance(4000);
    await expect(ended).rejects.toMatchObject({ code: 'destroyed' });
    expect(stderr.text).toBe('warning: lost web/w1: somebody destroyed it, and it is not registered again\n');
    expect(await find('web')).toEqual([]);
  });

  it('ends where another takes it over, and leaves that alone', async () => {
    const { registry, stderr, connect, find, ended } = await keep();
    await connect().register('web', 'b:1', { instance: 'w1', takeover: true });
    await registry.advance(4000);
    await expect(ended).rejects.toMatchObject({ code: 'superseded' });
    expect(stderr.text).toContain('lost web/w1: another process has taken it over');
    expect(await find('web')).toMatchObject([{ values: 'b:1' }]);
  });

  it('says that it could not destroy it where the registry is gone', async () => {
    const { registry, stderr, interrupt, ended } = await keep();
    await registry.stop();
    interrupt();
    await registry.advance(10_000);
    await expect(ended).rejects.toMatchObject({ code: 'connect_failed' });
    expect(stderr.text).toContain('warning: web/w1 could not be destroyed: it stays until its ttl is over\n');
  });

  it('ends at once where the registry refuses it', async () => {
    const { addr } = await startServer();
    const { code, err } = await regctl(['register', 'all', 'a:1', '--keep', '--addr', addr]);
    expect(code).toBe(2);
    expect(err).toContain('reserved');
  });

  it('takes no second timeout where the first was in vain', async () => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const connected = new Promise<void>((resolve) => {
      silent.once('connection', (socket) => {
        onTestFinished(() => void socket.destroy());
        socket.once('data', () => resolve());
      });
    });
    const { context } = await makeBench();
    const clock = new ManualClock();
    const ended = register(
      { key: 'web', values: 'a:1', keep: true },
      { ...context, connect: (options) => connect(endpointOf(silent), { ...options, clock }) },
    );
    const failed = expect(ended).rejects.toMatchObject({ code: 'timed_out' });
    await connected;
    clock.advance(5000);
    await failed;
  });

  it('can be interrupted while it waits for a registry', async () => {
    const controller = new AbortController();
    const stderr = screen();
    const finished = regctl(['register', 'web', 'a:1', '--keep', '--addr', await deadAddr()], {
      signal: controller.signal,
      stderr,
    });
    await expect.poll(() => stderr.text).toContain('trying again');
    controller.abort();
    expect((await finished).code).toBe(130);
    expect(stderr.text).toContain('error: interrupted\n');
  });
});
