import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { connect } from '@reg/client';
import { type Clock, type Endpoint, RegistryError, systemClock } from '@reg/protocol';
import { type Config, createServer, resolveConfig } from '@reg/server';
import {
  bad,
  type Finding,
  good,
  lookAtCertificate,
  lookAtClock,
  lookAtDescriptors,
  lookAtDisk,
  lookAtFolder,
  lookAtKey,
  lookAtPort,
  lookAtSpace,
  lookAtTokens,
} from '../findings.js';
import type { Line } from '../table.js';
import type { ServeContext } from './serve.js';

export interface DoctorArguments {
  /** What the command line says of the daemon's options, by the names of `Config`. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly config: string | undefined;
}

/** How long a registry may take to say that it is one, in ms. */
const PATIENCE_MS = 2000;

/**
 * Looks at what a daemon needs of its machine, where one runs or before it does. It changes nothing.
 *
 * @returns whether nothing keeps a daemon from working.
 */
export async function doctor(
  { flags, config: file }: DoctorArguments,
  { env, output }: ServeContext,
  clock: Clock = systemClock,
): Promise<boolean> {
  const findings = await examine(() => readConfig(flags, env, file), clock);
  output.report({ findings }, findings.flatMap(linesOf));
  return findings.every(({ verdict }) => verdict !== 'bad');
}

function readConfig(flags: DoctorArguments['flags'], env: ServeContext['env'], file: string | undefined): Config {
  const config = resolveConfig({ flags, env, file });
  // It opens nothing, but finds what does not fit together.
  createServer(config);
  return config;
}

async function examine(read: () => Config, clock: Clock): Promise<Finding[]> {
  let config: Config;
  try {
    config = read();
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return [bad('configuration', error.message, 'put it right; regctl serve --help tells every option')];
  }
  const { storage, dataDir, host, port, tlsCert, tlsKey, tlsCa, tokens } = config;
  const findings: Finding[] = [good('configuration', 'every option is one that the daemon takes')];
  if (storage === 'disk') findings.push(...lookAtData(dataDir, clock));
  findings.push(await lookAtClock(clock));
  const descriptors = lookAtDescriptors();
  if (descriptors !== undefined) findings.push(descriptors);
  const wall = clock.wall();
  if (tlsCert !== undefined) findings.push(lookAtCertificate('certificate', tlsCert, wall));
  if (tlsCert !== undefined && tlsKey !== undefined) findings.push(lookAtKey(tlsKey, tlsCert));
  if (tlsCa !== undefined) findings.push(lookAtCertificate('authority', tlsCa, wall));
  if (tokens !== undefined) findings.push(lookAtTokens(tokens, wall));
  const endpoint: Endpoint = { host, port };
  const isThere = tlsCert === undefined ? isRegistry : (at: Endpoint) => hasCertificate(at, tlsCert);
  findings.push(await lookAtPort(endpoint, port !== 0 && (await isThere(endpoint))));
  return findings;
}

/** Of a folder that is not there yet, the nearest one above that is. */
function lookAtData(dataDir: string, clock: Clock): Finding[] {
  const folder = lookAtFolder(dataDir, process.getuid?.());
  if (folder.verdict === 'bad') return [folder];
  let nearest = dataDir;
  while (!existsSync(nearest)) nearest = dirname(nearest);
  return [folder, lookAtDisk(nearest, clock), lookAtSpace(nearest)];
}

/** Whether a registry answers. One that wants to know who asks has answered too. */
async function isRegistry(endpoint: Endpoint): Promise<boolean> {
  const client = connect([endpoint], { reconnect: false, connectTimeout: PATIENCE_MS, requestTimeout: PATIENCE_MS });
  try {
    await client.hello();
    await client.close();
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether somebody answers who has the daemon's certificate and its key. It is not asked who signed that, and nothing is
 * sent: the registry may want a certificate of its clients first.
 */
function hasCertificate({ host, port }: Endpoint, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host, port, rejectUnauthorized: false, timeout: PATIENCE_MS });
    const end = (isSame: boolean) => {
      socket.destroy();
      resolve(isSame);
    };
    socket.on('secureConnect', () => end(socket.getPeerX509Certificate()?.fingerprint256 === fingerprintOf(path)));
    socket.on('timeout', () => end(false));
    socket.on('error', () => end(false));
  });
}

function fingerprintOf(path: string): string {
  try {
    return new X509Certificate(readFileSync(path)).fingerprint256;
  } catch {
    // That it cannot be read is a finding of its own. Another's has some fingerprint.
    return '';
  }
}

function linesOf({ subject, verdict, says, mend }: Finding): Line[] {
  const mark = verdict === 'good' ? ' ' : '!';
  const line: Line = { text: `${mark} ${subject}: ${says}`, tone: verdict };
  return mend === undefined ? [line] : [line, { text: `    to mend it: ${mend}` }];
}
