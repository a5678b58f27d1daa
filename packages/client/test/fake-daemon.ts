import { Duplex, duplexPair } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Endpoint, LineReader, RegistryError, TOO_LONG } from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { type ClientOptions, connect, type Endpoints } from '../src/index.js';

export type Fields = Record<string, unknown>;

/** What a script answers to a request: the fields of a good reply, a code to refuse with, or nothing yet. */
export type Script = (request: Fields, connection: FakeConnection) => object | string | undefined;

/** A daemon that does what a test says, over streams in memory, with a clock that the test holds. */
export class FakeDaemon {
  readonly clock = new ManualClock();
  /** Every connection that was ever made, oldest first. */
  readonly connections: FakeConnection[] = [];
  dials = 0;
  /** Every endpoint that was dialled, in order. */
  readonly dialled: string[] = [];
  endpoints: Endpoints = 'reg://daemon.test:1';
  /** What a dial leads to. */
  mode: 'up' | 'slow' | 'refusing' | 'silent' = 'up';
  script: Script = () => undefined;

  /** A client of this daemon without jitter: `random` is 0.5 unless given. */
  client(options: ClientOptions = {}) {
    return connect(this.endpoints, {
      clock: this.clock,
      dial: (endpoint) => this.#dial(endpoint),
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

  #dial({ host, port }: Endpoint): Duplex {
    this.dials += 1;
    this.dialled.push(`${host}:${port}`);
    if (this.mode === 'refusing') throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    if (this.mode === 'silent') return Object.assign(new Duplex({ read() {}, write() {} }), { connecting: true });
    const [theirs, ours] = duplexPair();
    if (this.mode === 'slow') Object.assign(theirs, { connecting: true });
    this.connections.push(new FakeConnection(ours, theirs, (request, over) => this.script(request, over)));
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
      const answer = script(request, this);
      if (typeof answer === 'string') this.refuse(answer);
      else if (answer) this.reply(answer);
    }
    this.pieces.push(count);
  }
}

interface FakeInstance {
  readonly content: string;
  readonly owner: unknown;
  readonly generation: number;
  readonly revision: number;
  holder: FakeConnection;
}

/** A script that behaves as a registry whose instances expire only when `forget` empties it. */
export class FakeRegistry {
  readonly instances = new Map<string, FakeInstance>();
  revision = 0;
  /** What ended for good: a generation that is claimed is answered with its code. */
  readonly #final = new Map<number, string>();
  readonly #ended = new Map<FakeConnection, object[]>();

  readonly script: Script = (request, connection) => {
    if (request['type'] === 'register') return this.#register(request, connection);
    if (request['type'] === 'heartbeat') return this.#heartbeat(connection);
    if (request['type'] === 'destruction') return this.#destroy(request, connection);
    if (request['type'] === 'query') return { revision: this.revision, services: [] };
    if (request['type'] === 'acks') return { watches: 0, acknowledged: 0 };
    return {};
  };

  /** Everything expires. `silently`, as where the daemon could not name it. */
  forget(silently = false): void {
    for (const key of this.instances.keys()) this.end(key, 'expired', silently);
  }

  /** @param key a service and its instance, with a slash between them. */
  end(key: string, reason: 'expired' | 'destroyed' | 'superseded', silently = false): void {
    const instance = this.instances.get(key);
    if (!instance) throw new Error(`there is no ${key}`);
    this.instances.delete(key);
    const { generation, holder } = instance;
    if (reason !== 'expired') this.#final.set(generation, reason);
    const [service, id] = key.split('/');
    const ended = { key: service, ...(id && { instance: id }), generation, reason };
    if (!silently) this.#ended.set(holder, [...(this.#ended.get(holder) ?? []), ended]);
  }

  #register(request: Fields, holder: FakeConnection): object | string {
    const { owner, generation: claimed, takeover, ...rest } = request;
    const final = this.#final.get(Number(claimed));
    if (final !== undefined) return final;
    const content = JSON.stringify(rest);
    let known = this.instances.get(name(request));
    if (known && known.owner !== owner) {
      if (claimed !== undefined) return 'superseded';
      if (!takeover) return 'owned';
      this.end(name(request), 'superseded');
      known = undefined;
    }
    if (known?.content === content) {
      known.holder = holder;
      return { result: 'renewed', registered: 1, ...revisions(known) };
    }
    this.revision += 1;
    const generation = known?.generation ?? this.revision;
    const instance = { content, owner, generation, revision: this.revision, holder };
    this.instances.set(name(request), instance);
    return { result: known ? 'updated' : 'registered', registered: 1, ...revisions(instance) };
  }

  /** Whoever holds what he destroys himself is told nothing more. */
  #destroy(request: Fields, connection: FakeConnection): object {
    const all = `${request['key']}/`;
    const isMeant = (key: string) => (request['instance'] === '*' ? key.startsWith(all) : key === name(request));
    let removed = 0;
    for (const [key, { owner, holder }] of this.instances) {
      if (!isMeant(key) || (request['owner'] !== undefined && request['owner'] !== owner)) continue;
      this.end(key, 'destroyed', holder === connection);
      removed += 1;
    }
    return { removed, left: [...this.instances.keys()].filter((key) => key.startsWith(all)).length };
  }

  #heartbeat(connection: FakeConnection): object {
    const ended = this.#ended.get(connection);
    this.#ended.delete(connection);
    const held = [...this.instances.values()].filter(({ holder }) => holder === connection).length;
    return { held, ...(ended && { ended }) };
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
