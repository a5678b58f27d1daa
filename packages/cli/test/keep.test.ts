import { createServer, type Server } from 'node:net';
import { connect } from '@reg/client';
import { type Endpoint, formatEndpoint, systemClock } from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { resolveAddress } from '../src/address.js';
import { register } from '../src/commands/register.js';
import type { Context } from '../src/context.js';
import { Output } from '../src/output.js';
import { deadAddr, regctl, type Screen, screen, startServer } from './regctl.js';

interface Kept {
  readonly stdout: Screen;
  readonly stderr: Screen;
  /** Moves the clock of the client. */
  readonly clock: ManualClock;
  interrupt(): void;
  readonly ended: Promise<void>;
}

interface Surroundings extends Omit<Kept, 'ended'> {
  readonly context: Context;
}

function surroundings(addr: string, args: readonly string[] = []): Surroundings {
  const controller = new AbortController();
  const clock = new ManualClock();
  const [stdout, stderr] = [screen(), screen()];
  const address = resolveAddress(addr, {});
  const context: Context = {
    address,
    output: new Output({ env: {}, stdout, stderr, interruption: () => controller.signal }, args),
    clock: systemClock,
    signal: controller.signal,
    // Without chance the first heartbeat comes at a third of the ttl.
    connect: (options) => connect(address.endpoint, { ...options, clock, random: () => 0 }),
  };
  return { stdout, stderr, clock, context, interrupt: () => controller.abort() };
}

/** Keeps `web/w1` registered with a ttl of 10 s, and returns when it is. */
async function keep(addr: string, args: readonly string[] = []): Promise<Kept> {
  const { context, ...kept } = surroundings(addr, args);
  const ended = register({ key: 'web', values: 'a:1', instance: 'w1', ttl: '10', keep: true }, context);
  await vi.waitFor(() => expect(kept.stdout.text).not.toBe(''));
  return { ...kept, ended };
}

function endpointOf(server: Server): Endpoint {
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port');
  return { host: address.address, port: address.port };
}

describe('regctl register --keep', () => {
  it('stays registered until it is interrupted, and then destroys what it registered', async () => {
    const { server, addr } = await startServer();
    const { stdout, stderr, interrupt, ended } = await keep(addr);
    expect(stdout.text).toBe('registered web/w1, and keeping it registered; Ctrl-C destroys it\n');
    expect(server.registry.find('web', 'w1')).toBeDefined();
    interrupt();
    await ended;
    expect(server.registry.find('web', 'w1')).toBeUndefined();
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
    await vi.waitFor(() => expect(stdout.text).not.toBe(''));
    expect(server.registry.find('web', '')).toBeDefined();
    controller.abort();
    expect((await finished).code).toBe(0);
    expect(server.registry.find('web', '')).toBeUndefined();
  });

  it('tells that the registry had lost it, and that it has it again', async () => {
    const { addr } = await startServer();
    const { stderr, clock, interrupt, ended } = await keep(addr);
    await regctl(['destroy', 'web', '--instance', 'w1', '--addr', addr]);
    clock.advance(4000);
    await vi.waitFor(() => expect(stderr.text).toContain('recovered'));
    expect(stderr.text).toMatch(
      /^warning: lost web\/w1: the registry had forgotten it\nrecovered web\/w1 after \d+\.\d s\n$/,
    );
    interrupt();
    await ended;
  });

  it('tells it as JSON to a program, a line each, and the result as one document', async () => {
    const { addr } = await startServer();
    const { stdout, stderr, clock, interrupt, ended } = await keep(addr, ['--json']);
    await regctl(['destroy', 'web', '--instance', 'w1', '--addr', addr]);
    clock.advance(4000);
    await vi.waitFor(() => expect(stderr.text).toContain('recovered'));
    interrupt();
    await ended;
    expect(JSON.parse(stdout.text)).toEqual({ key: 'web', instance: 'w1', revision: 1, generation: 1 });
    const notes = stderr.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).note.code);
    expect(notes).toEqual(['lost', 'recovered', 'destroyed']);
  });

  it('says that it could not destroy it where the registry is gone', async () => {
    const { server, addr } = await startServer();
    const { stderr, clock, interrupt, ended } = await keep(addr);
    await server.close();
    interrupt();
    let code: string | undefined;
    ended.catch((error) => {
      code = error.code;
    });
    await vi.waitFor(() => {
      clock.advance(1000);
      expect(code).toBe('connect_failed');
    });
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
    const { clock, context } = surroundings(formatEndpoint(endpointOf(silent)));
    const ended = register({ key: 'web', values: 'a:1', keep: true }, context);
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
    await vi.waitFor(() => expect(stderr.text).toContain('trying again'));
    controller.abort();
    expect((await finished).code).toBe(130);
    expect(stderr.text).toContain('error: interrupted\n');
  });
});
