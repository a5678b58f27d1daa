import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { formatEndpoint } from '@reg/protocol';
import { type AccessEntry, formatEntries, makeToken } from '@reg/server';
import { COMMON_NAME_LENGTH, issueClient, issueServer, makeAuthority } from '../certificates.js';
import { CommandError } from '../errors.js';
import { isHost, readHost } from '../names.js';
import type { Output } from '../output.js';

export interface InitArguments {
  readonly folder: string;
  /** Where the registry is to listen. */
  readonly host: string;
  readonly port: string;
  /** Further names and addresses under which clients reach it. */
  readonly name: readonly string[];
  /** Clients that get certificates, and may then register, query and watch; then everybody needs one. */
  readonly client: readonly string[];
}

export interface InitContext {
  readonly output: Output;
  /** Now, in ms since the Unix epoch. */
  readonly now: number;
}

/** A file that is to be written: its name in the folder, what it holds, and whether it is for its owner only. */
interface File {
  readonly name: string;
  readonly text: string;
  readonly secret: boolean;
}

/** Addresses that stand for all of a machine's own; no certificate is for them. */
const WILDCARDS: readonly string[] = ['0.0.0.0', '::'];
const CLIENT_NAME = /^[\w.-]{1,64}$/;

/** Makes a folder that `regctl serve --config` runs a registry from, with TLS, an authority of its own, and one admin. */
export async function init({ folder, host, port, name, client }: InitArguments, context: InitContext): Promise<void> {
  const { output, now } = context;
  const bad = client.find((each) => !CLIENT_NAME.test(each));
  if (bad !== undefined) throw new CommandError('usage', `--client ${bad}: letters, digits, "_", "-" and "." only`);
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new CommandError('usage', `--port ${port} is no port`);
  readHost(host, '--host');
  for (const each of name) readHost(each, '--name');
  const path = (file: string): string => join(resolve(folder), file);
  const config = {
    host,
    port: Number(port),
    dataDir: path('data'),
    tlsCert: path('server.pem'),
    tlsKey: path('server-key.pem'),
    ...(client.length > 0 && { tlsCa: path('ca.pem') }),
    tokens: path('tokens.json'),
  };
  const { token, entry } = makeToken('admin', [{ actions: ['admin'], names: ['*'] }], now);
  const entries = [entry, ...client.map(entryOf)];
  const hosts = new Set([...name, host, 'localhost', '127.0.0.1', '::1', hostname()].filter(isReachable));
  const files = [
    ...(await makeCertificates([...hosts], client, now)),
    asFile('tokens.json', formatEntries(entries), true),
    asFile('reg.json', json(config), true),
  ];
  writeAll(resolve(folder), files);
  const address = formatEndpoint({ host: [...hosts][0] ?? 'localhost', port: config.port, secure: true });
  const written = files.map((file) => path(file.name));
  const document = { folder: resolve(folder), address, token, files: written };
  output.result(document, told(path, address, token, client).join('\n'));
}

/** What is known of who has a client's certificate. */
function entryOf(client: string, index: number): AccessEntry {
  const rules = [{ actions: ['register', 'query', 'watch'] as const, names: ['*'] }];
  return { id: `client${index + 1}`, name: client, certificate: client, rules };
}

async function makeCertificates(hosts: readonly string[], clients: readonly string[], now: number): Promise<File[]> {
  const authority = await makeAuthority(`registry ${hosts[0] ?? ''}`.trim().slice(0, COMMON_NAME_LENGTH), now);
  const server = await issueServer(authority, hosts, now);
  const files = [
    asFile('ca.pem', authority.certificate, false),
    asFile('ca-key.pem', authority.key, true),
    asFile('server.pem', server.certificate, false),
    asFile('server-key.pem', server.key, true),
  ];
  for (const name of clients) {
    const { certificate, key } = await issueClient(authority, name, now);
    files.push(asFile(`client-${name}.pem`, certificate, false), asFile(`client-${name}-key.pem`, key, true));
  }
  return files;
}

/** All or nothing, as far as that goes: nothing is replaced, and the configuration comes last. */
function writeAll(folder: string, files: readonly File[]): void {
  const there = files.find(({ name }) => existsSync(join(folder, name)));
  if (there) throw new CommandError('usage', `${join(folder, there.name)} is there already: nothing was changed`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const { name, text, secret } of files) {
      writeFileSync(join(folder, name), text, { flag: 'wx', mode: secret ? 0o600 : 0o644 });
    }
  } catch (cause) {
    throw new CommandError('unwritable', `cannot write to ${folder}: ${String(cause)}`, { cause });
  }
}

function told(path: (file: string) => string, address: string, token: string, clients: readonly string[]): string[] {
  const [client] = clients;
  const identity =
    client === undefined
      ? ''
      : ` --tls-cert ${path(`client-${client}.pem`)} --tls-key ${path(`client-${client}-key.pem`)}`;
  return [
    `wrote ${path('reg.json')}, an authority of its own (ca.pem), certificates, and who may do what (tokens.json)`,
    '',
    'The token of admin, shown this once:',
    `  ${token}`,
    '',
    'Type next:',
    `  regctl serve --config ${path('reg.json')}`,
    `  regctl login ${address} --token-stdin --tls-ca ${path('ca.pem')}${identity}     # paste the token, then Ctrl-D`,
    `  regctl token create payments --allow register,query,watch:payments --tokens ${path('tokens.json')}`,
    '',
    `Clients need ca.pem. Keep ca-key.pem away from the machine that serves: who has it can pose as the registry.`,
  ];
}

/** Whether clients can dial it. What a machine calls itself may be no name at all. */
function isReachable(host: string): boolean {
  return isHost(host) && !WILDCARDS.includes(host);
}

function asFile(name: string, text: string, secret: boolean): File {
  return { name, text: text.endsWith('\n') ? text : `${text}\n`, secret };
}

function json(config: object): string {
  return JSON.stringify(config, undefined, 2);
}
