/** One ZooKeeper, in its own binary protocol, of which this is the little that the benchmark needs. */

import { existsSync, writeFileSync } from 'node:fs';
import { sizeOf } from '../generators.js';
import { ask, freePort, Server, temporaryFolder, versionOf } from '../processes.js';

const CLASSES = ['/usr/share/java/zookeeper.jar', '/usr/share/java/slf4j-simple.jar'];
const PACKAGE = ['--show', '--showformat', '$' + '{Version}', 'zookeeper'];

function isInstalled() {
  return CLASSES.every((file) => existsSync(file)) && versionOf('java', ['-version'], /$/) !== undefined;
}

export const zookeeper = {
  name: 'ZooKeeper',
  version: () => (isInstalled() ? (versionOf('dpkg-query', PACKAGE, /^([\d.]+)/) ?? 'unknown') : undefined),

  async start({ folder = temporaryFolder() } = {}) {
    const port = await freePort();
    const settings = {
      dataDir: `${folder}/zookeeper`,
      clientPort: port,
      clientPortAddress: '127.0.0.1',
      maxClientCnxns: 0,
      'admin.enableServer': false,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(`${folder}/zoo.cfg`, lines.join(''));
    const logging = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error';
    const program = 'org.apache.zookeeper.server.quorum.QuorumPeerMain';
    const args = ['-Xmx1g', logging, '-cp', CLASSES.join(':'), program, `${folder}/zoo.cfg`];
    return Server.start('java', args, { port, folder, isReady: () => ask(port, hello, SESSION) });
  },
};

// Numbers are big-endian; strings and buffers begin with their length, and so does every request.
const int = (value) => String.fromCharCode(...[24, 16, 8, 0].map((shift) => (value >> shift) & 255));
const long = (value) => int(0) + int(value);
const bytes = (...parts) => int(sizeOf(parts.join(''))) + parts.join('');

/** The number of every request: a reply with it can be told from an event. */
const XID = int(0x7265_6731);
const CREATE = int(1);
const SET_DATA = int(5);
const ADD_WATCH = int(106);
/** Access for everybody to everything. */
const ANYONE = int(1) + int(31) + bytes('world') + bytes('anyone');
const PERSISTENT = int(0);
const EPHEMERAL = int(1);
const NO_ERROR = int(0);

/** A new session of 40 s, which may not be read-only. */
const hello = bytes(int(0), long(0), int(40_000), long(0), bytes('\0'.repeat(16)), '\0');
/** How the reply to `hello` begins: its length. */
const SESSION = new RegExp(`^${int(37)}`);

/** A node that is there as long as the session: what stands for a registration here. */
export const create = {
  framing: 'length',
  hello,
  request: bytes(XID, CREATE, bytes('/service-{n}'), bytes('10.0.0.1:{n}'), ANYONE, EPHEMERAL),
  reply: `*${XID}*${NO_ERROR}${bytes('/service-{n}')}`,
};

const payments = bytes('/payments');
const ANY_VERSION = int(-1);
const NODE_DATA_CHANGED = int(3);
const CONNECTED = int(3);
/** Of a watch: it stays, which is cheaper than one that must be set again after each event. */
const STAYS = int(0);

/** The node that is watched. */
export const createWatched = {
  framing: 'length',
  hello,
  request: bytes(XID, CREATE, payments, bytes(''), ANYONE, PERSISTENT),
  reply: `*${XID}*${NO_ERROR}${payments}`,
};
export const watch = {
  framing: 'length',
  hello,
  subscribe: bytes(XID, ADD_WATCH, payments, STAYS),
  synced: XID,
  request: bytes(XID, SET_DATA, payments, bytes('10.0.0.1:{n}'), ANY_VERSION),
  reply: `*${XID}*${NO_ERROR}*`,
  event: NODE_DATA_CHANGED + CONNECTED + payments,
};
