import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeConnection, FakeRegistry, type Script } from './fake-daemon.js';

/*
 * Real processes and a real port: whether a process ends by itself cannot be seen from inside. They run what
 * was built. The one wait is the daemon's, before it answers a query.
 */

const built = fileURLToPath(new URL('../dist/index.js', import.meta.url));
const ANSWER_AFTER_MS = 200;

let server: Server;
let registry: FakeRegistry;
let address: string;
let folder: string;
/** Is there when the daemon has answered a query. */
let answered: string;

beforeEach(async () => {
  registry = new FakeRegistry();
  folder = mkdtempSync(join(tmpdir(), 'reg-client-'));
  answered = join(folder, 'answered');
  server = createServer((socket) => {
    const script: Script = (request, over) => {
      if (request['type'] !== 'query') return registry.script(request, over);
      setTimeout(() => {
        connection.reply({ revision: 0, services: [] });
        writeFileSync(answered, '');
      }, ANSWER_AFTER_MS);
      return undefined;
    };
    const connection = new FakeConnection(socket, socket, script);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `reg://127.0.0.1:${port(server.address())}`;
});

afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

function port(bound: AddressInfo | string | null): number {
  if (typeof bound !== 'object' || bound === null) throw new Error('the server has no port');
  return bound.port;
}

/** What a program prints until it ends by itself. */
async function run(body: string): Promise<string> {
  const program = `import { connect, handleSignals } from ${JSON.stringify(built)};\n${body}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const code = await new Promise((resolve) => child.once('close', (status, signal) => resolve(status ?? signal)));
  return `${printed.trim().split('\n').join(' ')} ${code}`.trim();
}

test('a process with an open registration and an open connection ends by itself', async () => {
  const printed = await run(`
    const client = connect('${address}');
    const registration = await client.register('s', 1, { ttl: 30 });
    console.log(registration.state);
  `);
  expect(printed).toBe('registered 0');
});

test('a process stays while a query is pending', async () => {
  const printed = await run(`
    connect('${address}').query('s').then((reply) => console.log('revision', reply.revision));
    console.log('asked');
  `);
  expect(printed).toBe('asked revision 0 0');
});

test('a process stays while an update or a close is pending', async () => {
  const printed = await run(`
    const client = connect('${address}');
    const registration = await client.register('s', 1);
    await registration.update(2);
    console.log(registration.revision);
    await client.close();
    console.log(registration.state);
  `);
  expect(printed).toBe('2 closed 0');
});

test('a background registration without a daemon does not keep a process', async () => {
  const printed = await run(`
    const registration = await connect('reg://127.0.0.1:1').register('s', 1, { background: true });
    console.log(registration.state);
  `);
  expect(printed).toBe('pending 0');
});

test('a process that stood still reads what came meanwhile before it gives a request up', async () => {
  const printed = await run(`
    import { existsSync } from 'node:fs';
    const stand = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    const client = connect('${address}');
    await client.ping();
    const query = client.query('s', { timeout: ${ANSWER_AFTER_MS * 2} });
    // Written by now; the reply comes while nothing runs, and so does the end of its time.
    setImmediate(() => {
      while (!existsSync('${answered}')) stand(10);
      stand(${ANSWER_AFTER_MS * 4});
    });
    console.log((await query).revision);
  `);
  expect(printed).toBe('0 0');
});

test('with keepProcessAlive a process stays until the client is closed', async () => {
  const printed = await run(`
    const client = connect('${address}', { keepProcessAlive: true });
    setTimeout(() => client.close().then(() => console.log('closed')), ${ANSWER_AFTER_MS}).unref();
  `);
  expect(printed).toBe('closed 0');
});

test('a process that is told to end drains, destroys, and ends by the signal', async () => {
  const printed = await run(`
    const client = connect('${address}');
    const registration = await client.register('s', 1);
    registration.drain = new Proxy(registration.drain, { apply: (drain, self, given) => {
      console.log('drains');
      return Reflect.apply(drain, self, given);
    } });
    handleSignals(client);
    process.kill(process.pid, 'SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  `);
  expect(printed).toBe('drains SIGTERM');
  expect(registry.instances.size).toBe(0);
});
