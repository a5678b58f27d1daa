import { ManualClock } from '@reg/protocol/testing';
import fc from 'fast-check';
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

  /** Whether failures from one address keep attempts from the other waiting. */
  function areOne(address: string, other: string): boolean {
    const { throttle } = makeThrottle();
    for (let n = 0; n < 20; n += 1) throttle.fail({ address });
    expect(throttle.wait({ address })).toBe(1000);
    return throttle.wait({ address: other }) > 0;
  }

  test.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', true],
    ['2001:db8:1:2::1', '2001:0DB8:0001:0002:0:0:0:9', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['2001:db8::1', '2001:db8:0:0:9::', true],
    ['::1', '::2', true],
    ['::1', '1::', false],
    ['fe80::1%eth0', 'fe80::2%eth1', true],
    ['::ffff:10.0.0.5', '10.0.0.5', true],
    ['::ffff:a00:5', '10.0.0.5', true],
    ['0:0:0:0:0:FFFF:10.0.0.5', '::ffff:10.0.0.5', true],
    ['::ffff:10.0.0.5', '::ffff:10.0.0.6', false],
    ['10.0.0.5', '10.0.0.6', false],
    // Not mapped: an address of IPv6 that only ends alike.
    ['1::ffff:10.0.0.5', '10.0.0.5', false],
    ['local', 'local', true],
    ['local', '::1', false],
  ])('takes %s and %s for one network: %j', (address, other, isOne) => {
    expect(areOne(address, other)).toBe(isOne);
  });

  test('takes any two IPv6 addresses for one network where they are of one /64', () => {
    const suffixes = fc.tuple(fc.nat(0xffff), fc.nat(0xffff), fc.nat(0xffff), fc.nat(0xffff));
    // A few numbers only, so that prefixes are often alike; none of them begins with zeros alone, as mapped ones do.
    const prefixes = fc.tuple(fc.constantFrom(1, 0x2001), fc.nat(1), fc.nat(1), fc.nat(1));
    const forms = fc.constantFrom(
      (text: string) => text,
      (text: string) => text.toUpperCase(),
      (text: string) => new URL(`http://[${text}]`).hostname.slice(1, -1),
      (text: string) => text.replaceAll(/\b[0-9a-f]{1,3}\b/g, (group) => group.padStart(4, '0')),
    );
    const address = fc.tuple(prefixes, suffixes, forms);
    fc.assert(
      fc.property(address, address, ([prefix, suffix, form], [other, otherSuffix, otherForm]) => {
        const write = (groups: readonly number[]) => groups.map((group) => group.toString(16)).join(':');
        const one = form(write([...prefix, ...suffix]));
        const two = otherForm(write([...other, ...otherSuffix]));
        expect(areOne(one, two)).toBe(write(prefix) === write(other));
      }),
    );
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
