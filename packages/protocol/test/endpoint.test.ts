import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatEndpoint, parseAddress, parseEndpoint, redactTokens } from '../src/endpoint.js';

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
    'reg://user:password@example.org',
    'reg://a@b@example.org',
    'reg://@example.org',
    'regs://',
    'reg://reg_a1_secret',
    'example.org//',
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

  it.each([
    ['regs://example.org', { host: 'example.org', port: 6734, secure: true }, undefined],
    ['regs://reg_a1_s3-cr_t@example.org:7000/', { host: 'example.org', port: 7000, secure: true }, 'reg_a1_s3-cr_t'],
    ['reg://reg_a1_secret@[::1]', { host: '::1', port: 6734 }, 'reg_a1_secret'],
    ['reg://secret@:7000', { host: '127.0.0.1', port: 7000 }, 'secret'],
  ])('%s has its token apart', (text, endpoint, token) => {
    expect(parseAddress(text)).toEqual({ endpoint, token });
    expect(formatEndpoint(parseEndpoint(text))).not.toContain('secret');
  });

  it('that needs TLS says so when it is written', () => {
    expect(formatEndpoint({ host: '::1', port: 7, secure: true })).toBe('regs://[::1]:7');
    expect(parseEndpoint('regs://[::1]:7')).toEqual({ host: '::1', port: 7, secure: true });
  });
});

describe('a token', () => {
  const tokens = fc
    .tuple(fc.stringMatching(/^[0-9a-f]{8}$/), fc.stringMatching(/^[\w-]{43}$/))
    .map(([id, secret]) => ({ text: `reg_${id}_${secret}`, secret }));
  const around = fc.constantFrom('', '@', 'reg://', 'regs://', 'x@', '@host:99999', ' ', ':', '/', '@h/p', '\n', 'é@h');

  it('is in no error of an address, wherever it was put', () => {
    fc.assert(
      fc.property(around, tokens, around, (before, { text, secret }, after) => {
        const given = `${before}${text}${after}`;
        let told = '';
        try {
          told = formatEndpoint(parseAddress(given).endpoint);
        } catch (error) {
          told = String(error);
        }
        expect(told).not.toContain(secret);
        expect(redactTokens(given)).not.toContain(secret);
      }),
    );
  });
});
