import { createServer, type Server } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Child, Ending } from '../src/child.js';
import { type RunArguments, run } from '../src/commands/run.js';
import { type Bench, type BenchOptions, deadAddr, makeBench, regctl } from './regctl.js';

interface Run extends Bench {
  readonly code: Promise<number>;
  /** The signals that the command was sent. */
  readonly killed: NodeJS.Signals[];
  /** Ends the command. */
  end(ending: Ending): void;
}

/** Runs a command that is none: the test says when it ends. */
function start(bench: Bench, given: Partial<RunArguments> = {}): Run {
  const killed: NodeJS.Signals[] = [];
  let end: (ending: Ending) => void = () => {};
  const ended = new Promise<Ending>((resolve) => {
    end = resolve;
  });
  const child: Child = { ended, kill: (signal) => killed.push(signal) };
  const wanted = { key: 'web', values: '127.0.0.1:1', instance: 'w1', command: ['server'] };
  const times = { checkInterval: '1s', drainTimeout: '5s' };
  const code = run({ ...wanted, ...times, ...given }, bench.context, async () => child);
  code.catch(() => {});
  return { ...bench, code, killed, end: (ending) => end(ending) };
}

async function begin(given: Partial<RunArguments> = {}, options: BenchOptions = {}): Promise<Run> {
  const running = start(await makeBench(options), given);
  await running.registry.settle();
  return running;
}

/** A port that accepts connections until it is told not to. */
class Door {
  port = 0;
  #server: Server = createServer((socket) => socket.destroy());

  async open(): Promise<void> {
    this.#server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => this.#server.listen(this.port, '127.0.0.1', resolve));
    const address = this.#server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe('regctl run', () => {
  it('registers while the command runs, and exits as it does', async () => {
    const { registry, stdout, stderr, find, code, end } = await begin({ ttl: '10' });
    await registry.advance(60_000);
    expect(await find('web')).toMatchObject([{ instance: 'w1', values: '127.0.0.1:1', timeout: 10, linger: 2 }]);
    end({ code: 3 });
    expect(await code).toBe(3);
    expect(await find('web')).toEqual([]);
    expect(stdout.text).toBe('');
    expect(stderr.text).toBe('registered web/w1\ndestroyed web/w1\n');
  });

  it('registers an instance that no other process has unless it is given one', async () => {
    const bench = await makeBench();
    for (const values of ['a:1', 'b:1']) {
      const child: Child = { ended: new Promise(() => {}), kill: () => {} };
      const given = { key: 'web', values, command: ['server'], checkInterval: '1s', drainTimeout: '5s' };
      void run(given, bench.context, async () => child);
    }
    await bench.registry.settle();
    const [first, second] = await bench.find('web');
    expect(first?.instance).toMatch(/./);
    expect(second?.instance).toMatch(/./);
    expect(first?.instance).not.toBe(second?.instance);
  });

  it('starts the command also where there is no registry, and registers when there is', async () => {
    const bench = await makeBench();
    await bench.registry.stop();
    const { registry, stderr, find, code, end } = start(bench);
    await registry.advance(5000);
    expect(stderr.text).toMatch(/^no connection yet \(.*\): trying again\n$/);
    await registry.start();
    await registry.advance(5000);
    expect(await find('web')).toHaveLength(1);
    end({ code: 0 });
    expect(await code).toBe(0);
  });

  it('ends with the command where there is no registry', async () => {
    const bench = await makeBench();
    await bench.registry.stop();
    const { registry, code, end } = start(bench);
    await registry.advance(1000);
    end({ code: 4 });
    await registry.advance(2000);
    expect(await code).toBe(4);
  });

  it('says that it could not be destroyed where the registry is gone', async () => {
    const { registry, stderr, code, end } = await begin();
    await registry.stop();
    end({ code: 0 });
    await registry.advance(2000);
    expect(await code).toBe(0);
    expect(stderr.text).toContain(
      'warning: web/w1 could not be destroyed: it stays until its linger, or its ttl, is over',
    );
  });

  it('goes on where somebody destroys it, and does not register it again', async () => {
    const { registry, stderr, connect, find, code, end } = await begin({ ttl: '9' });
    await connect().destroy('web', { instance: 'w1' });
    await registry.advance(10_000);
    expect(stderr.text).toContain('lost web/w1: somebody destroyed it, and it is not registered again');
    expect(await find('web')).toEqual([]);
    end({ code: 0 });
    expect(await code).toBe(0);
  });

  it('really runs a command, with what follows the dashes', async () => {
    const command = ['sh', '-c', 'test "$*" = "--json --help" && exit 7', 'sh', '--json', '--help'];
    const addr = await deadAddr();
    const { code, out } = await regctl(['run', 'web', 'a:1', '--ttl', '9', '--addr', addr, '--', ...command]);
    expect({ code, out }).toEqual({ code: 7, out: '' });
  });

  it.each([
    [[], 'the command to run is missing'],
    [['--check', 'udp', '--', 'true'], '--check must be'],
    [['--check', 'tcp', '--', 'true'], '--check tcp looks where the values say'],
    [['--check-interval', 'soon', '--', 'true'], '--check-interval must be a time'],
    [['--drain-timeout', '-1', '--', 'true'], '--drain-timeout must be a time'],
    [['--linger', 'never', '--', 'true'], '--linger must be a time'],
  ])('refuses %j before it starts anything', async (args, message) => {
    const { code, err } = await regctl(['run', 'web', 'nowhere', ...args]);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});

describe('the check of regctl run', () => {
  it('registers from the first look that passes on, critical where two fail, and passing again', async () => {
    const door = new Door();
    await door.open();
    onTestFinished(() => door.close());
    await door.close();
    const { registry, stderr, find } = await begin({ check: `tcp:127.0.0.1:${door.port}` });
    /** Looks are real connections, so that time passes until they have shown what is expected. */
    const until = (expected: unknown) =>
      expect
        .poll(async () => {
          await registry.advance(1000);
          return (await find('web')).map(({ status = 'passing' }) => status);
        })
        .toEqual(expected);
    await expect.poll(() => stderr.text).toContain('web/w1 is not registered yet: no connection to 127.0.0.1:');
    expect(await find('web')).toEqual([]);
    await door.open();
    await until(['passing']);
    await door.close();
    await until(['critical']);
    await door.open();
    await until(['passing']);
    const notes = stderr.text.trimEnd().split('\n').slice(1);
    expect(notes).toEqual([
      'registered web/w1',
      expect.stringMatching(/^warning: web\/w1 is critical: no connection to 127\.0\.0\.1:\d+ \(ECONNREFUSED\)$/),
      'web/w1 passes again',
    ]);
  });
});

describe('a signal to regctl run', () => {
  it('drains the registration, then goes to the command, whose end it waits for', async () => {
    const { registry, stderr, connect, find, signal, killed, code, end } = await begin();
    const events = connect().watch('web', { ack: true })[Symbol.asyncIterator]();
    await events.next();
    await events.next();
    signal('SIGTERM');
    await registry.settle();
    expect(await find('web')).toMatchObject([{ status: 'draining' }]);
    expect(killed).toEqual([]);
    // The watch acknowledges that it has seen it drain when it asks for what comes then.
    await events.next();
    void events.next();
    await registry.advance(1000);
    expect(killed).toEqual(['SIGTERM']);
    expect(await find('web')).toEqual([]);
    end({ code: 143, signal: 'SIGTERM' });
    expect(await code).toBe(143);
    expect(stderr.text).toBe(
      'registered web/w1\ndraining web/w1\ndrained web/w1: 1 of 1 watches have seen it\ndestroyed web/w1\n',
    );
  });

  it('does not wait longer than it is told to for those who watch', async () => {
    const { registry, connect, signal, killed } = await begin({ drainTimeout: '2s' });
    const events = connect().watch('web', { ack: true })[Symbol.asyncIterator]();
    await events.next();
    signal('SIGINT');
    await registry.advance(1500);
    expect(killed).toEqual([]);
    await registry.advance(1000);
    expect(killed).toEqual(['SIGINT']);
  });

  it('does not wait at all the second time', async () => {
    const { registry, connect, signal, killed } = await begin();
    const events = connect().watch('web', { ack: true })[Symbol.asyncIterator]();
    await events.next();
    signal('SIGTERM');
    await registry.advance(100);
    signal('SIGTERM');
    expect(killed).toEqual(['SIGTERM']);
  });

  it('does not wait for a registry that is gone longer than for a drain', async () => {
    const { registry, signal, killed } = await begin({ drainTimeout: '1s' });
    await registry.stop();
    signal('SIGTERM');
    await registry.advance(3000);
    expect(killed).toEqual(['SIGTERM']);
  });

  it('is passed on at once where it does not ask to leave', async () => {
    const { find, signal, killed } = await begin();
    signal('SIGHUP');
    signal('SIGUSR2');
    expect(killed).toEqual(['SIGHUP', 'SIGUSR2']);
    expect(await find('web')).toMatchObject([{ instance: 'w1' }]);
    expect((await find('web'))[0]).not.toHaveProperty('status');
  });

  it('is not sent twice where the terminal sends it to the command too', async () => {
    const { registry, signal, killed } = await begin({}, { foreground: true });
    signal('SIGINT');
    await registry.advance(1000);
    expect(killed).toEqual([]);
    signal('SIGTERM');
    expect(killed).toEqual(['SIGTERM']);
  });

  it('that came before the command was started is not lost', async () => {
    const bench = await makeBench();
    bench.interrupt();
    const { registry, killed } = start(bench);
    await registry.advance(1000);
    expect(killed).toEqual(['SIGTERM']);
  });

  it('that came while the command was started is not lost', async () => {
    const bench = await makeBench();
    const { registry, signal, killed } = start(bench);
    signal('SIGHUP');
    signal('SIGTERM');
    await registry.advance(1000);
    expect(killed).toEqual(['SIGHUP', 'SIGTERM']);
  });
});
