import type { InstanceRecord } from '@reg/protocol';
import { type FakeConnection, FakeDaemon, type Fields, type Script } from './fake-daemon.js';

let revisions = 0;

/** A record as a daemon tells it; each has a revision of its own unless given. */
export function record(instance: string, fields: Partial<InstanceRecord> = {}): InstanceRecord {
  revisions += 1;
  const { key = 'payments', values = `${instance}.test:80` } = fields;
  return { key, instance, values, timeout: 30, revision: revisions, generation: 1, registered: 1, ...fields };
}

/** A daemon whose watches are told what a test says. Other requests are answered by `other`. */
export class WatchedDaemon extends FakeDaemon {
  /** How many watches there were on each connection. */
  readonly #numbers = new Map<FakeConnection, number>();
  other: Script = () => ({});
  /** What `watch` is answered instead, once for each. */
  readonly refusals: string[] = [];

  override script: Script = (request, connection) => {
    if (request['type'] !== 'watch') return this.other(request, connection);
    const refusal = this.refusals.shift();
    if (refusal) return refusal;
    const watch = (this.#numbers.get(connection) ?? 0) + 1;
    this.#numbers.set(connection, watch);
    return { watch, epoch: 'one', progress: 10 };
  };

  /** The watch requests of the present connection. */
  get watches(): Fields[] {
    return this.requestsOf('watch');
  }

  requestsOf(type: string): Fields[] {
    return this.last.requests.filter((request) => request['type'] === type);
  }

  tell(...events: object[]): void {
    this.last.raw(events.map((event) => `${JSON.stringify(event)}\r\n`).join(''));
  }

  /** The state and `synced` of a watch. */
  tellState(services: readonly InstanceRecord[], synced: object = {}, watch = 1): void {
    this.tell({ type: 'state', watch, services }, { type: 'synced', watch, epoch: 'one', revision: 100, ...synced });
  }

  tellChange(revision: number, service: object, change = 'registered', watch = 1): void {
    this.tell({ type: 'change', watch, revision, at: 1, change, service });
  }
}
