import { connect } from '@reg/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { regctl, session, startServer } from './regctl.js';

describe('regctl register', () => {
  it('says whether it registered, updated or renewed, and for how long', async () => {
    const regctl = await session();
    expect(await regctl('register', 'redis', 'a:1', '--ttl', '30')).toEqual({
      code: 0,
      out: 'registered redis for 30 s\n',
      err: '',
    });
    expect((await regctl('register', 'redis', 'a:1')).out).toBe('renewed redis for 30 s\n');
    expect((await regctl('register', 'redis', 'a:1', '--ttl', 'never')).out).toBe(
      'updated redis until it is destroyed\n',
    );
    expect((await regctl('register', 'redis', 'a:1', '--instance', 'x', '--ttl', '0.5')).out).toBe(
      'registered redis/x for 0.5 s\n',
    );
  });

  it('registers the unnamed instance unless one is named', async () => {
    const regctl = await session();
    await regctl('register', 'redis', 'a:1');
    const { services } = JSON.parse((await regctl('query', 'redis', '--json')).out);
    expect(services).toHaveLength(1);
    expect(services[0]).not.toHaveProperty('instance');
  });

  it('sends every label', async () => {
    const regctl = await session();
    const labels = ['--tag', 'v2', '--tag', 'eu', '--meta', 'zone=eu-1', '--meta', 'note=a=b', '--weight', '5'];
    await regctl('register', 'web', 'a:1', '--instance', 'w1', ...labels);
    const { services } = JSON.parse((await regctl('query', 'web', '--json')).out);
    expect(services[0]).toMatchObject({
      instance: 'w1',
      tags: ['v2', 'eu'],
      meta: { zone: 'eu-1', note: 'a=b' },
      weight: 5,
    });
  });

  it.each([
    ['500ms', 0.5],
    ['2m', 120],
    ['1.5', 1.5],
  ])('takes a ttl of %s', async (ttl, seconds) => {
    const regctl = await session();
    await regctl('register', 'web', 'a:1', '--ttl', ttl);
    expect(JSON.parse((await regctl('query', 'web', '--json')).out).services[0].timeout).toBe(seconds);
  });

  it('says of an instance how it is', async () => {
    const regctl = await session();
    await regctl('register', 'web', 'a:1', '--status', 'draining');
    const { services } = JSON.parse((await regctl('query', 'web', '--status', 'any', '--json')).out);
    expect(services[0].status).toBe('draining');
  });

  it('takes over what another owns only where it is told to', async () => {
    const { addr } = await startServer();
    const client = connect(addr);
    onTestFinished(() => client.close());
    await client.register('web', 'a:1', { instance: 'w1' });
    const args = ['register', 'web', 'b:1', '--instance', 'w1', '--addr', addr];
    const refused = await regctl(args);
    expect(refused.code).toBe(6);
    expect(refused.err).toContain('--takeover takes it over');
    expect((await regctl([...args, '--takeover'])).out).toBe('registered web/w1 for 30 s\n');
  });

  it('keeps a metadata name that every object has', async () => {
    const regctl = await session();
    await regctl('register', 'web', 'a:1', '--meta', '__proto__=x');
    expect((await regctl('query', 'web', '--json')).out).toContain('"meta":{"__proto__":"x"}');
  });

  it.each([
    ['{"host":"10.0.0.7","ports":[1,2]}', { host: '10.0.0.7', ports: [1, 2] }],
    ['null', null],
    ['"text"', 'text'],
    ['-5', -5],
  ])('takes %s as JSON where it is told to', async (text, values) => {
    const regctl = await session();
    await regctl('register', 'db', text, '--json-value');
    expect(JSON.parse((await regctl('query', 'db', '--json')).out).services[0].values).toEqual(values);
  });

  it.each(['{"a":1}', '5', '-5', 'null', 'two words', '\u670d\u52a1', ''])(
    'takes %j as text otherwise',
    async (text) => {
      const regctl = await session();
      await regctl('register', 'db', text);
      expect(JSON.parse((await regctl('query', 'db', '--json')).out).services[0].values).toBe(text);
    },
  );

  it('takes what begins with a dash after two of them', async () => {
    const regctl = await session();
    expect((await regctl('register', 'db', '--', '--json')).out).toBe('registered db for 30 s\n');
    expect(JSON.parse((await regctl('query', 'db', '--json')).out).services[0].values).toBe('--json');
  });

  it('tells a program what the registry answered', async () => {
    const regctl = await session();
    const reply = JSON.parse((await regctl('register', 'web', 'a:1', '--instance', 'w1', '--json')).out);
    expect(reply).toEqual({
      key: 'web',
      instance: 'w1',
      result: 'registered',
      revision: 1,
      generation: 1,
      registered: expect.any(Number),
    });
  });

  it.each([
    [['--ttl', '0'], 'invalid_timeout', '--ttl'],
    [['--ttl', '1e3'], 'invalid_timeout', '--ttl'],
    [['--meta', 'zone'], 'usage', '--meta'],
    [['--meta', '=x'], 'usage', '--meta'],
    [['--weight', '1.5'], 'usage', '--weight'],
    [['--weight', '65536'], 'bad_request', '--weight must be'],
    [['--tag', 't'.repeat(300)], 'too_many_tags', '--tag must be'],
    [['--instance', 'a/b'], 'invalid_name', '--instance must be of 1 to 255 bytes, without "/"'],
    [['--json-value'], 'usage', '--json-value'],
    [['--instance', '*'], 'reserved_name', '"*"'],
    [['--linger', '2'], 'usage', '--linger goes with --keep'],
    [['--linger', 'soon', '--keep'], 'invalid_linger', '--linger must be a time'],
    [['--linger', '86401', '--keep'], 'invalid_linger', '--linger must be a time'],
    [['--status', 'suspect'], 'usage', '--status'],
  ])('refuses %j as %s', async (flags, code, named) => {
    const regctl = await session();
    const { code: exit, out, err } = await regctl('register', 'web', '{', ...flags, '--json');
    const { error } = JSON.parse(err);
    expect({ exit, out, code: error.code }).toEqual({ exit: 2, out: '', code });
    expect(error.message).toContain(named);
  });

  it.each(['', 'a/b', 'a\nb', 'n'.repeat(256)])('refuses %j as the name of a service, in plain words', async (key) => {
    const regctl = await session();
    const { code, err } = await regctl('register', key, 'a:1');
    expect(code).toBe(2);
    expect(err).toMatch(
      /^error: the name of a service must be of 1 to 255 bytes, without "\/" and control characters, not ".{0,40}"\n$/,
    );
  });

  it('refuses a number that JSON cannot carry on', async () => {
    const regctl = await session();
    expect((await regctl('register', 'db', '[1e999]', '--json-value')).code).toBe(2);
    expect((await regctl('query', 'db')).code).toBe(3);
  });
});
