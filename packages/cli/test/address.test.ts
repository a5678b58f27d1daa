import { describe, expect, it } from 'vitest';
import { resolveAddress } from '../src/address.js';

describe('the address of the registry', () => {
  it.each([
    ['the flag', 'a:1', { REG_ADDR: 'b:2' }, [{ host: 'a', port: 1 }], '--addr'],
    ['the environment', undefined, { REG_ADDR: 'b:2' }, [{ host: 'b', port: 2 }], 'REG_ADDR'],
    ['the default', undefined, {}, [{ host: '127.0.0.1', port: 6734 }], undefined],
    [
      'the default where the variable is empty',
      undefined,
      { REG_ADDR: '' },
      [{ host: '127.0.0.1', port: 6734 }],
      undefined,
    ],
    ['the flag, with what it leaves out', ':7000', {}, [{ host: '127.0.0.1', port: 7000 }], '--addr'],
    ['an address of IPv6', 'reg://[::1]', {}, [{ host: '::1', port: 6734 }], '--addr'],
    [
      'the flag, which may name several',
      'a:1, b',
      {},
      [
        { host: 'a', port: 1 },
        { host: 'b', port: 6734 },
      ],
      '--addr',
    ],
  ])('is that of %s', (_, addr, env, endpoints, origin) => {
    expect(resolveAddress(addr, env)).toEqual({ endpoints, origin });
  });

  it.each([
    ['::1', {}, /^--addr: "::1" is not an address/],
    ['', {}, /^--addr: "" is not an address/],
    ['a:1,', {}, /^--addr: "" is not an address/],
    [undefined, { REG_ADDR: 'x:y' }, /^REG_ADDR: "x:y" is not an address/],
  ])('may not be %j with %j', (addr, env, message) => {
    expect(() => resolveAddress(addr, env)).toThrow(
      expect.objectContaining({ code: 'bad_endpoint', message: expect.stringMatching(message) }),
    );
  });
});
