import { describe, expect, test } from 'vitest';
import { settle } from '../settle.js';
import { Watcher } from '../watcher.js';
import { enter, pass, rule, startGuarded, TokensFile } from './tokens-file.js';

const EVERYTHING = [rule(['register', 'query', 'watch'], '*')];
/** Within so many ms a right that was taken is gone. */
const SOON = 1000;

describe('the rights of an open connection end within a second', () => {
  test.each([
    ['is revoked', (file: TokensFile) => file.change('they', { revoked: 1 })],
    ['is removed from the file', (file: TokensFile) => file.remove('they')],
    ['expires', (file: TokensFile) => file.change('they', { expires: Date.UTC(2026, 0, 1) + 100 })],
    ['gets another secret', (file: TokensFile) => file.change('they', { hash: 'ab'.repeat(32) })],
  ])('where its token %s', async (_, take) => {
    const file = new TokensFile();
    const token = file.add('they', EVERYTHING);
    const daemon = await startGuarded(file);
    const peer = await enter(daemon, token);
    await peer.ask({ type: 'register', key: 'pay', values: 'x', timeout: 30 });
    take(file);
    await pass(daemon, SOON);
    for (const type of ['ping', 'heartbeat']) {
      expect(await peer.ask({ type })).toMatchObject({ ok: false, error: { code: 'unauthenticated' } });
    }
    expect(await peer.ask({ type: 'query', key: 'pay' })).toMatchObject({ error: { code: 'unauthenticated' } });
    expect(await peer.ask({ type: 'auth', token })).toMatchObject({ error: { code: 'unauthenticated' } });
  });

  test('where its token expires, though the file stays as it is', async () => {
    const file = new TokensFile();
    const token = file.add('they', EVERYTHING, { expires: Date.UTC(2026, 0, 1) + 5000 });
    const daemon = await startGuarded(file);
    const peer = await enter(daemon, token);
    await pass(daemon, 4000);
    expect(await peer.ask({ type: 'ping' })).toEqual({ ok: true });
    await pass(daemon, SOON + SOON);
    expect(await peer.ask({ type: 'ping' })).toMatchObject({ error: { code: 'unauthenticated' } });
  });

  test('and what it has registered runs out, whatever it says', async () => {
    const file = new TokensFile();
    const token = file.add('they', EVERYTHING);
    const admin = file.add('admin', [rule(['admin'], '*')]);
    const daemon = await startGuarded(file);
    const peer = await enter(daemon, token);
    const other = await enter(daemon, admin);
    await peer.ask({ type: 'register', key: 'pay', values: 'x', timeout: 10 });
    file.change('they', { revoked: 1 });
    await pass(daemon, SOON);
    for (let second = 0; second < 8; second += 1) {
      await peer.ask({ type: 'heartbeat' });
      await pass(daemon, 1000);
    }
    expect(await other.ask({ type: 'query', key: 'pay' })).toMatchObject({ services: [{ key: 'pay' }] });
    await pass(daemon, 2000);
    expect(await other.ask({ type: 'query', key: 'pay' })).toMatchObject({ services: [] });
  });

  test('but only those that were taken', async () => {
    const file = new TokensFile();
    const token = file.add('they', EVERYTHING);
    const daemon = await startGuarded(file);
    const peer = await enter(daemon, token);
    await peer.ask({ type: 'register', key: 'pay', values: 'x', timeout: 10 });
    await peer.ask({ type: 'register', key: 'mail', values: 'x', timeout: 10 });
    file.change('they', { rules: [rule(['register', 'query'], 'mail')] });
    await pass(daemon, SOON);
    expect(await peer.ask({ type: 'register', key: 'pay', values: 'x' })).toMatchObject({
      error: { code: 'forbidden' },
    });
    expect(await peer.ask({ type: 'heartbeat' })).toEqual({ ok: true, held: 1 });
    await pass(daemon, 9500);
    expect(await peer.ask({ type: 'query', key: 'all' })).toMatchObject({ services: [{ key: 'mail' }] });
    // What ran out is told as ever.
    expect(await peer.ask({ type: 'heartbeat' })).toMatchObject({
      held: 1,
      ended: [{ key: 'pay', reason: 'expired' }],
    });
  });

  test('at once where the daemon is told to read the file again', async () => {
    const file = new TokensFile();
    const token = file.add('they', EVERYTHING);
    const daemon = await startGuarded(file);
    const peer = await enter(daemon, token);
    file.remove('they');
    daemon.server.reload();
    expect(await peer.ask({ type: 'ping' })).toMatchObject({ error: { code: 'unauthenticated' } });
  });
});

describe('a watch', () => {
  async function watching() {
    const file = new TokensFile();
    const token = file.add('they', EVERYTHING);
    const admin = file.add('admin', [rule(['admin'], '*')]);
    const daemon = await startGuarded(file);
    const owner = await enter(daemon, admin);
    for (const key of ['mail', 'pay']) await owner.ask({ type: 'register', key, values: 'x', timeout: 'never' });
    const watcher = new Watcher(daemon);
    await watcher.ask({ type: 'auth', token });
    return { file, token, daemon, owner, watcher };
  }

  test('that would be refused now is ended, and says why', async () => {
    const { file, daemon, owner, watcher } = await watching();
    await watcher.watch({ key: 'pay' });
    await watcher.watch({ key: 'mail' });
    file.change('they', { rules: [rule(['watch'], 'mail')] });
    await pass(daemon, SOON);
    expect(await watcher.events()).toEqual([
      {
        type: 'ended',
        watch: 1,
        error: { code: 'forbidden', message: 'they has no right to watch "pay"' },
      },
    ]);
    await owner.ask({ type: 'destruction', key: 'pay' });
    await owner.ask({ type: 'destruction', key: 'mail' });
    expect(await watcher.events()).toMatchObject([{ type: 'change', watch: 2, service: { key: 'mail' } }]);
    expect(await watcher.ask({ type: 'unwatch', watch: 1 })).toMatchObject({ error: { code: 'unknown_watch' } });
  });

  test('of a caller who is nobody any more is ended, and nothing follows', async () => {
    const { file, daemon, owner, watcher } = await watching();
    await watcher.watch({ key: 'all' });
    await watcher.watch({ key: 'pay' });
    file.remove('they');
    await pass(daemon, SOON);
    const ended = await watcher.events();
    expect(ended.map(({ type }) => type)).toEqual(['ended', 'ended']);
    expect(ended).toMatchObject([{ error: { code: 'unauthenticated' } }, { error: { code: 'unauthenticated' } }]);
    await owner.ask({ type: 'destruction', key: 'pay' });
    await pass(daemon, 10_000);
    expect(await watcher.events()).toEqual([]);
  });

  test('of all begins anew with what may be seen now, less or more', async () => {
    const { file, daemon, owner, watcher } = await watching();
    const keys = (events: readonly object[]) =>
      events
        .flatMap((event) => ('services' in event ? (event.services as { key: string }[]) : []))
        .map(({ key }) => key);
    expect(keys(await watcher.watch({ key: 'all' }))).toEqual(['mail', 'pay']);
    file.change('they', { rules: [rule(['watch'], 'm*')] });
    await pass(daemon, SOON);
    const less = await watcher.events();
    expect(less).toMatchObject([{ type: 'reset', reason: 'access' }, { type: 'state' }, { type: 'synced' }]);
    expect(keys(less)).toEqual(['mail']);
    await owner.ask({ type: 'register', key: 'pay', values: 'y' });
    await owner.ask({ type: 'register', key: 'mail', values: 'y' });
    expect(await watcher.events()).toMatchObject([{ type: 'change', service: { key: 'mail' } }]);
    file.change('they', { rules: EVERYTHING });
    await pass(daemon, SOON);
    expect(keys(await watcher.events())).toEqual(['mail', 'pay']);
    await owner.ask({ type: 'register', key: 'pay', values: 'z' });
    expect(await watcher.events()).toMatchObject([{ type: 'change', service: { key: 'pay' } }]);
  });

  test('of all goes on as it was where the rules change in what it does not see', async () => {
    const { file, daemon, watcher } = await watching();
    await watcher.watch({ key: 'all' });
    file.change('they', { rules: [rule(['watch'], '*')] });
    await pass(daemon, SOON);
    expect(await watcher.events()).toEqual([]);
  });

  test('that is resumed with other rights begins anew, and with the same goes on', async () => {
    const { file, token, daemon, owner, watcher } = await watching();
    file.change('they', { rules: [rule(['watch'], 'm*')] });
    await pass(daemon, SOON);
    const told = await watcher.watch({ key: 'all' });
    const { epoch, revision } = told.at(-1) as unknown as { epoch: string; revision: number };
    await owner.ask({ type: 'register', key: 'mail', values: 'y' });
    const again = new Watcher(daemon);
    await again.ask({ type: 'auth', token });
    expect((await again.watch({ key: 'all', epoch, after: revision })).map(({ type }) => type)).toEqual([
      'change',
      'synced',
    ]);
    file.change('they', { rules: EVERYTHING });
    await pass(daemon, SOON);
    const more = new Watcher(daemon);
    await more.ask({ type: 'auth', token });
    expect(await more.watch({ key: 'all', epoch, after: revision })).toMatchObject([
      { type: 'reset', reason: 'epoch' },
      { type: 'state', services: [{ key: 'mail' }, { key: 'pay' }] },
      { type: 'synced' },
    ]);
  });

  test('whose peer does not read is told of what it missed only what it may see', async () => {
    const { file, token, daemon, owner } = await watching();
    file.change('they', { rules: [rule(['watch'], 'm*')] });
    await pass(daemon, SOON);
    const watcher = new Watcher(daemon, { highWaterMark: 1024 });
    await watcher.ask({ type: 'auth', token });
    await watcher.watch({ key: 'all' });
    watcher.peer.stream.pause();
    for (let n = 0; n < 50; n += 1) {
      await owner.ask({ type: 'register', key: n % 2 === 0 ? 'mail' : 'pay', values: `${'x'.repeat(200)}${n}` });
      await settle(2);
    }
    expect(await owner.ask({ type: 'status' })).toMatchObject({ behind: 1 });
    watcher.peer.stream.resume();
    await settle(50);
    const events = await watcher.events();
    const changes = events.flatMap((event) => (event.type === 'change' ? [event.service.key] : []));
    expect(changes).toEqual(Array.from({ length: 25 }, () => 'mail'));
  });

  test('whose peer does not read is told no change that it may not see any more', async () => {
    const { file, token, daemon, owner } = await watching();
    const watcher = new Watcher(daemon, { highWaterMark: 1024 });
    await watcher.ask({ type: 'auth', token });
    await watcher.watch({ key: 'all' });
    watcher.peer.stream.pause();
    for (let n = 0; n < 50; n += 1) {
      await owner.ask({ type: 'register', key: 'pay', values: `${'x'.repeat(200)}${n}` });
      await settle(2);
    }
    file.change('they', { rules: [rule(['watch'], 'mail')] });
    await pass(daemon, SOON);
    await owner.ask({ type: 'register', key: 'pay', values: 'secret' });
    watcher.peer.stream.resume();
    await settle(50);
    const events = await watcher.events();
    expect(JSON.stringify(events)).not.toContain('secret');
    const reset = events.findIndex(({ type }) => type === 'reset');
    expect(reset).toBeGreaterThan(0);
    expect(events.slice(reset)).toMatchObject([
      { type: 'reset', reason: 'access' },
      { type: 'state', services: [{ key: 'mail' }] },
      { type: 'synced' },
    ]);
  });
});

describe('a file that is replaced', () => {
  test.each(['', '{', '{"version":1}', '{"version":1,"entries":[{}]}', '{"version":2,"entries":[]}'])(
    'by %j leaves everything as it was, until it can be read',
    async (text) => {
      const file = new TokensFile();
      const token = file.add('they', EVERYTHING);
      const daemon = await startGuarded(file);
      const peer = await enter(daemon, token);
      file.overwrite(text);
      await pass(daemon, SOON);
      expect(await peer.ask({ type: 'ping' })).toEqual({ ok: true });
      expect(await daemon.connect().ask({ type: 'auth', token })).toMatchObject({ ok: true });
      file.remove('they');
      await pass(daemon, SOON);
      expect(await peer.ask({ type: 'ping' })).toMatchObject({ ok: false });
    },
  );

  test('lets in who is added, without a restart', async () => {
    const file = new TokensFile();
    const daemon = await startGuarded(file);
    const token = file.add('late', EVERYTHING);
    expect(await daemon.connect().ask({ type: 'auth', token })).toMatchObject({ ok: false });
    await pass(daemon, SOON);
    expect(await daemon.connect().ask({ type: 'auth', token })).toMatchObject({ ok: true, caller: 'late' });
  });
});
