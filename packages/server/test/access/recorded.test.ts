import type { AuditEntry } from '@reg/protocol';
import { describe, expect, test } from 'vitest';
import type { Daemon } from '../harness.js';
import { enter, pass, rule, startGuarded, TokensFile } from './tokens-file.js';

/** What was recorded so far, in short. */
async function recorded(daemon: Daemon, admin: string): Promise<AuditEntry[]> {
  const peer = await enter(daemon, admin);
  const { entries } = (await peer.ask({ type: 'audit' })) as unknown as { readonly entries: AuditEntry[] };
  // What asking has added itself is left out.
  return entries.filter(({ caller }) => caller !== 'admin');
}

function start(): { file: TokensFile; admin: string; they: string } {
  const file = new TokensFile();
  const admin = file.add('admin', [rule(['admin'], '*')]);
  const they = file.add('they', [rule(['register', 'query'], 'pay')]);
  return { file, admin, they };
}

describe('the record of who changed what', () => {
  test('has the name of who did it, and who was let in by what', async () => {
    const { file, admin, they } = start();
    const daemon = await startGuarded(file, { audit: 'memory' });
    const peer = await enter(daemon, they);
    await peer.ask({ type: 'auth', token: they });
    await peer.ask({ type: 'register', key: 'pay', values: 1 });
    expect(await recorded(daemon, admin)).toMatchObject([
      { event: 'authenticated', caller: 'they', peer: 'local', reason: 'with a token' },
      { event: 'registered', caller: 'they', service: 'pay' },
    ]);
  });

  test('has who was not let in, without what they tried', async () => {
    const { file, admin, they } = start();
    const daemon = await startGuarded(file, { audit: 'memory' });
    const wrong = `${they.slice(0, -4)}XXXX`;
    await daemon.connect().ask({ type: 'auth', token: wrong });
    file.change('they', { revoked: 1 });
    await pass(daemon, 1000);
    await daemon.connect().ask({ type: 'auth', token: they });
    const entries = await recorded(daemon, admin);
    expect(entries).toMatchObject([
      { event: 'auth_failed', peer: 'local', reason: 'the token is not valid' },
      { event: 'reloaded', reason: 'the tokens' },
      { event: 'auth_failed', peer: 'local', reason: 'the token of they was revoked' },
    ]);
    for (const secret of [they, wrong].map((token) => token.split('_').slice(2).join('_'))) {
      expect(JSON.stringify(entries)).not.toContain(secret);
    }
  });

  test('has what was denied to whom, once a second for each connection', async () => {
    const { file, admin, they } = start();
    const daemon = await startGuarded(file, { audit: 'memory' });
    const peer = await enter(daemon, they);
    const stranger = daemon.connect();
    const deny = async () => {
      expect(await peer.ask({ type: 'query', key: 'mail' })).toMatchObject({ error: { code: 'forbidden' } });
    };
    for (let n = 0; n < 100; n += 1) await deny();
    expect(await stranger.ask({ type: 'query', key: 'pay' })).toMatchObject({ error: { code: 'unauthenticated' } });
    await pass(daemon, 1000);
    await peer.ask({ type: 'status' });
    await deny();
    const denied = (await recorded(daemon, admin)).filter(({ event }) => event === 'denied');
    expect(denied).toMatchObject([
      { caller: 'they', service: 'mail', reason: 'query: forbidden' },
      { service: 'pay', reason: 'query: unauthenticated' },
      { caller: 'they', reason: 'status: forbidden' },
    ]);
    expect(denied[1]).not.toHaveProperty('caller');
  });

  test('of an instance tells its changes, which no denials hide, and not who else asked for it', async () => {
    const { file, admin, they } = start();
    const daemon = await startGuarded(file, { audit: 'memory' });
    const peer = await enter(daemon, they);
    const other = await enter(daemon, admin);
    await other.ask({ type: 'register', key: 'pay', values: 'x' });
    for (let n = 0; n < 25; n += 1) await daemon.connect().ask({ type: 'query', key: 'pay' });
    expect(await peer.ask({ type: 'explain', key: 'pay' })).toMatchObject({
      audit: [{ event: 'registered', caller: 'admin', service: 'pay' }],
    });
  });

  test('cannot be filled by who has no token, however many connections that is', async () => {
    const { file, admin, they } = start();
    const daemon = await startGuarded(file, { audit: 'memory' });
    const peer = await enter(daemon, they);
    await peer.ask({ type: 'register', key: 'pay', values: 'x' });
    for (let n = 0; n < 1100; n += 1) {
      await daemon.connect().ask({ type: 'query', key: 'pay' });
      if (n % 110 === 0) await pass(daemon, 100);
    }
    const entries = await recorded(daemon, admin);
    expect(entries.slice(0, 2)).toMatchObject([{ event: 'authenticated' }, { event: 'registered' }]);
    expect(entries).toHaveLength(4);
  });

  test.each([
    ['it was revoked', (file: TokensFile) => file.change('they', { revoked: 1 })],
    ['it has expired', (file: TokensFile) => file.change('they', { expires: 1 })],
    ['its entry is gone', (file: TokensFile) => file.remove('they')],
  ])('has whose rights ended: %s', async (reason, take) => {
    const { file, admin, they } = start();
    const daemon = await startGuarded(file, { audit: 'memory' });
    await enter(daemon, they);
    take(file);
    await pass(daemon, 2000);
    const ended = (await recorded(daemon, admin)).filter(({ event }) => event === 'revoked');
    expect(ended).toMatchObject([{ caller: 'they', peer: 'local', reason }]);
  });

  test('has that the tokens were read again on request, but not that they could not be', async () => {
    const { file, admin } = start();
    const daemon = await startGuarded(file, { audit: 'memory' });
    daemon.server.reload();
    file.overwrite('nonsense');
    daemon.server.reload();
    expect(await recorded(daemon, admin)).toMatchObject([{ event: 'reloaded', reason: 'the tokens' }]);
  });
});
