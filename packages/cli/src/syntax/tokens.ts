/** The commands that are about who may use a registry. */

import type { Command } from 'commander';
import type { CreateArguments } from '../commands/token.js';
import { append, type Surroundings } from './syntax.js';

/** Of every command that works on it. */
const FILE_FLAG = '--tokens <file>';
const FILE_HELP = 'the file of tokens (env REG_TOKENS, default tokens.json in the configuration folder)';

export function addToken(program: Command, { host, output }: Surroundings): void {
  const context = { env: host.env, output };
  const token = program
    .command('token')
    .summary('create, list and revoke tokens')
    .description(
      'Says who may use a registry, and for what, in the file of tokens that regctl serve --tokens reads. A registry ' +
        'that runs follows it within a second. The file holds no token, only what recognises one.',
    );
  token
    .command('create')
    .summary('create a token, and show it once')
    .description('Creates a token, and shows it. It is kept nowhere: whoever loses it needs another.')
    .argument('<name>', 'what its holder is called, in replies and logs')
    .option('--allow <actions:name>', 'what it is good for; may be given again', append)
    .option('--admin', 'it is good for everything')
    .option('--expires <time>', 'how long it is good, such as 12h or 90d; for ever unless given')
    .option(FILE_FLAG, FILE_HELP)
    .addHelpText(
      'after',
      `
Actions are register (and destroy), query and watch, with commas between them. A name that ends in * means every name
that begins so.

Examples:
  regctl token create ops --admin
  regctl token create payments --allow register:payments --allow 'query,watch:*' --expires 90d
  regctl token create team-a --allow 'register,query,watch:team-a-*'`,
    )
    .action(async (name: string, flags: Omit<CreateArguments, 'name'>) => {
      const { createToken } = await import('../commands/token.js');
      createToken({ ...flags, name }, context);
    });
  token
    .command('list')
    .summary('show who has a token, and for what')
    .description(
      'Shows the tokens that were created, and the client certificates that are known; not the tokens themselves.',
    )
    .option(FILE_FLAG, FILE_HELP)
    .action(async (flags: { tokens?: string }) => {
      const { listTokens } = await import('../commands/token.js');
      listTokens(flags, context);
    });
  token
    .command('revoke')
    .summary('end a token')
    .description(
      'Ends a token. Who uses it may do nothing more within a second; what they registered stays until its time is over.',
    )
    .argument('<id>', 'its id, or the name of its holder where that has one token only')
    .option(FILE_FLAG, FILE_HELP)
    .action(async (id: string, flags: { tokens?: string }) => {
      const { revokeToken } = await import('../commands/token.js');
      revokeToken({ ...flags, id }, context);
    });
}
