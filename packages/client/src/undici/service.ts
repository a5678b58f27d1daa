/** The upstreams of one service: which of its instances the next request goes to. */

import type { Clock } from '@reg/protocol';
import { RegistryError } from '@reg/protocol';
import type { Pool } from 'undici';
import type { Ejection } from './health.js';
import type { Target, View } from './resolver.js';
import { originOf, Upstream } from './upstream.js';

export interface ServiceSettings {
  readonly clock: Clock;
  readonly ejection: Ejection;
  readonly pool: Pool.Options;
}

/** So often the balancer is asked for another one than those it gave, before all are looked through. */
const PICKS = 8;

export class Service {
  readonly name: string;
  readonly #view: View;
  readonly #settings: ServiceSettings;
  /** Of the instances that take requests and were picked once, by `idOf`. */
  readonly #upstreams = new Map<string, Upstream>();
  /** Those that take no more requests, until what is under way to them is over. */
  readonly #draining = new Set<Upstream>();
  #scans = 0;

  constructor(name: string, view: View, settings: ServiceSettings) {
    this.name = name;
    this.#view = view;
    this.#settings = settings;
    view.on('change', () => this.#drainGone());
  }

  ready(): Promise<unknown> {
    return this.#view.ready();
  }

  /**
   * The upstream for the next attempt: one that was not tried and is not ejected, or else one that was not tried.
   *
   * @param protocol that it is to speak, `http:` or `https:`.
   */
  pick(protocol: string, tried: readonly Upstream[], key: string | undefined): Upstream | undefined {
    const now = this.#settings.clock.monotonic();
    let ejected: Upstream | undefined;
    for (let turn = 0; turn < PICKS; turn += 1) {
      // Another key gives another order of preference, and the same one to everybody who has the key.
      const target = this.#view.pick(key === undefined || turn === 0 ? key : `${key}#${turn}`);
      const upstream = target && this.#upstreamOf(protocol, target);
      if (!upstream || tried.includes(upstream)) continue;
      if (!upstream.health.isEjected(now)) return upstream;
      ejected ??= upstream;
    }
    return this.#scan(protocol, tried, now) ?? ejected;
  }

  /** Whether it still takes requests. */
  has(upstream: Upstream): boolean {
    return !this.#draining.has(upstream) && [...this.#upstreams.values()].includes(upstream);
  }

  track(upstream: Upstream): () => void {
    return this.#view.track(upstream.target);
  }

  succeeded(upstream: Upstream): void {
    upstream.health.succeeded(this.#settings.clock.monotonic());
  }

  /** @param rest how many ms it asked to be left alone. */
  failed(upstream: Upstream, rest = 0): void {
    const { clock, ejection } = this.#settings;
    const now = clock.monotonic();
    const mayEject = this.#mayEject(now);
    upstream.health.failed(now, ejection, mayEject);
    if (rest > 0 && mayEject) upstream.health.rest(now + Math.min(rest, ejection.time.max));
  }

  /** Why there is nothing to pick. */
  absence(): RegistryError {
    const { length } = this.#view.instances;
    if (length === 0) return new RegistryError('no_instance', `the service ${this.name} has no instance`);
    const message = `none of the ${length} instances of ${this.name} can be reached: their values hold no address`;
    return new RegistryError('no_instance', message);
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.#view.close();
    await Promise.all(this.#all().map((upstream) => upstream.close()));
  }

  async destroy(error: Error): Promise<void> {
    this.#view.close();
    await Promise.all(this.#all().map((upstream) => upstream.destroy(error)));
  }

  #all(): Upstream[] {
    return [...this.#upstreams.values(), ...this.#draining];
  }

  /** Looks at all, beginning with another one each time; it looks into the other zones too. */
  #scan(protocol: string, tried: readonly Upstream[], now: number): Upstream | undefined {
    const { instances } = this.#view;
    this.#scans += 1;
    let ejected: Upstream | undefined;
    for (let index = 0; index < instances.length; index += 1) {
      const target = instances[(index + this.#scans) % instances.length];
      const upstream = target && this.#upstreamOf(protocol, target);
      if (!upstream || tried.includes(upstream)) continue;
      if (!upstream.health.isEjected(now)) return upstream;
      ejected ??= upstream;
    }
    return ejected;
  }

  #upstreamOf(protocol: string, target: Target): Upstream | undefined {
    const id = idOf(protocol, target);
    if (id === undefined) return undefined;
    const upstream = this.#upstreams.get(id) ?? this.#makeUpstream(id, protocol, target);
    if (upstream) upstream.target = target;
    return upstream;
  }

  #makeUpstream(id: string, protocol: string, target: Target): Upstream | undefined {
    const origin = target.address && originOf(protocol, target.address);
    if (origin === undefined) return undefined;
    const upstream = new Upstream(origin, target, this.#settings.pool);
    this.#upstreams.set(id, upstream);
    return upstream;
  }

  /** At most half of the instances are ejected: what is left has to carry the load, and all may fail for one cause. */
  #mayEject(now: number): boolean {
    let ejected = 0;
    for (const { health } of this.#upstreams.values()) if (health.isEjected(now)) ejected += 1;
    return (ejected + 1) * 2 <= this.#view.instances.length;
  }

  #drainGone(): void {
    if (this.#upstreams.size === 0) return;
    const present = new Set(
      this.#view.instances.flatMap((target) => PROTOCOLS.map((protocol) => idOf(protocol, target))),
    );
    for (const [id, upstream] of this.#upstreams) {
      if (present.has(id)) continue;
      this.#upstreams.delete(id);
      this.#draining.add(upstream);
      upstream.close().finally(() => this.#draining.delete(upstream));
    }
  }
}

const PROTOCOLS = ['http:', 'https:'];

/** Another generation is another process, and another address needs other sockets. */
function idOf(protocol: string, { instance = '', generation, address }: Target): string | undefined {
  return address && `${protocol} ${address.host} ${address.port} ${generation} ${instance}`;
}
