import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressOf } from '../src/discovery/address.js';

test.each([
  ['10.0.0.5:8080', '10.0.0.5', 8080],
  ['123456@127.0.0.1:6379', '127.0.0.1', 6379],
  ['user:p@ss@db.internal:5432', 'db.internal', 5432],
  ['[2001:db8::1]:443', '2001:db8::1', 443],
  ['http://web.internal/path', 'web.internal', 80],
  ['https://web.internal', 'web.internal', 443],
  ['http://[::1]:8080/', '::1', 8080],
  ['redis://user:p@ss@cache.internal:6379/0', 'cache.internal', 6379],
  ['http://web.internal:8080/users/a@b.test', 'web.internal', 8080],
  ['blue@http://web.internal:8080', 'web.internal', 8080],
])('%j is at %s, port %i', (values, host, port) => {
  expect(addressOf(values)).toEqual({ host, port });
});

test.each([
  [
    { host: 'a.test', port: 80, other: [1] },
    { host: 'a.test', port: 80 },
  ],
  [
    { address: '10.0.0.5', port: '8080' },
    { host: '10.0.0.5', port: 8080 },
  ],
  [
    { host: '::1', port: 1 },
    { host: '::1', port: 1 },
  ],
  [
    { host: 'b.test', address: 'a.test', port: 65_535 },
    { host: 'b.test', port: 65_535 },
  ],
])('the fields %j are an address', (values, address) => {
  expect(addressOf(values)).toEqual(address);
});

test.each([
  '',
  'a.test',
  ':80',
  'a.test:0',
  'a.test:65536',
  'a.test:080808',
  'a b:80',
  '::1:80',
  '[a.test]:80',
  'a.test:80/path',
  'redis://cache.internal',
  'http://',
  'http://a.test:99999',
  7,
  null,
  true,
  ['a.test:80'],
  {},
  { host: 'a.test' },
  { host: 'a.test', port: 1.5 },
  { host: 'a/b', port: 80 },
  { host: 5, port: 80 },
])('%j is no address', (values) => {
  expect(addressOf(values)).toBeUndefined();
});

test('whatever the values are, there is a usable address or none', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (values) => {
      const address = addressOf(JSON.parse(JSON.stringify(values)));
      if (!address) return;
      expect(address.host).not.toBe('');
      expect(address.port).toBeGreaterThan(0);
      expect(address.port).toBeLessThan(65_536);
    }),
  );
});
