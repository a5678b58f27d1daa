import type { Request } from '@reg/protocol';
import { destroy } from './commands/destroy.js';
import { hello } from './commands/hello.js';
import { ping } from './commands/ping.js';
import { query } from './commands/query.js';
import { register } from './commands/register.js';
import type { Core } from './core.js';
import type { Eventually } from './log/log.js';
import type { Reply } from './reply.js';

type Handler<T extends Request['type']> = (request: Extract<Request, { type: T }>, core: Core) => Eventually<Reply>;

/** Every command, one row each. */
const COMMANDS: { readonly [T in Request['type']]: Handler<T> } = {
  register,
  query,
  destruction: destroy,
  ping,
  hello,
};

/**
 * The one gate: whatever door a request came by, it is carried out here. What holds for all requests, and has
 * to be decided before any of them, belongs here too.
 *
 * @throws {RegistryError} where the request cannot be carried out.
 */
export function dispatch(request: Request, core: Core): Eventually<Reply> {
  const handler = COMMANDS[request.type] as Handler<Request['type']>;
  return handler(request, core);
}
