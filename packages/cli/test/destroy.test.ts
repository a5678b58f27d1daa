import { describe, expect, it } from 'vitest';
import { session } from './regctl.js';

async function withInstances(...instances: string[]): Promise<(...args: string[]) => Promise<string>> {
  const regctl = await session();
  for (const instance of instances) {
    const named = instance === '' ? [] : ['--instance', instance];
    await regctl('register', 'web', 'a:1', ...named);
  }
  return async (...args) => {
    const { code, out, err } = await regctl('destroy', 'web', ...args);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    return out;
  };
}

describe('regctl destroy', () => {
  it('ends the unnamed instance', async () => {
    const destroy = await withInstances('');
    expect(await destroy()).toBe('destroyed web\n');
    expect(await destroy()).toBe('nothing to destroy: nothing is registered as web\n');
  });

  it('says that named instances remain, and how to end them', async () => {
    const destroy = await withInstances('', 'a', 'b', 'c');
    const hint = '3 named instances of web remain: --instance <id> removes one, --all removes all\n';
    expect(await destroy()).toBe(`destroyed web\n${hint}`);
    expect(await destroy()).toBe(`nothing to destroy: web has no unnamed instance\n${hint}`);
  });

  it('ends a named instance', async () => {
    const destroy = await withInstances('', 'a');
    expect(await destroy('--instance', 'a')).toBe(
      'destroyed web/a\n1 instance of web remains: regctl query web shows it\n',
    );
    expect(await destroy('--instance', 'a')).toBe(
      'nothing to destroy: web has no instance a\n1 instance of web remains: regctl query web shows it\n',
    );
  });

  it('says how to see what remains beside a named instance', async () => {
    const destroy = await withInstances('a', 'b');
    expect(await destroy('--instance', 'zz')).toBe(
      'nothing to destroy: web has no instance zz\n2 instances of web remain: regctl query web shows them\n',
    );
  });

  it.each([[['all']], [['all', '--all']]])('does not end everything, and says what it can end: %j', async (args) => {
    const regctl = await session();
    const { code, out, err } = await regctl('destroy', ...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('regctl destroy <key> --all');
  });

  it('takes no instance for all of them but by --all', async () => {
    const regctl = await session();
    await regctl('register', 'web', 'a:1');
    expect((await regctl('destroy', 'web', '--instance', '*')).code).toBe(2);
    expect((await regctl('query', 'web')).code).toBe(0);
  });

  it('ends all', async () => {
    const destroy = await withInstances('', 'a', 'b');
    expect(await destroy('--all')).toBe('destroyed web: 3 instances\n');
    expect(await destroy('--all')).toBe('nothing to destroy: nothing is registered as web\n');
  });

  it('tells a program how many it removed and how many are left', async () => {
    const destroy = await withInstances('', 'a', 'b');
    expect(JSON.parse(await destroy('--json'))).toEqual({ key: 'web', removed: 1, left: 2 });
    expect(JSON.parse(await destroy('--json'))).toEqual({ key: 'web', removed: 0, left: 2 });
    expect(JSON.parse(await destroy('--json', '--all'))).toEqual({ key: 'web', removed: 2, left: 0 });
  });
});
