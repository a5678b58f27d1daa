import { type Endpoint, formatEndpoint, isLoopback } from '@reg/protocol';
import { type Config, type Ready, resolveConfig, runDaemon } from '@reg/server';
import { DEFAULT_ENDPOINT } from '../address.js';
import type { Host } from '../host.js';
import type { Output } from '../output.js';
import { countOf } from '../records.js';

export interface ServeArguments {
  /** What the command line says of the daemon's options, by the names of `Config`. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** A file of options. */
  readonly config: string | undefined;
  readonly printConfig: boolean;
}

export interface ServeContext {
  readonly env: Host['env'];
  readonly output: Output;
}

/** Runs a daemon until it is told to stop, or only says how it would be set up. */
export async function serve(
  { flags, config: file, printConfig }: ServeArguments,
  { env, output }: ServeContext,
  run: typeof runDaemon = runDaemon,
): Promise<void> {
  const config = resolveConfig({ flags, env, file });
  if (printConfig) {
    output.result(config, JSON.stringify(config, undefined, 2));
    return;
  }
  if (!isLoopback(config.host)) warnOfExposure(config, output);
  await run(config, (ready) => reportReady(config, ready, { env, output }));
}

function warnOfExposure({ host, insecure, tokens, tlsCert, tlsCa }: Config, output: Output): void {
  const reach = `other machines can reach ${host}`;
  if (tokens !== undefined && tlsCert === undefined) {
    const mend = 'give it a certificate, with --tls-cert and --tls-key';
    output.warn('unencrypted', `${reach}, and tokens are read by whoever can listen on the way: ${mend}`);
  } else if (insecure && tokens === undefined && tlsCa === undefined) {
    output.warn(
      'exposed',
      `${reach}, and nobody has to authenticate: whoever can connect reads and changes everything that is registered`,
    );
  }
}

function reportReady(config: Config, ready: Ready, { env, output }: ServeContext): void {
  const { storage, dataDir } = config;
  const { endpoint, restored } = ready;
  const document = { ...endpoint, storage, ...(storage === 'disk' && { dataDir }), restored };
  output.result(document, readyText(config, ready, env['npm_lifecycle_event'] === 'start').join('\n'));
}

/** @param viaNpm where regctl is not on the path, and what is typed next has to begin with npx. */
function readyText({ storage, dataDir, tokens }: Config, { endpoint, restored }: Ready, viaNpm: boolean): string[] {
  const kept = storage === 'memory' ? 'data in memory only: it is gone when this stops' : `data in ${dataDir}`;
  const regctl = viaNpm ? 'npx regctl' : 'regctl';
  const address = addressOf(endpoint);
  // Who has logged in is at that registry from then on.
  const addr = tokens !== undefined || address === formatEndpoint(DEFAULT_ENDPOINT) ? '' : ` --addr ${address}`;
  const authority = endpoint.secure ? ' --tls-ca ca.pem' : '';
  const login = `  ${regctl} login ${address} --token-stdin${authority}     # paste a token, then Ctrl-D`;
  return [
    `listening on ${formatEndpoint(endpoint)}`,
    kept,
    `${countOf(restored, 'registration')} restored`,
    '',
    'Type next, in another terminal:',
    ...(tokens === undefined ? [] : [login]),
    `  ${regctl} register redis 123456@127.0.0.1:6379 --ttl 30${addr}`,
    `  ${regctl} query redis${addr}`,
  ];
}

/** Addresses that stand for all of a machine's own; nobody connects to them. */
const WILDCARDS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** Where another regctl on this machine finds the daemon. */
function addressOf(endpoint: Endpoint): string {
  const { host } = endpoint;
  return formatEndpoint({ ...endpoint, host: WILDCARDS[host] ?? host });
}
