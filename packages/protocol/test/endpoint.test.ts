import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatEndpoint, parseEndpoint } from '../src/endpoint.js';

describe('an endpoint', () => {
  it.each([
    ['reg://127.0.0.1:7000', '127.0.0.1', 7000],
    ['reg://example.org', 'example.org', 6734],
    ['reg://example.org/', 'example.org', 6734],
    ['example.org:7000', 'example.org', 7000],
    ['example.org', 'example.org', 6734],
    [':7000', '127.0.0.1', 7000],
    ['reg://:7000', '127.0.0.1', 7000],
    ['[::1]', '::1', 6734],
    ['reg://[::1]:7000', '::1', 7000],
    ['[::ffff:127.0.0.1]:1', '::ffff:127.0.0.1', 1],
    ['localhost:65535', 'localhost', 65_535],
  ])('%s is %s at port %d', (text, host, port) => {
    expect(parseEndpoint(text)).toEqual({ host, port });
  });

  it.each([
    '',
    '/',
    'reg://',
    'http://example.org',
    'example.org:',
    'example.org:0',
    'example.org:65536',
    'example.org:123456',
    'example.org:port',
    'example.org:-1',
    '::1',
    '[::1',
    '[]:7000',
    '[example.org]:7000',
    'user@example.org',
    'example.org/path',
    'example.org?x',
    'example.org#x',
    'two words',
    'example.org:7000:7001',
    'example.org\n',
  ])('may not be %j', (text) => {
    expect(() => parseEndpoint(text)).toThrow(expect.objectContaining({ code: 'bad_endpoint' }));
  });

  it('is the same after it was written and read', () => {
    const hosts = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(hosts, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        const text = formatEndpoint({ host, port });
        expect(parseEndpoint(text)).toEqual({ host, port });
        expect(parseEndpoint(`reg://${text}`)).toEqual({ host, port });
      }),
    );
  });
});
