/** Who watches everything in the load of parts/load.js, and so can say what others must have been told. */

import { connect } from '@reg/client';
import { isSteady } from './population.js';
import { now, pause } from './processes.js';

/** ms until it is given up that it is told what the registry has. */
const PATIENCE = 30_000;

export class Witness {
  #client;
  /** The revisions of all changes, in order, by the name of the service. */
  #changes = new Map();
  #isStarting = true;
  /** Instances that nobody touches, and that were changed. */
  touched = new Set();
  /** Revisions that it was not told of. */
  gaps = 0;
  revision = 0;
  /** How many changes there were. */
  changes = 0;
  errors = {};

  /** @param port of a registry that is empty. */
  constructor(port) {
    this.#client = connect(`127.0.0.1:${port}`);
    this.#client.on('disconnect', ({ error }) => this.#count(`the witness's connection has ended: ${error.message}`));
    this.#read().catch((error) => this.#count(`the witness's watch has ended: ${error.message}`));
  }

  /** From now on nobody touches those who are not to be touched. */
  begin() {
    this.#isStarting = false;
  }

  status() {
    return this.#client.status();
  }

  /** `{ [service]: { changes, instances } }`, as crowd.js compares it, when it was told all that the registry has. */
  async truth() {
    const { services: records, revision } = await this.#client.queryAll({ status: 'any' });
    for (const start = now(); this.revision < revision; await pause(10)) {
      if (now() - start > PATIENCE) throw new Error(`the witness was told nothing after revision ${this.revision}`);
    }
    const services = {};
    for (const [key, changes] of this.#changes) services[key] = { changes, instances: {} };
    for (const { key, instance, revision } of records) services[key].instances[instance ?? ''] = revision;
    return services;
  }

  close() {
    return this.#client.close();
  }

  async #read() {
    for await (const event of this.#client.watch('all')) {
      if (event.type === 'reset') this.#count(`the witness's watch was reset: ${event.reason}`);
      if (event.type === 'change') this.#note(event);
    }
  }

  /** Every change has a revision of its own, one above that of the change before. */
  #note({ revision, service: { key, instance = '' } }) {
    this.gaps += this.revision === 0 ? 0 : revision - this.revision - 1;
    this.revision = revision;
    this.changes += 1;
    if (!this.#changes.has(key)) this.#changes.set(key, []);
    this.#changes.get(key).push(revision);
    if (!this.#isStarting && isSteady(instance)) this.touched.add(instance);
  }

  #count(error) {
    this.errors[error] = (this.errors[error] ?? 0) + 1;
  }
}
