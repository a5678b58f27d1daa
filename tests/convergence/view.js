/**
 * What a watcher knows, made of the events of one watch. It holds the events to their contract: after `synced` every
 * change is later than all before it, fits what is there, and nothing comes twice.
 */

export class WatchedView {
  #services = new Map();
  /** State that is not whole yet: what was known before holds until `synced`. */
  #staged = new Map();
  #isStaging = true;
  #epoch;
  #revision = 0;
  #changed;
  #violated;

  /**
   * @param changed is told of every instance that is new, or another, or with `undefined` as record gone.
   * @param violated is told what the daemon, or the client, must not have done.
   */
  constructor(changed, violated) {
    this.#changed = changed;
    this.#violated = violated;
  }

  get listed() {
    return [...this.#services.values()];
  }

  take(event) {
    if (event.type === 'reset') this.#begin();
    else if (event.type === 'state') this.#stage(event);
    else if (event.type === 'synced') this.#sync(event);
    else if (event.type === 'change') this.#change(event);
  }

  #begin() {
    this.#staged = new Map();
    this.#isStaging = true;
  }

  #stage({ services }) {
    if (!this.#isStaging) this.#violated('state without a reset');
    for (const record of services) {
      if (this.#staged.has(nameOf(record))) this.#violated(`${nameOf(record)} is twice in the state`);
      this.#staged.set(nameOf(record), record);
    }
  }

  #sync({ epoch, revision }) {
    if (this.#isStaging) this.#show();
    else if (epoch !== this.#epoch) this.#violated('another epoch without a reset');
    else if (revision < this.#revision) this.#violated(`synced at ${revision}, after ${this.#revision}`);
    for (const record of this.#services.values()) {
      if (record.revision > revision) this.#violated(`synced at ${revision}, with ${record.revision} in the state`);
    }
    this.#epoch = epoch;
    this.#revision = revision;
  }

  #show() {
    for (const [name, record] of this.#services) if (!this.#staged.has(name)) this.#changed(record, undefined);
    for (const record of this.#staged.values()) this.#changed(record, record);
    this.#services = this.#staged;
    this.#staged = new Map();
    this.#isStaging = false;
  }

  #change({ revision, change, service }) {
    const known = this.#services.get(nameOf(service));
    if (this.#isStaging) this.#violated(`change ${revision} before synced`);
    if (revision <= this.#revision) this.#violated(`change ${revision} after ${this.#revision}`);
    this.#revision = revision;
    if (change === 'registered') {
      if (service.generation !== revision) this.#violated(`registered at ${revision} with ${service.generation}`);
    } else if (known?.generation !== service.generation) {
      this.#violated(`${change} of generation ${service.generation}, of which there is ${known?.generation}`);
    }
    const isThere = change === 'registered' || change === 'updated';
    if (isThere && service.revision !== revision) this.#violated(`change ${revision} shows ${service.revision}`);
    if (isThere) this.#services.set(nameOf(service), service);
    else this.#services.delete(nameOf(service));
    this.#changed(service, isThere ? service : undefined);
  }
}

export function nameOf({ key, instance = '' }) {
  return `${key}/${instance ?? ''}`;
}
