/** What `doctor` looks at, one function for each, and what is to be thought of what it saw. */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Clock, codeOf, type Endpoint } from '@reg/protocol';
import { readEntries } from '@reg/server';
import { age, DAY } from './duration.js';

/** `bad` keeps a registry from working, `doubtful` will or may. */
export interface Finding {
  /** What was looked at. */
  readonly subject: string;
  readonly verdict: 'good' | 'doubtful' | 'bad';
  readonly says: string;
  /** How to mend it; absent where it is good. */
  readonly mend?: string;
}

export function good(subject: string, says: string): Finding {
  return { subject, verdict: 'good', says };
}

function doubtful(subject: string, says: string, mend: string): Finding {
  return { subject, verdict: 'doubtful', says, mend };
}

export function bad(subject: string, says: string, mend: string): Finding {
  return { subject, verdict: 'bad', says, mend };
}

const MIB = 1024 * 1024;
/** A segment, the snapshot after it, and what is written meanwhile: with less the daemon is about to refuse changes. */
const LEAST_FREE = 64 * MIB;
const SCANT_FREE = 1024 * MIB;
/** A commit waits for one sync. Flash takes less than a ms, a disk that turns some ten. */
const SLOW_SYNC_MS = 25;
const SYNCS = 5;
/** Each connection takes one, the data folder some ten. */
const LEAST_DESCRIPTORS = 256;
const SCANT_DESCRIPTORS = 4096;
/** For how long the two clocks are compared, and by how much the one may leave the other. */
const CLOCK_MS = 250;
const CLOCK_SKEW_MS = 50;
/** Before this project was begun. */
const LONG_AGO = Date.UTC(2024, 0, 1);
/** A certificate that ends sooner should have been renewed. */
const RENEWAL_MS = 14 * DAY;

/** Who may use the data folder. It is made at the first start. */
export function lookAtFolder(folder: string, uid: number | undefined): Finding {
  const subject = 'data folder';
  let found: { readonly mode: number; readonly uid: number; isDirectory(): boolean };
  try {
    found = statSync(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return good(subject, `${folder} is not there yet: the first start makes it`);
    return bad(subject, `${folder}: ${String(error)}`, 'let the user of the registry into the folders above it');
  }
  if (!found.isDirectory()) return bad(subject, `${folder} is a file`, 'name another with --data-dir');
  if (uid !== undefined && uid !== 0 && found.uid !== uid) {
    return bad(subject, `${folder} belongs to user ${found.uid}, and this is user ${uid}`, `chown -R ${uid} ${folder}`);
  }
  if ((found.mode & 0o077) !== 0) {
    return doubtful(subject, `${folder} is open to others, and values hold credentials`, `chmod 700 ${folder}`);
  }
  return good(subject, `${folder} is for its owner only`);
}

/** Whether the folder takes what is written, and how long a sync of that lasts. */
export function lookAtDisk(folder: string, clock: Clock): Finding {
  const subject = 'disk';
  // As a draft of no segment: a start sweeps it, should this be killed.
  const path = join(folder, '00000000.log.tmp');
  const times: number[] = [];
  try {
    rmSync(path, { force: true });
    // A new one: where others may write too, a link of theirs would lead elsewhere.
    const file = openSync(path, 'wx', 0o600);
    try {
      for (let round = 0; round < SYNCS; round += 1) {
        writeSync(file, Buffer.alloc(4096, round + 1));
        const start = clock.monotonic();
        fdatasyncSync(file);
        times.push(clock.monotonic() - start);
      }
    } finally {
      closeSync(file);
      rmSync(path, { force: true });
    }
  } catch (error) {
    const mend = codeOf(error) === 'ENOSPC' ? 'make room on that disk' : 'mount it so that this user may write there';
    return bad(subject, `${folder} takes no writes: ${String(error)}`, mend);
  }
  return judgeSync(times.sort((a, b) => a - b)[SYNCS >> 1] ?? 0);
}

/** @param ms what a sync takes. */
export function judgeSync(ms: number): Finding {
  const says = `a sync takes ${ms.toFixed(1)} ms`;
  if (ms < SLOW_SYNC_MS) return good('disk', says);
  return doubtful(
    'disk',
    `${says}: so long at least every change waits for its reply`,
    'use a faster disk, or --durability everysec where losing a second of changes in a power cut is bearable',
  );
}

export function lookAtSpace(folder: string): Finding {
  const { bavail, bsize, ffree, files } = statfsSync(folder);
  return judgeSpace(bavail * bsize, files === 0 ? Number.POSITIVE_INFINITY : ffree);
}

/** @param free bytes, and @param nodes how many files more the disk takes. */
export function judgeSpace(free: number, nodes: number): Finding {
  const subject = 'disk space';
  const says = `${Math.round(free / MIB)} MiB free`;
  const mend = 'make room on that disk, or name a folder on another with --data-dir';
  if (nodes < 16) return bad(subject, `the disk takes ${nodes} files more`, mend);
  if (free < LEAST_FREE) return bad(subject, `${says}: changes will be refused`, mend);
  return free < SCANT_FREE ? doubtful(subject, says, mend) : good(subject, says);
}

/** Compares what the two clocks say of the same moment. Time zones do not matter: times are counted in UTC. */
export async function lookAtClock(clock: Clock): Promise<Finding> {
  const [wall, now] = [clock.wall(), clock.monotonic()];
  await new Promise<void>((resolve) => clock.after(CLOCK_MS, resolve).ref());
  return judgeClock(clock.wall(), clock.wall() - wall - (clock.monotonic() - now));
}

/** @param wall what the clock says, and @param jumped by how much it has left the monotonic one, both in ms. */
export function judgeClock(wall: number, jumped: number): Finding {
  const mend = 'have it kept by NTP (chrony, systemd-timesyncd)';
  const says = `the clock says ${new Date(wall).toISOString()}`;
  if (wall < LONG_AGO) return bad('clock', says, mend);
  if (Math.abs(jumped) <= CLOCK_SKEW_MS) return good('clock', says);
  const what = `the clock was set by ${Math.round(jumped)} ms while it was looked at`;
  return doubtful('clock', `${what}: what is left after a restart goes by it, and nothing else`, mend);
}

/** Node takes all that the hard limit lets it have. Where the system does not tell, nothing is found. */
export function lookAtDescriptors(): Finding | undefined {
  try {
    const limit = /^Max open files +\S+ +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? undefined : judgeDescriptors(limit === 'unlimited' ? Infinity : Number(limit));
  } catch {
    return undefined;
  }
}

export function judgeDescriptors(limit: number): Finding {
  const subject = 'descriptors';
  const says = `at most ${limit} open files, one for each connection`;
  const mend = 'raise LimitNOFILE of the systemd unit, or ulimit -Hn';
  if (limit < LEAST_DESCRIPTORS) return bad(subject, says, mend);
  return limit < SCANT_DESCRIPTORS ? doubtful(subject, says, mend) : good(subject, says);
}

/** Whether a daemon could listen. @param isRegistry whether one answers there already, as is right. */
export async function lookAtPort({ host, port }: Endpoint, isRegistry: boolean): Promise<Finding> {
  const where = `${host}, port ${port}`;
  if (isRegistry) return good('port', `a registry answers at ${where}`);
  const server = createServer();
  const error = await new Promise<Error | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
  if (error === undefined) return good('port', `${where} is free`);
  const code = codeOf(error);
  if (code === 'EADDRINUSE') {
    return bad('port', `something else listens at ${where}`, 'stop it, or choose another with --port');
  }
  const mend = code === 'EACCES' ? 'choose a --port above 1023' : 'give --host an address of this machine';
  return bad('port', `nobody may listen at ${where}: ${error.message}`, mend);
}

/** @param path a file of certificates in PEM; the first is looked at. */
export function lookAtCertificate(subject: string, path: string, wall: number): Finding {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(readFileSync(path));
  } catch (error) {
    return bad(subject, `cannot read ${path}: ${String(error)}`, 'name a certificate in PEM that this user may read');
  }
  const mend = 'renew it, and send SIGHUP to the daemon';
  const [from, until] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (wall < from) return bad(subject, `${path} is not valid before ${certificate.validFrom}`, 'look at the clock');
  if (wall >= until) return bad(subject, `${path} ended ${age(wall - until)} ago`, mend);
  const says = `${path} is valid for another ${age(until - wall)}`;
  return until - wall < RENEWAL_MS ? doubtful(subject, says, mend) : good(subject, says);
}

/** Whether it is the key of the certificate, and nobody else's. */
export function lookAtKey(path: string, certificate: string): Finding {
  const subject = 'private key';
  try {
    if (!new X509Certificate(readFileSync(certificate)).checkPrivateKey(createPrivateKey(readFileSync(path)))) {
      return bad(subject, `${path} is not that of ${certificate}`, 'name the key that the certificate was made for');
    }
    if ((statSync(path).mode & 0o077) === 0) return good(subject, `${path} is for its owner only`);
    return doubtful(subject, `${path} is open to others, who can pose as the registry`, `chmod 600 ${path}`);
  } catch (error) {
    return bad(subject, `cannot use ${path}: ${String(error)}`, 'name a key in PEM that this user may read');
  }
}

/** Whether the file of tokens can be used, and lets anybody rule. */
export function lookAtTokens(path: string, wall: number): Finding {
  const subject = 'tokens';
  try {
    const admins = readEntries(path).filter((entry) => entry.rules.some(({ actions }) => actions.includes('admin')));
    const inForce = admins.some(
      (entry) => 'certificate' in entry || (entry.revoked === undefined && (entry.expires ?? wall + 1) > wall),
    );
    if (inForce) return good(subject, `${path} says who may do what`);
    return doubtful(subject, `${path} has no admin`, `regctl token create admin --admin --tokens ${path}`);
  } catch (error) {
    return bad(
      subject,
      String(error instanceof Error ? error.message : error),
      'regctl init and token create write it',
    );
  }
}
