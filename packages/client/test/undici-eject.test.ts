import { request, upgrade } from 'undici';
import { describe, expect, test } from 'vitest';
import { Health } from '../src/undici/health.js';
import { dispatcherOf, HttpService } from './http-services.js';

const EJECTION = { after: 3, time: { min: 1000, max: 8000 } };

describe('the health of an instance', () => {
  function fail(health: Health, now: number, times: number): void {
    for (let failure = 0; failure < times; failure += 1) health.failed(now, EJECTION, true);
  }

  test('only failures in a row eject it', () => {
    const health = new Health();
    fail(health, 0, 2);
    health.succeeded(0);
    fail(health, 0, 2);
    expect(health.isEjected(0)).toBe(false);
    fail(health, 0, 1);
    expect([0, 999, 1000].map((now) => health.isEjected(now))).toEqual([true, true, false]);
  });

  test('back in rotation one failure ejects it again, for twice as long, up to the bound', () => {
    const health = new Health();
    fail(health, 0, 3);
    const times = [];
    for (let now = 1000; times.length < 5; ) {
      fail(health, now, 1);
      let end = now;
      while (health.isEjected(end)) end += 500;
      times.push(end - now);
      now = end;
    }
    expect(times).toEqual([2000, 4000, 8000, 8000, 8000]);
  });

  test('one success makes all forgotten, but not what was sent before the ejection', () => {
    const health = new Health();
    fail(health, 0, 3);
    health.succeeded(500);
    fail(health, 1000, 1);
    expect([2999, 3000].map((now) => health.isEjected(now))).toEqual([true, false]);
    health.succeeded(3000);
    fail(health, 3000, 2);
    expect(health.isEjected(3000)).toBe(false);
    fail(health, 3000, 1);
    expect([3999, 4000].map((now) => health.isEjected(now))).toEqual([true, false]);
  });

  test('failures while it is out do not count', () => {
    const health = new Health();
    fail(health, 0, 10);
    expect(health.isEjected(1000)).toBe(false);
  });
});

/** Servers by name; those of `failing` answer 503. */
async function setup(names: string, failing: Set<string>, headers = {}) {
  const services = await Promise.all(
    [...names].map((name) =>
      HttpService.start(name, (_, response) => {
        if (failing.has(name)) response.writeHead(503, headers);
        response.end(name);
      }),
    ),
  );
  const made = dispatcherOf(services);
  /** Makes requests that are not retried; which servers they came to. */
  const visits = async (count: number) => {
    let visited = '';
    for (let turn = 0; turn < count; turn += 1) {
      visited += await (await request('http://payments/', { ...made, method: 'POST', body: 'x' })).body.text();
    }
    return visited;
  };
  return { ...made, services, visits };
}

test('an instance that fails three times in a row is left alone, and tried again later', async () => {
  const failing = new Set('b');
  const { visits, clock } = await setup('abc', failing);
  expect(await visits(9)).toBe('abcabcabc');
  expect(await visits(6)).not.toContain('b');
  clock.advance(1000);
  expect(await visits(3)).toContain('b');
  clock.advance(1999);
  expect(await visits(3)).not.toContain('b');
  failing.clear();
  clock.advance(1);
  expect(await visits(3)).toContain('b');
  failing.add('b');
  expect(await visits(6)).toMatch(/b.*b/);
});

test('at most half of the instances are left alone', async () => {
  const { visits } = await setup('abcd', new Set('abcd'));
  await visits(16);
  expect(new Set(await visits(16)).size).toBe(2);
});

test('neither is the only one, nor the last one', async () => {
  const alone = await setup('a', new Set('a'));
  expect(await alone.visits(10)).toBe('aaaaaaaaaa');
  const { visits, view, services } = await setup('ab', new Set('a'));
  await visits(6);
  expect(await visits(3)).toBe('bbb');
  view.set(...services.slice(0, 1).map((service) => service.target()));
  expect(await visits(3)).toBe('aaa');
});

test('another generation begins with a clean sheet', async () => {
  const { visits, view, services } = await setup('ab', new Set('a'));
  await visits(6);
  expect(await visits(2)).toBe('bb');
  view.set(...services.map((service) => service.target(2)));
  expect(await visits(2)).toContain('a');
});

test('who asks to be left alone is, for as long, and no longer than the bound', async () => {
  const failing = new Set('a');
  const { visits, clock } = await setup('ab', failing, { 'retry-after': '5' });
  expect(await visits(1)).toBe('a');
  expect(await visits(4)).toBe('bbbb');
  clock.advance(4999);
  expect(await visits(4)).toBe('bbbb');
  failing.clear();
  clock.advance(1);
  expect(await visits(2)).toContain('a');
  const long = await setup('ab', new Set('a'), { 'retry-after': '86400' });
  await long.visits(1);
  long.clock.advance(29_999);
  expect(await long.visits(4)).toBe('bbbb');
  long.clock.advance(1);
  expect(await long.visits(2)).toContain('a');
});

test('an instance that cannot be reached is left alone too', async () => {
  const { view, services, dispatcher } = await setup('abc', new Set());
  await services[0]?.kill();
  const picks: (string | undefined)[] = [];
  const track = view.track.bind(view);
  view.track = (target) => {
    picks.push(target.instance);
    return track(target);
  };
  for (let turn = 0; turn < 12; turn += 1) {
    const { body } = await request('http://payments/', { dispatcher });
    expect(await body.text()).not.toBe('a');
  }
  expect(picks.filter((name) => name === 'a')).toHaveLength(3);
});

test('what the caller throws is no failure of the instance, whatever its error looks like', async () => {
  const { visits, dispatcher } = await setup('ab', new Set());
  for (let turn = 0; turn < 8; turn += 1) {
    // undici throws an error of a socket where the answer to an upgrade is another than 101.
    await expect(upgrade('http://payments/', { dispatcher })).rejects.toThrow('bad upgrade');
  }
  expect(new Set(await visits(4)).size).toBe(2);
});
