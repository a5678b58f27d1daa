import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { handleSignals } from '../src/index.js';
import { FakeDaemon, FakeRegistry, type Fields, later, outcome, settle } from './fake-daemon.js';

/** A registration of a service that two watch who acknowledge; `seen` is how many of them have. */
async function drained(options = {}) {
  const daemon = new FakeDaemon();
  const registry = new FakeRegistry();
  const watches = { seen: 0 };
  daemon.script = (request, over) =>
    request['type'] === 'acks' ? { watches: 2, acknowledged: watches.seen } : registry.script(request, over);
  const client = daemon.client();
  const registration = await client.register('s', 1, { ttl: 30, instance: 'x', tags: ['a'] });
  const drain = later(registration.drain(options));
  await settle();
  return { daemon, registry, watches, client, registration, drain };
}

const types = (requests: readonly Fields[]) => requests.map(({ type }) => type);

describe('drain', () => {
  test('says that it is draining, waits until all have seen that, and destroys it', async () => {
    const { daemon, registry, watches, registration, drain } = await drained();
    expect(daemon.requests.slice(1)).toMatchObject([
      { type: 'register', status: 'draining', values: 1, tags: ['a'], generation: 1 },
      { type: 'acks', key: 's', revision: 2 },
    ]);
    await daemon.pass(25);
    watches.seen = 1;
    await daemon.pass(50);
    expect(registry.instances.size).toBe(1);
    expect(registration.state).toBe('registered');
    watches.seen = 2;
    await daemon.pass(100);
    expect(await drain).toEqual({ watches: 2, acknowledged: 2 });
    expect(types(daemon.requests)).toEqual(['register', 'register', 'acks', 'acks', 'acks', 'acks', 'destruction']);
    expect(registry.instances.size).toBe(0);
    expect(daemon.clock.timers).toBe(0);
  });

  test('waits no longer than its timeout', async () => {
    const { daemon, registry, drain } = await drained({ timeout: 1000 });
    await daemon.pass(700);
    expect(registry.instances.size).toBe(1);
    await daemon.pass(300);
    expect(await drain).toEqual({ watches: 2, acknowledged: 0 });
    expect(registry.instances.size).toBe(0);
  });

  test('destroys also where the daemon is of no help', async () => {
    const daemon = new FakeDaemon();
    const registry = new FakeRegistry();
    daemon.script = (request, over) => (request['type'] === 'acks' ? 'unknown_type' : registry.script(request, over));
    const registration = await daemon.client().register('s', 1);
    expect(await registration.drain()).toEqual({ watches: 0, acknowledged: 0 });
    expect(registry.instances.size).toBe(0);
  });

  test('may be asked for twice, and after close', async () => {
    const { daemon, watches, registration, drain } = await drained();
    watches.seen = 2;
    expect(registration.drain()).toBe(drain);
    await daemon.pass(25);
    await drain;
    expect(await registration.drain()).toEqual({ watches: 2, acknowledged: 2 });
  });

  test('is cut short by close', async () => {
    const { daemon, registry, registration, drain } = await drained();
    await registration.close();
    expect(registry.instances.size).toBe(0);
    await daemon.pass(25);
    expect(await outcome(drain)).toBe('ok');
    expect(types(daemon.requests).filter((type) => type === 'destruction')).toHaveLength(1);
  });

  test('of one that was never registered asks nobody', async () => {
    const daemon = new FakeDaemon();
    daemon.mode = 'refusing';
    const registration = await daemon.client().register('s', 1, { background: true });
    expect(await registration.drain()).toEqual({ watches: 0, acknowledged: 0 });
    expect(daemon.requests).toEqual([]);
  });
});

describe('handleSignals', () => {
  async function listening(options = {}) {
    const daemon = new FakeDaemon();
    const registry = new FakeRegistry();
    daemon.script = registry.script;
    const client = daemon.client();
    await client.register('a', 1);
    await client.register('b', 1);
    const ended: string[] = [];
    const undo = handleSignals(client, { signals: ['SIGUSR2'], exit: (signal) => ended.push(signal), ...options });
    onTestFinished(undo);
    return { daemon, registry, client, ended, undo };
  }

  test('drains everything, closes the client, and then ends the process', async () => {
    const { daemon, registry, client, ended } = await listening();
    process.emit('SIGUSR2', 'SIGUSR2');
    await daemon.pass(100);
    expect(daemon.requests.filter(({ status }) => status === 'draining')).toHaveLength(2);
    expect(registry.instances.size).toBe(0);
    expect(ended).toEqual(['SIGUSR2']);
    expect(await outcome(client.ping())).toBe('closed');
  });

  test('leaves a second signal to the system', async () => {
    await listening();
    process.emit('SIGUSR2', 'SIGUSR2');
    expect(process.listenerCount('SIGUSR2')).toBe(0);
  });

  test('leaves the end to others who listen, also where they listen once', async () => {
    const { daemon } = await listening({ exit: undefined });
    let heard = 0;
    process.once('SIGUSR2', () => {
      heard += 1;
    });
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
    onTestFinished(() => kill.mockRestore());
    process.emit('SIGUSR2', 'SIGUSR2');
    await daemon.pass(100);
    expect(heard).toBe(1);
    expect(kill).not.toHaveBeenCalled();
  });

  test('of several clients raise the signal again when the last of them has left', async () => {
    const first = await listening({ exit: undefined });
    const second = await listening({ exit: undefined });
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
    onTestFinished(() => kill.mockRestore());
    second.daemon.script = () => undefined;
    process.emit('SIGUSR2', 'SIGUSR2');
    await first.daemon.pass(100);
    expect(first.registry.instances.size).toBe(0);
    expect(kill).not.toHaveBeenCalled();
    await second.daemon.pass(20_000);
    expect(kill.mock.calls).toEqual([[process.pid, 'SIGUSR2']]);
  });

  test('refuses a timeout that is none at once, and not when the process has to end', async () => {
    const { client } = await listening();
    expect(() => handleSignals(client, { timeout: 0 })).toThrow(expect.objectContaining({ code: 'bad_config' }));
  });

  test('can be undone', async () => {
    const { undo } = await listening();
    expect(process.listenerCount('SIGUSR2')).toBe(1);
    undo();
    expect(process.listenerCount('SIGUSR2')).toBe(0);
  });
});
