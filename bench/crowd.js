/**
 * A share of the clients of parts/load.js, in one process: each has a connection with an instance that lives by it, and
 * watches. Those whose numbers say so change theirs from time to time, register anew, or lose their connection.
 */

import { connect, Presence } from '@reg/client';
import { dial, startAll } from './dial.js';
import { Population } from './population.js';
import { ownCpu } from './processes.js';

const { port, connections, share, shares, ttl, changeEvery } = JSON.parse(process.argv[2]);
const population = new Population(connections);
/** What went wrong, by what it was, and how often. */
const errors = {};
let events = 0;

/** What one watch was told. */
class Watched {
  #presence = new Presence();
  /** The revision at which it began, and those of all changes since. */
  #since;
  #seen = [];
  #scope;

  constructor(scope) {
    this.#scope = scope;
  }

  /** Resolves when it has begun. */
  follow(client) {
    return new Promise((resolve, reject) => {
      this.#read(client, resolve).catch((error) => {
        count(`a watch has ended: ${error.message}`);
        reject(error);
      });
    });
  }

  async #read(client, begun) {
    for await (const event of client.watch(this.#scope)) {
      this.#presence.apply(event);
      if (event.type === 'synced') {
        this.#since ??= event.revision;
        begun();
      } else if (event.type === 'change') {
        events += 1;
        this.#seen.push(event.revision);
      } else if (event.type === 'reset') {
        count(`a watch was reset: ${event.reason}`);
      }
    }
  }

  /**
   * @param services `{ [name]: { changes, instances } }`: the revisions of all changes, in order, and of what is there.
   * @returns how many events it missed, how many it had that it should not have had, and whether its view differs.
   */
  compare(services) {
    const covered = Object.entries(services).filter(([name]) => this.#covers(name));
    const due = new Set(covered.flatMap(([, { changes }]) => changes).filter((revision) => revision > this.#since));
    const seen = new Set(this.#seen);
    const missed = [...due].filter((revision) => !seen.has(revision)).length;
    const isOrdered = this.#seen.every((revision, n) => n === 0 || revision > this.#seen[n - 1]);
    if (!isOrdered) count('events of a watch were not in order');
    const surplus = this.#seen.length - (due.size - missed);
    return { missed, surplus, differing: this.#differs(covered) ? 1 : 0 };
  }

  #covers(name) {
    return typeof this.#scope === 'string' ? name === this.#scope : name.startsWith(this.#scope.prefix);
  }

  #differs(covered) {
    const known = [...this.#presence.known];
    const size = covered.reduce((sum, [, { instances }]) => sum + Object.keys(instances).length, 0);
    const truth = Object.fromEntries(covered);
    return (
      known.length !== size ||
      known.some(({ record }) => truth[record.key]?.instances[record.instance] !== record.revision)
    );
  }
}

class Member {
  #n;
  #client;
  #registration;
  #socket;
  #isBroken = false;
  #watched;
  #turn;
  /** What is under way. */
  #acting;

  constructor(n) {
    this.#n = n;
    this.#turn = n;
    this.#watched = population.watchedBy(n).map((scope) => new Watched(scope));
  }

  get changes() {
    return population.changes(this.#n);
  }

  get watched() {
    return this.#watched;
  }

  async start() {
    this.#client = connect(`127.0.0.1:${port}`, { dial: () => this.#dial() });
    this.#client.on('disconnect', ({ error }) => {
      if (!this.#isBroken) count(`a connection has ended: ${error.message}`);
    });
    this.#client.on('retry', ({ error }) => count(`no connection: ${error.message}`));
    await this.#register();
    await Promise.all(this.#watched.map((watched) => watched.follow(this.#client)));
  }

  /** Does the next of what can be done, unless the one before is not done yet. Never rejects. */
  async act() {
    if (this.#acting !== undefined) return;
    const actions = [() => this.#update(), () => this.#replace(), () => this.#break()];
    this.#turn += 1;
    this.#acting = actions[this.#turn % actions.length]().catch((error) => count(error.message));
    await this.#acting;
    this.#acting = undefined;
  }

  /** Resolves when nothing is under way. */
  async rest() {
    await this.#acting;
  }

  #dial() {
    this.#socket = dial(port, this.#n);
    return this.#socket;
  }

  async #register() {
    const instance = population.instanceOf(this.#n);
    this.#registration = await this.#client.register(population.serviceOf(this.#n), this.#values, { instance, ttl });
    this.#registration.on('lost', ({ reason }) => count(`a registration was lost: ${reason}`));
  }

  get #values() {
    return `10.0.0.1:${this.#turn}`;
  }

  async #update() {
    await this.#registration.update(this.#values);
  }

  async #replace() {
    await this.#registration.close();
    await this.#register();
  }

  /** Resolves when the instance, which was suspect meanwhile, is known to be held by another connection. */
  async #break() {
    this.#isBroken = true;
    const back = new Promise((resolve) => this.#client.once('connect', resolve));
    this.#socket.resetAndDestroy();
    await back;
    this.#isBroken = false;
    await this.#update();
  }
}

const members = population.numbers(share, shares).map((n) => new Member(n));
const changing = members.filter(({ changes }) => changes);
let timer;

await startAll(members, (member) => member.start());
process.send('ready');

const ORDERS = {
  /** From now on each of those that change does something every so many seconds, all of them evenly spread. */
  begin() {
    let next = 0;
    timer = setInterval(() => changing[next++ % changing.length].act(), (changeEvery * 1000) / changing.length);
  },

  /** @returns `{ events, cpu }`: how many were told to all watches, and the processor time that was used, in ms. */
  count() {
    return { events, cpu: ownCpu() };
  },

  async stop() {
    clearInterval(timer);
    await Promise.all(changing.map((member) => member.rest()));
  },

  /** @returns `{ missed, surplus, differing, errors }`, of all watches. */
  compare({ services }) {
    const all = { missed: 0, surplus: 0, differing: 0 };
    for (const watched of members.flatMap((member) => member.watched)) {
      for (const [what, number] of Object.entries(watched.compare(services))) all[what] += number;
    }
    return { ...all, errors };
  },
};
process.on('message', async ({ order, ...details }) => process.send((await ORDERS[order](details)) ?? 'done'));
process.on('disconnect', () => process.exit());

function count(error) {
  errors[error] = (errors[error] ?? 0) + 1;
}
