import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@reg/client';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Completed, SHELLS } from '../src/shells.js';
import { deadAddr, regctl, startServer } from './regctl.js';

let script = '';

beforeAll(async () => {
  script = (await regctl(['completion', 'bash'])).out;
});

interface Bash {
  /** Lines that the registry answers when it is asked for its services. */
  readonly services?: readonly string[];
  readonly script?: string;
}

interface Completion {
  readonly words: readonly string[];
  /** With what regctl was asked for its services, if it was. */
  readonly asked: readonly string[];
}

/**
 * What bash offers for a line that ends where the cursor is. regctl itself is a function of the shell here; it
 * is run in a folder of its own, where what a name might make the shell do would be seen.
 */
function complete(line: string, { services = [], script: given = script }: Bash = {}): Completion {
  const folder = mkdtempSync(join(tmpdir(), 'regctl-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'services'), services.map((name) => `${name}\n`).join(''));
  writeFileSync(join(folder, 'completion'), given);
  const driver = `
    regctl() { printf '%s\\n' "$@" > asked; cat services; }
    source ./completion
    COMP_LINE=$1 COMP_POINT=\${#1}
    _regctl regctl
    (( \${#COMPREPLY[@]} == 0 )) || printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', driver, 'bash', line], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8' },
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const files = readdirSync(folder);
  expect(files).not.toContain('hacked');
  const asked = files.includes('asked') ? readFileSync(join(folder, 'asked'), 'utf8') : '';
  return { words: linesOf(stdout), asked: linesOf(asked) };
}

function scriptFor(shell: string, commands: readonly Completed[]): string {
  return SHELLS[shell]?.(commands) ?? '';
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

describe('completion in bash', () => {
  it('offers the commands', () => {
    const commands = [
      'register',
      'run',
      'query',
      'watch',
      'wait',
      'explain',
      'destroy',
      'serve',
      'status',
      'audit',
      'health',
      'doctor',
      'backup',
      'restore',
      'token',
      'init',
      'login',
      'logout',
      'context',
      'completion',
    ];
    expect(complete('regctl ').words).toEqual([...commands, 'help']);
    expect(complete('regctl re').words).toEqual(['register', 'restore']);
    expect(complete('regctl --json que').words).toEqual(['query']);
    expect(complete('regctl help de').words).toEqual(['destroy']);
  });

  it('offers the flags of the command, and the global ones', () => {
    expect(complete('regctl register web a:1 --k').words).toEqual(['--keep']);
    expect(complete('regctl query --').words).toEqual(expect.arrayContaining(['--detail', '--instance', '--json']));
    expect(complete('regctl wait web --ti').words).toEqual(['--timeout']);
    expect(complete('regctl run web a:1 --check').words).toEqual(['--check', '--check-interval']);
    expect(complete('regctl serve --data').words).toEqual(['--data-dir']);
    expect(complete('regctl serve --add').words).toEqual([]);
    expect(complete('regctl --a').words).toEqual(['--addr']);
  });

  it('offers choices', () => {
    expect(complete('regctl completion ').words).toEqual(['bash', 'zsh', 'fish']);
    const option = { names: ['--mode'], takesValue: true, takesFile: false, choices: ['fast', 'slow'], help: '' };
    const commands: Completed[] = [{ name: 'serve', summary: '', options: [option], words: [], services: false }];
    expect(complete('regctl serve --mode ', { script: scriptFor('bash', commands) }).words).toEqual(['fast', 'slow']);
    expect(complete('regctl serve --mode s', { script: scriptFor('bash', commands) }).words).toEqual(['slow']);
  });

  it('offers choices also in one word with the flag, of which bash replaces what follows the sign', () => {
    expect(complete('regctl serve --storage=').words).toEqual(['disk', 'memory']);
    expect(complete('regctl serve --storage=m').words).toEqual(['memory']);
    expect(complete('regctl query --instance=', { services: ['web'] })).toEqual({ words: [], asked: [] });
  });

  it('goes on in a name whose spaces were typed with backslashes', () => {
    const services = ['two words', 'two worlds', 'two'];
    expect(complete('regctl query two\\ wor', { services }).words).toEqual(['two\\ words', 'two\\ worlds']);
    expect(complete('regctl query two\\ ', { services }).words).toEqual(['two\\ words', 'two\\ worlds']);
  });

  it('offers a status', () => {
    const own = ['passing', 'draining', 'critical'];
    expect(complete('regctl register web a:1 --status ').words).toEqual(own);
    expect(complete('regctl query web --status d').words).toEqual(['draining']);
  });

  it('offers nothing of its own for another command', () => {
    const services = ['web'];
    expect(complete('regctl wait web -- node --j', { services })).toEqual({ words: [], asked: [] });
    expect(complete('regctl run web a:1 -- ', { services })).toEqual({ words: [], asked: [] });
  });

  it('offers nothing of its own for the value of a flag', () => {
    expect(complete('regctl query --instance ', { services: ['web'] })).toEqual({ words: [], asked: [] });
    expect(complete('regctl register web a:1 --ttl ').words).toEqual([]);
  });

  it('offers the services of the registry to query and destroy', () => {
    const services = ['redis', 'redis-2', 'web'];
    expect(complete('regctl query ', { services }).words).toEqual(['all', ...services]);
    expect(complete('regctl destroy re', { services }).words).toEqual(['redis', 'redis-2']);
    expect(complete('regctl watch ', { services }).words).toEqual(['all', ...services]);
    expect(complete('regctl wait --min 2 w', { services }).words).toEqual(['web']);
    expect(complete('regctl explain w', { services }).words).toEqual(['web']);
    expect(complete('regctl query redis ', { services })).toEqual({ words: [], asked: [] });
    expect(complete('regctl register re', { services })).toEqual({ words: [], asked: [] });
  });

  it('asks the registry that the line names', () => {
    expect(complete('regctl query ').asked).toEqual(['__services']);
    expect(complete('regctl --addr h:1 query ').asked).toEqual(['__services', '--addr', 'h:1']);
    expect(complete('regctl query --addr=h:1 ').asked).toEqual(['__services', '--addr=h:1']);
  });

  it('goes on after a colon, where bash sees another word', () => {
    expect(complete('regctl query pay:v', { services: ['pay:v1', 'pay:v2', 'web'] }).words).toEqual(['v1', 'v2']);
  });

  it.each([
    ['$(touch hacked)', '\\$\\(touch\\ hacked\\)'],
    ['`touch hacked`', '\\`touch\\ hacked\\`'],
    ['; touch hacked', '\\;\\ touch\\ hacked'],
    ['*', '\\*'],
    ['two words', 'two\\ words'],
    ['-rf', '-rf'],
    ['"', '\\"'],
  ])('offers a service named %s without coming to evaluate it', (name, quoted) => {
    expect(complete('regctl query ', { services: [name] }).words).toEqual(['all', quoted]);
  });
});

describe('the other scripts', () => {
  it('know every command and flag', async () => {
    const { out: zsh } = await regctl(['completion', 'zsh']);
    const { out: fish } = await regctl(['completion', 'fish']);
    for (const word of ['register', 'run', 'query', 'watch', 'wait', 'explain', 'destroy', 'serve', 'status']) {
      expect(zsh).toContain(`'${word}')`);
      expect(fish).toContain(`-a ${word} `);
    }
    for (const flag of ['keep', 'json-value', 'detail', 'all', 'data-dir', 'log-level', 'addr', 'no-color']) {
      expect(zsh).toContain(`--${flag}`);
      expect(fish).toContain(`-l ${flag} `);
    }
    expect(`${zsh}${fish}${script}`).not.toContain('compgen');
  });

  it('quote what they are given', () => {
    const option = { names: ['-x', '--xyz'], takesValue: false, takesFile: false, choices: [], help: "it's $HOME \\" };
    const commands: Completed[] = [{ name: '', summary: '', options: [option], words: [], services: false }];
    expect(scriptFor('fish', commands)).toContain("-s x -l xyz -d 'it\\'s $HOME \\\\'");
    expect(scriptFor('zsh', commands)).not.toContain('$HOME');
  });
});

describe('the services that completion asks for', () => {
  it('are named once each', async () => {
    const { addr } = await startServer();
    for (const args of [
      ['web', '1', '--instance', 'a'],
      ['web', '2', '--instance', 'b'],
      ['db', '3'],
    ]) {
      await regctl(['register', ...args, '--addr', addr]);
    }
    expect(await regctl(['__services', '--addr', addr])).toEqual({ code: 0, out: 'db\nweb\n', err: '' });
  });

  it('are written as they are, without those that a terminal would act upon', async () => {
    const { addr } = await startServer();
    const client = connect(addr);
    for (const key of ['two words', '$(x)', '\u6570', 'a\u202eb', 'a\u200bb']) {
      await client.request('register', { key, values: 1 });
    }
    await client.close();
    expect((await regctl(['__services', '--addr', addr])).out).toBe('$(x)\ntwo words\n\u6570\n');
  });

  it('are none, silently, where there is no registry', async () => {
    expect(await regctl(['__services', '--addr', await deadAddr()])).toEqual({ code: 0, out: '', err: '' });
  });

  it('are no command that help shows', async () => {
    expect((await regctl(['--help'])).out).not.toContain('__services');
  });
});
