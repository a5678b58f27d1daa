/**
 * One process of the convergence test: some clients, each with a registration and a watch or a discovery. It does
 * what it is told over its IPC channel, and tells what it registers and sees as it happens. It ends with its parent.
 *
 *     node worker.js '{"name":"w3.2","takeover":false,"port":40001,"ttl":3,"linger":1,"cache":"/tmp/x","clients":[…]}'
 */

import { connect } from '@reg/client';
import { nameOf, WatchedView } from './view.js';

/** What happened waits so long, in ms, to be told in one message. */
const TELL_EVERY = 100;
/** What somebody else destroyed is registered again after so many ms, as another registration. */
const COME_BACK = 300;

const setup = JSON.parse(process.argv[2] ?? '');
let notes = [];

/** Something that happened, for the parent: a kind and its details, after the time. */
function note(...what) {
  notes.push([Date.now(), ...what]);
}

/** A client with what it registers and what it watches. */
class Member {
  #spec;
  #index;
  #client;
  #version = 1;
  #registration;
  #view;
  #isRetired = false;
  #renewing = Promise.resolve();

  constructor(spec, index) {
    this.#spec = spec;
    this.#index = index;
    this.#client = connect(`127.0.0.1:${setup.port}`, {
      requestTimeout: 2000,
      connectTimeout: 1000,
      reconnect: { min: 50, max: 1000 },
      keepProcessAlive: true,
    });
    this.#view = spec.discovers ? this.#discover() : this.#watch();
    this.#register();
  }

  update() {
    this.#version += 1;
    // What fails goes out with the next renewal: the promise of `update` is of no use here.
    this.#registration.update(this.#values).catch(() => {});
  }

  /** Ends what it has registered, and registers it anew. One such thing is done after the other. */
  renew() {
    this.#renewing = this.#renewing.then(() => this.#renew());
  }

  /** Another process has taken its place: it does not begin anew what ends. */
  retire() {
    this.#isRetired = true;
  }

  async drain() {
    note('leaving', this.#index);
    await this.#registration.drain({ timeout: 1000 }).catch(() => {});
    note('left', this.#index);
  }

  report() {
    const { key, instance, what } = this.#spec;
    const { state } = this.#registration;
    const name = `${setup.name}/${this.#index}`;
    return {
      owned: { key, instance, values: this.#values, state, owner: name },
      view: { name, what, listed: this.#view.listed },
    };
  }

  get #values() {
    return { owner: setup.name, version: this.#version };
  }

  async #renew() {
    note('leaving', this.#index);
    // Where nobody confirms it, the ttl ends it: until then the name belongs to the owner before.
    await this.#registration.close().catch(() => {});
    note('left', this.#index);
    this.#version += 1;
    if (!this.#isRetired) await this.#register();
  }

  async #register() {
    const { key, instance } = this.#spec;
    const registration = await this.#client.register(key, this.#values, {
      instance,
      takeover: setup.takeover,
      ttl: setup.ttl,
      linger: setup.linger,
      background: true,
    });
    this.#registration = registration;
    registration.on('registered', () => note('live', this.#index));
    registration.on('lost', ({ reason }) => {
      note('lost', this.#index, reason);
      // The promise is over, for good: somebody who looks after the process would begin another.
      if (reason === 'destroyed') setTimeout(() => this.#comeBack(registration), COME_BACK);
    });
  }

  #comeBack(registration) {
    if (this.#isRetired || registration !== this.#registration) return;
    this.#version += 1;
    this.#register();
  }

  #discover() {
    const discovery = this.#client.discover(this.#spec.what, { cache: setup.cache });
    const show = (instance) => note('seen', this.#index, nameOf(instance), instance.status);
    const hide = (instance) => note('seen', this.#index, nameOf(instance));
    for (const instance of discovery.all) show(instance);
    discovery.on('change', ({ added, removed, changed }) => {
      removed.forEach(hide);
      added.forEach(show);
      changed.forEach(show);
    });
    discovery.on('source', ({ source }) => {
      if (source === 'live') note('watching', this.#index);
    });
    return {
      get listed() {
        return discovery.all.map(({ key, instance, values, generation, revision, status }) => {
          return { key, instance, values, generation, revision, status };
        });
      },
    };
  }

  #watch() {
    let isWatching = false;
    const view = new WatchedView(
      (record, now) => note('seen', this.#index, nameOf(record), now && (now.status ?? 'passing')),
      (text) => note('wrong', this.#index, text),
    );
    const follow = async () => {
      for await (const event of this.#client.watch(this.#spec.what)) {
        view.take(event);
        if (event.type === 'synced' && !isWatching) {
          isWatching = true;
          note('watching', this.#index);
        }
      }
    };
    follow().then(
      () => note('wrong', this.#index, 'the watch has ended'),
      (error) => note('wrong', this.#index, `the watch has ended: ${error.message}`),
    );
    return view;
  }
}

const members = setup.clients.map((spec, index) => new Member(spec, index));
setInterval(tell, TELL_EVERY);

function tell() {
  if (notes.length > 0) process.send({ notes });
  notes = [];
}

process.on('disconnect', () => process.exit());
process.on('SIGTERM', async () => {
  await Promise.all(members.map((member) => member.drain()));
  tell();
  process.disconnect();
});
process.on('message', ({ order, client }) => {
  if (order === 'update') members[client].update();
  else if (order === 'renew') members[client].renew();
  else if (order === 'retire') for (const member of members) member.retire();
  else if (order === 'report') {
    tell();
    process.send({ report: members.map((member) => member.report()) });
  }
});
