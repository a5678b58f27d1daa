import { Duplex, duplexPair } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LineReader, RegistryError, TOO_LONG } from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { type ClientOptions, connect } from '../src/index.js';

export type Fields = Record<string, unknown>;

/** What a script answers to a request: the fields of a good reply, a code to refuse with, or nothing yet. */
export type Script = (request: Fields) => object | string | undefined;

/** A daemon that does what a test says, over streams in memory, with a clock that the test holds. */
export class FakeDaemon {
  readonly clock = new ManualClock();
  /** Every connection that was ever made, oldest first. */
  readonly connections: FakeConnection[] = [];
  dials = 0;
  /** What a dial leads to. */
  mode: 'up' | 'slow' | 'refusing' | 'silent' = 'up';
  script: Script = () => undefined;

  /** A client of this daemon without jitter: `random` is 0.5 unless given. */
  client(options: ClientOptions = {}) {
    return connect('reg://daemon.test:1', {
      clock: this.clock,
      dial: () => this.#dial(),
      random: () => 0.5,
      ...options,
    });
  }

  get last(): FakeConnection {
    const last = this.connections.at(-1);
    if (!last) throw new Error('nobody has connected');
    return last;
  }

  /** All requests, over all connections. */
  get requests(): Fields[] {
    return this.connections.flatMap((connection) => connection.requests);
  }

  /** Requests of one type as short words: `register a/1`. */
  words(): string[] {
    return this.requests.map(({ type, key, instance }) => [type, key, instance].filter(Boolean).join(' '));
  }

  /** Lets `ms` pass in steps, with all that happens in between. */
  async pass(ms: number, step = Math.min(ms, 50)): Promise<void> {
    await settle();
    for (let left = ms; left > 0; left -= step) {
      this.clock.advance(Math.min(step, left));
      await settle();
    }
  }

  #dial(): Duplex {
    this.dials += 1;
    if (this.mode === 'refusing') throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    if (this.mode === 'silent') return Object.assign(new Duplex({ read() {}, write() {} }), { connecting: true });
    const [theirs, ours] = duplexPair();
    if (this.mode === 'slow') Object.assign(theirs, { connecting: true });
    this.connections.push(new FakeConnection(ours, theirs, (request) => this.script(request)));
    return theirs;
  }
}

export class FakeConnection {
  readonly requests: Fields[] = [];
  /** How many requests came in each piece. */
  readonly pieces: number[] = [];
  closed = false;
  readonly #stream: Duplex;
  readonly #peer: Duplex;
  readonly #lines = new LineReader(1 << 24);

  constructor(stream: Duplex, peer: Duplex, script: Script) {
    this.#stream = stream;
    this.#peer = peer;
    stream.on('data', (chunk: Buffer) => this.#read(chunk, script));
    stream.on('error', () => {});
    // A pair does not pass on that one of it was destroyed, as a socket would.
    peer.on('close', () => {
      this.closed = true;
    });
  }

  /** Lets a slow dial succeed. */
  accept(): void {
    this.#peer.emit('connect');
  }

  reply(...replies: object[]): void {
    this.raw(replies.map((fields) => `${JSON.stringify({ ok: true, ...fields })}\r\n`).join(''));
  }

  refuse(code: string, message = `because of ${code}`): void {
    this.raw(`${JSON.stringify({ ok: false, error: { code, message } })}\r\n`);
  }

  raw(bytes: string | Buffer): void {
    if (!this.closed) this.#stream.write(bytes);
  }

  /** Stops reading, as a daemon does whose backlog is full. */
  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Hangs up: what was written before still arrives, what comes now is not read. */
  close(): void {
    this.closed = true;
    this.#stream.end();
  }

  #read(chunk: Buffer, script: Script): void {
    if (this.closed) return;
    this.#lines.push(chunk);
    let count = 0;
    for (let line = this.#lines.next(); line !== undefined; line = this.#lines.next()) {
      if (line === TOO_LONG) throw new Error('a request over the limit');
      const request: Fields = JSON.parse(line.toString());
      this.requests.push(request);
      count += 1;
      const answer = script(request);
      if (typeof answer === 'string') this.refuse(answer);
      else if (answer) this.reply(answer);
    }
    this.pieces.push(count);
  }
}

/** A script that behaves as a registry whose instances never expire. `forget` empties it. */
export class FakeRegistry {
  readonly instances = new Map<string, { content: string; generation: number; revision: number }>();
  revision = 0;

  readonly script: Script = (request) => {
    if (request['type'] === 'register') return this.#register(request);
    if (request['type'] === 'destruction') return { removed: this.instances.delete(name(request)) ? 1 : 0, left: 0 };
    if (request['type'] === 'query') return { revision: this.revision, services: [] };
    return {};
  };

  forget(): void {
    this.instances.clear();
  }

  #register(request: Fields): object {
    const content = JSON.stringify(request);
    const known = this.instances.get(name(request));
    if (known?.content === content) return { result: 'renewed', registered: 1, ...revisions(known) };
    this.revision += 1;
    const instance = { content, generation: known?.generation ?? this.revision, revision: this.revision };
    this.instances.set(name(request), instance);
    return { result: known ? 'updated' : 'registered', registered: 1, ...revisions(instance) };
  }
}

function revisions({ generation, revision }: { generation: number; revision: number }): object {
  return { generation, revision };
}

function name(request: Fields): string {
  return `${request['key']}/${request['instance'] ?? ''}`;
}

/** Lets everything happen that needs no time: streams, promises, ticks. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await nextTurn();
}

/** Calls `action` as a timer or a socket would: what it puts off to the next tick comes before any promise. */
export async function onOwnTurn<T>(action: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => setImmediate(() => action().then(resolve, reject)));
}

/** The outcome of a promise as one word: its error's code, or `ok`; `pending` where it has none yet. */
export async function outcome(promise: Promise<unknown>): Promise<string> {
  let word = 'pending';
  promise.then(
    () => {
      word = 'ok';
    },
    (error) => {
      word = error instanceof RegistryError ? error.code : String(error);
    },
  );
  await settle();
  return word;
}

/** The error that a promise ends with. */
export async function failure(promise: Promise<unknown>): Promise<RegistryError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

/** Marks that a rejection will be looked at later. */
export function later<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
