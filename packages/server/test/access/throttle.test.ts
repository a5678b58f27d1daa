import { ManualClock } from '@reg/protocol/testing';
import { describe, expect, test } from 'vitest';
import { Throttle } from '../../src/access/throttle.js';
import { RegistryClock } from '../../src/clock.js';
import { enter, pass, startGuarded, TokensFile } from './tokens-file.js';

const WRONG = { type: 'auth', token: 'reg_nobodys_aaaaaaaaaaaaaaaaaaaaaaaa' };

function makeThrottle(): { throttle: Throttle; clock: ManualClock } {
  const clock = new ManualClock();
  return { throttle: new Throttle(new RegistryClock(clock)), clock };
}

describe('attempts to authenticate', () => {
  test('are not looked at after five of one connection have failed, not even right ones, until some time has passed', async () => {
    const file = new TokensFile();
    const token = file.add('they', []);
    const daemon = await startGuarded(file);
    const peer = daemon.connect();
    for (let n = 0; n < 5; n += 1) expect(await peer.ask(WRONG)).toMatchObject({ error: { code: 'unauthenticated' } });
    expect(await peer.ask({ type: 'auth', token })).toMatchObject({
      ok: false,
      error: { code: 'throttled', limit: 'auth', retryAfter: 5 },
    });
    expect(await peer.ask({ type: 'ping' })).toMatchObject({ error: { code: 'unauthenticated' } });
    await pass(daemon, 5000);
    expect(await peer.ask({ type: 'auth', token })).toMatchObject({ ok: true });
  });

  test('of one address are counted together, over all its connections', async () => {
    const file = new TokensFile();
    const token = file.add('they', []);
    const daemon = await startGuarded(file);
    for (let n = 0; n < 20; n += 1) {
      expect(await daemon.connect().ask(WRONG)).toMatchObject({ error: { code: 'unauthenticated' } });
    }
    expect(await daemon.connect().ask({ type: 'auth', token })).toMatchObject({
      error: { code: 'throttled', retryAfter: 1 },
    });
    await pass(daemon, 1000);
    await enter(daemon, token);
  });

  test('that succeed do not count, however many they are', async () => {
    const file = new TokensFile();
    const token = file.add('they', []);
    const daemon = await startGuarded(file);
    for (let n = 0; n < 100; n += 1) await enter(daemon, token);
  });
});

describe('a throttle', () => {
  test('knows addresses apart', () => {
    const { throttle } = makeThrottle();
    for (let n = 0; n < 20; n += 1) throttle.fail({ address: 'a' });
    expect(throttle.wait({ address: 'a' })).toBe(1000);
    expect(throttle.wait({ address: 'b' })).toBe(0);
  });

  test('gives an attempt back for each interval that has passed, and no more than it had', () => {
    const { throttle, clock } = makeThrottle();
    const connection = { address: 'a' };
    for (let n = 0; n < 5; n += 1) throttle.fail(connection);
    expect(throttle.wait(connection)).toBe(5000);
    clock.advance(4999);
    expect(throttle.wait(connection)).toBe(1);
    clock.advance(1);
    expect(throttle.wait(connection)).toBe(0);
    throttle.fail(connection);
    expect(throttle.wait(connection)).toBe(5000);
    clock.advance(1_000_000);
    for (let n = 0; n < 4; n += 1) throttle.fail(connection);
    expect(throttle.wait(connection)).toBe(0);
    throttle.fail(connection);
    expect(throttle.wait(connection)).toBe(5000);
  });

  test('remembers a bounded number of addresses, and forgets those first that owe nothing', () => {
    const { throttle, clock } = makeThrottle();
    for (let n = 0; n < 20; n += 1) throttle.fail({ address: 'bad' });
    for (let n = 0; n < 9_000; n += 1) throttle.fail({ address: `old ${n}` });
    clock.advance(2000);
    for (let n = 0; n < 1_500; n += 1) throttle.fail({ address: `new ${n}` });
    expect(throttle.size).toBe(1501);
    expect(throttle.wait({ address: 'bad' })).toBe(0);
    for (let n = 0; n < 20_000; n += 1) throttle.fail({ address: `many ${n}` });
    expect(throttle.size).toBe(10_000);
  });
});
