import { type AuthReply, type AuthRequest, encodeReply } from '@reg/protocol';
import type { Caller } from '../caller.js';
import type { Core } from '../core.js';
import type { Reply } from '../reply.js';

/** What everybody is called where nobody has to say who they are. */
const ANYBODY = 'anybody';

/** Says who is on the connection from here on. Where that is not asked for, any token will do. */
export function auth({ id, token }: AuthRequest, { access }: Core, caller: Caller): Reply {
  const { name, expires } = access?.authenticate(token, caller) ?? { name: ANYBODY, expires: undefined };
  const reply: AuthReply = { caller: name, ...(expires === undefined ? {} : { expires }) };
  return { id, shows: 0, line: encodeReply(id, JSON.stringify(reply).slice(1, -1)) };
}
