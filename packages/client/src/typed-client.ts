/** How a client looks to the compiler where it was told what services have; see contracts.ts. */

import type { EventEmitter } from 'node:events';
import type { InstanceRecord, QueryReply } from '@reg/protocol';
import type { Client, QueryOptions, RegisterOptions } from './client.js';
import type { ServiceContract, Services } from './contracts.js';
import type { DiscoverOptions, Discovery, DiscoveryEvents, ReadyOptions } from './discovery/discovery.js';
import type { Instance } from './discovery/instance.js';
import type { Difference } from './discovery/view.js';
import type { Registration, UpdateOptions } from './registration.js';
import type { InputOf, OutputOf, StandardSchema } from './standard-schema.js';
import type { WatchOptions } from './watch.js';
import type { WatchEvent } from './watcher.js';

/** The names of services. */
export type NameOf<S extends Services> = keyof S & string;

/** What is registered as the values of a service, and what its readers get. */
export type ValuesInput<C extends ServiceContract> = InputOf<C['values']>;
export type ValuesOutput<C extends ServiceContract> = OutputOf<C['values']>;

type Meta = Readonly<Record<string, string>>;
type MetaInput<C extends ServiceContract> = C extends { meta: infer M extends StandardSchema } ? InputOf<M> : Meta;
type MetaOutput<C extends ServiceContract> = C extends { meta: infer M extends StandardSchema } ? OutputOf<M> : Meta;

/** `meta` has to be given where its validator does not take `{}`. */
type WithMeta<Options, M> = Omit<Options, 'meta'> & (object extends M ? { readonly meta?: M } : { readonly meta: M });

/** Options may be left out where all of them may. */
type Rest<Options> = object extends Options ? [options?: Options] : [options: Options];

/** A record as it is read. Of services that nothing was said of the values are unknown. */
export type TypedRecord<V, M = Meta> = Omit<InstanceRecord, 'values' | 'meta'> & {
  readonly values: V;
  readonly meta?: M;
};

export type TypedReply<R> = Omit<QueryReply, 'services'> & { readonly services: readonly R[] };

export type TypedWatchEvent<R, E = WatchEvent> = E extends { readonly services: readonly InstanceRecord[] }
  ? Omit<E, 'services'> & { readonly services: readonly R[] }
  : E extends { readonly service: InstanceRecord }
    ? Omit<E, 'service'> & { readonly service: R }
    : E;

export type TypedWatch<R> = AsyncIterableIterator<TypedWatchEvent<R>, undefined> & AsyncDisposable;

export type TypedInstance<V, M = Meta> = Omit<Instance, 'values' | 'meta'> & { readonly values: V; readonly meta: M };

type TypedDifference<I> = { readonly [P in keyof Difference]: readonly I[] };

type TypedDiscoveryEvents<I> = Omit<DiscoveryEvents, 'change'> & { change: [TypedDifference<I>] };

export interface TypedDiscovery<I>
  extends Omit<Discovery, keyof EventEmitter | 'instances' | 'all' | 'pick' | 'track' | 'ready'>,
    EventEmitter<TypedDiscoveryEvents<I>> {
  readonly instances: readonly I[];
  readonly all: readonly I[];
  pick(key?: string): I | undefined;
  track(instance: I): () => void;
  ready(options?: ReadyOptions): Promise<this>;
}

export interface TypedRegistration<C extends ServiceContract> extends Omit<Registration, 'update'> {
  update(values: ValuesInput<C>, options?: Partial<WithMeta<UpdateOptions, MetaInput<C>>>): Promise<void>;
}

type RecordOf<C extends ServiceContract> = TypedRecord<ValuesOutput<C>, MetaOutput<C>>;

/**
 * A client that knows what its services have: the names are those of the contracts, and the values what the validators
 * take and make. For a service of any other name there is `connect` without contracts, or `request`.
 */
export interface TypedClient<S extends Services>
  extends Omit<Client, 'register' | 'query' | 'queryAll' | 'watch' | 'discover'> {
  /** As `Client.register`. @throws {RegistryError} also `invalid_values`. */
  register<K extends NameOf<S>>(
    key: K,
    values: ValuesInput<S[K]>,
    ...rest: Rest<WithMeta<RegisterOptions, MetaInput<S[K]>>>
  ): Promise<TypedRegistration<S[K]>>;

  /** As `Client.query`; what is not what the service is said to have is left out. */
  query<K extends NameOf<S>>(key: K, options?: QueryOptions): Promise<TypedReply<RecordOf<S[K]>>>;

  /** As `Client.queryAll`. */
  queryAll(options?: Omit<QueryOptions, 'instance'>): Promise<TypedReply<TypedRecord<unknown>>>;

  /** As `Client.watch`. An instance that does not fit is not told, and one that does not fit any more as `destroyed`. */
  watch<K extends NameOf<S>>(key: K, options?: WatchOptions): TypedWatch<RecordOf<S[K]>>;
  watch(target: 'all' | { readonly prefix: string }, options?: WatchOptions): TypedWatch<TypedRecord<unknown>>;

  /** As `Client.discover`. */
  discover<K extends NameOf<S>>(
    key: K,
    options?: DiscoverOptions,
  ): TypedDiscovery<TypedInstance<ValuesOutput<S[K]>, MetaOutput<S[K]>>>;
}
