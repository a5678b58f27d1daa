/** The commands that set a registry up so that only some get in, and that get in. */

import { DEFAULT_PORT } from '@reg/protocol';
import { Argument, type Command } from 'commander';
import type { InitArguments } from '../commands/init.js';
import { append, type Surroundings } from './syntax.js';

export function addInit(program: Command, { output }: Surroundings): void {
  program
    .command('init')
    .summary('set up a registry with TLS and a first token')
    .description(
      'Writes a configuration for regctl serve into a folder, an authority of its own, a certificate that this signs, and ' +
        'a token for an admin, which is shown once. Nothing that is there is replaced.',
    )
    .argument('<folder>', 'where to; it is made if it is not there')
    .option('--host <address>', 'address to listen on (default 127.0.0.1)', '127.0.0.1')
    .option('--port <number>', `TCP port (default ${DEFAULT_PORT})`, String(DEFAULT_PORT))
    .option(
      '--name <name>',
      'a further host, name or address, that clients reach it by; may be given again',
      append,
      [],
    )
    .option('--client <name>', 'make a certificate for a client; then all need one; may be given again', append, [])
    .addHelpText(
      'after',
      `
Examples:
  regctl init /etc/reg --host 10.0.0.5 --name registry.example.org
  regctl init /etc/reg --host 0.0.0.0 --name registry.internal --name 10.0.0.5 --name 2001:db8::5
  regctl init ./reg --client payments --client ci
  regctl serve --config /etc/reg/reg.json`,
    )
    .action(async (folder: string, flags: Omit<InitArguments, 'folder'>) => {
      const [{ init }, { systemClock }] = await Promise.all([import('../commands/init.js'), import('@reg/protocol')]);
      await init({ ...flags, folder }, { output, now: systemClock.wall() });
    });
}

interface LoginFlags {
  readonly name?: string;
  readonly tokenStdin?: boolean;
}

export function addLogin(program: Command, { host, makeContext }: Surroundings): void {
  program
    .command('login')
    .summary('get in to a registry, and keep how')
    .description(
      'Tries a token or a certificate at a registry, and keeps it in ~/.config/reg/credentials.json (or where ' +
        'REG_CREDENTIALS says) for the commands that follow. Several registries are contexts; the last login is the current one.',
    )
    .argument('<address>', 'such as regs://registry.example.org')
    .option('--name <context>', 'what to call it; its address unless given')
    .option('--token-stdin', 'read the token from standard input, where nobody else sees it')
    .addHelpText(
      'after',
      `
Examples:
  regctl login regs://registry.example.org --tls-ca ca.pem --token-stdin < token.txt
  REG_TOKEN=... regctl login regs://registry.example.org --name prod
  regctl login regs://10.0.0.5 --tls-ca ca.pem --tls-cert client-ci.pem --tls-key client-ci-key.pem`,
    )
    .action(async (address: string, { name, tokenStdin }: LoginFlags) => {
      const { login } = await import('../commands/login.js');
      const token = tokenStdin ? (await host.readInput()).trim() : undefined;
      const context = await makeContext(undefined, { addr: address, ...(token !== undefined && { token }) });
      await login(name, { ...context, env: host.env });
    });
}

export function addLogout(program: Command, { host, output }: Surroundings): void {
  program
    .command('logout')
    .summary('forget how to get in to a registry')
    .description('Forgets a context. The token stays good until it is revoked.')
    .argument('[context]', 'which; the current one unless given')
    .action(async (name: string | undefined) => {
      const { logout } = await import('../commands/login.js');
      logout(name, { env: host.env, output });
    });
}

export function addContext(program: Command, { host, output }: Surroundings): void {
  const command = program
    .command('context')
    .summary('show the registries that regctl knows, or choose one')
    .description('Shows the contexts that regctl login has made, the current one marked with *, or chooses another.')
    .addArgument(new Argument('[use]', 'to choose one').choices(['use']))
    .argument('[context]', 'which')
    .addHelpText(
      'after',
      `
Examples:
  regctl context
  regctl context use prod`,
    )
    .action(async (use: string | undefined, name: string | undefined) => {
      const { listContexts, useContext } = await import('../commands/login.js');
      if (use === undefined) listContexts({ env: host.env, output });
      else if (name === undefined) command.error('error: regctl context use <context>');
      else useContext(name, { env: host.env, output });
    });
}
