import { resolve } from 'node:path';
import { type Address, formatAddress } from '../address.js';
import { type Context, withClient } from '../context.js';
import { credentialsPath, type Login, readCredentials, writeCredentials } from '../credentials.js';
import { CommandError } from '../errors.js';
import type { Host } from '../host.js';
import type { Output } from '../output.js';

export interface LoginContext extends Context {
  readonly env: Host['env'];
  /** How the context gets in. */
  readonly login: Login;
}

export interface StoreContext {
  readonly env: Host['env'];
  readonly output: Output;
}

/** Tries whether the registry lets this caller in, and keeps what it took to get there. */
export async function login(name: string | undefined, context: LoginContext): Promise<void> {
  await withClient(context, (client) => client.ping());
  const { env, output } = context;
  const path = credentialsPath(env);
  const { contexts } = readCredentials(path);
  const current = name ?? nameOf(context.address);
  writeCredentials(path, { current, contexts: new Map(contexts).set(current, absolute(context.login)) });
  const { address } = context.login;
  output.result({ context: current, address }, `logged in to ${address}, which is the context ${current}`);
}

/** Forgets a context, the current one unless named. The token itself stays good: that is for the registry to revoke. */
export function logout(name: string | undefined, { env, output }: StoreContext): void {
  const path = credentialsPath(env);
  const { current, contexts } = readCredentials(path);
  const gone = name ?? current;
  if (gone === undefined || !contexts.has(gone)) throw noContext(gone);
  const left = new Map(contexts);
  left.delete(gone);
  writeCredentials(path, { current: gone === current ? undefined : current, contexts: left });
  output.result({ context: gone }, `forgot the context ${gone}`);
}

/** Shows the contexts, without their tokens. */
export function listContexts({ env, output }: StoreContext): void {
  const { current, contexts } = readCredentials(credentialsPath(env));
  const rows = [...contexts].map(([name, { address, token, cert }]) => {
    const means = [token !== undefined && 'token', cert !== undefined && 'certificate'].filter(
      (mean) => mean !== false,
    );
    return { name, current: name === current, address, means };
  });
  const lines = rows.map((row) => `${row.current ? '*' : ' '} ${row.name}  ${row.address}  ${row.means.join(', ')}`);
  output.result(
    { contexts: rows },
    lines.map((line) => line.trimEnd()).join('\n') || 'no contexts: regctl login makes one',
  );
}

/** Has a context be the one that is meant where nobody says an address. */
export function useContext(name: string, { env, output }: StoreContext): void {
  const path = credentialsPath(env);
  const { contexts } = readCredentials(path);
  const address = contexts.get(name)?.address;
  if (address === undefined) throw noContext(name);
  writeCredentials(path, { current: name, contexts });
  output.result({ context: name, address }, `the context is ${name}, at ${address}`);
}

/** Without the scheme, which is long to type. */
function nameOf(address: Address): string {
  return formatAddress(address).replaceAll('regs://', '');
}

/** With paths that mean the same wherever the next command is run. */
function absolute({ address, token, ca, cert, key }: Login): Login {
  const path = (file: string | undefined) => (file === undefined ? undefined : resolve(file));
  return { address, token, ca: path(ca), cert: path(cert), key: path(key) };
}

function noContext(name: string | undefined): CommandError {
  const told = name === undefined ? 'there is no current context' : `there is no context ${name}`;
  return new CommandError('not_found', `${told}: regctl context shows what there is`);
}
