import { createDispatcher } from '@reg/client/undici';
import type { Json } from '@reg/protocol';
import * as v from 'valibot';
import { expectTypeOf, test } from 'vitest';
import {
  type Client,
  connect,
  defineServices,
  handleSignals,
  type InstanceRecord,
  type TypedRecord,
} from '../src/index.js';

const services = defineServices({
  payments: {
    values: v.object({ host: v.string(), port: v.pipe(v.string(), v.transform(Number)) }),
    meta: v.object({ zone: v.string() }),
  },
  ledger: { values: v.string(), meta: v.object({ zone: v.optional(v.string()) }) },
  plain: { values: v.array(v.date()) },
});

/** Only its types matter: nothing is ever called. */
const client = connect('reg://127.0.0.1:1', { services });
type Typed = typeof client;

test('names are those of the contracts', () => {
  expectTypeOf<Typed['register']>().parameter(0).toEqualTypeOf<'payments' | 'ledger' | 'plain'>();
  // @ts-expect-error a name that is none of them
  () => client.query('paymets');
});

test('what is registered is what the validators take', () => {
  const register = () => client.register('payments', { host: 'h', port: '80' }, { meta: { zone: 'a' }, ttl: 5 });
  expectTypeOf(register).returns.resolves.toHaveProperty('update');
  // @ts-expect-error a port that is a number
  () => client.register('payments', { host: 'h', port: 80 }, { meta: { zone: 'a' } });
  // @ts-expect-error metadata that is missing
  () => client.register('payments', { host: 'h', port: '80' });
  () => client.register('ledger', 'h:80');
  // @ts-expect-error metadata of another kind
  () => client.register('ledger', 'h:80', { meta: { zone: 1 } });
  () => client.register('plain', [new Date()], { meta: { any: 'thing' } });
  async () => {
    const registration = await register();
    await registration.update({ host: 'h', port: '81' });
    // @ts-expect-error a port that is a number
    await registration.update({ host: 'h', port: 81 });
    await registration.drain();
  };
});

test('what is read is what the validators make of it', () => {
  type Values = { host: string; port: number };
  const query = () => client.query('payments');
  expectTypeOf(query)
    .returns.resolves.toHaveProperty('services')
    .toEqualTypeOf<readonly TypedRecord<Values, { zone: string }>[]>();
  expectTypeOf(() => client.queryAll())
    .returns.resolves.toHaveProperty('services')
    .items.toHaveProperty('values')
    .toBeUnknown();
  const discover = () => client.discover('payments', { balance: 'weighted' });
  type Discovery = ReturnType<typeof discover>;
  expectTypeOf<NonNullable<ReturnType<Discovery['pick']>>['values']>().toEqualTypeOf<Values>();
  expectTypeOf<Discovery['instances'][number]['meta']>().toEqualTypeOf<{ zone: string }>();
  () =>
    discover().on('change', ({ added }) => {
      expectTypeOf(added).items.toHaveProperty('values').toEqualTypeOf<Values>();
    });
  async () => {
    for await (const event of client.watch('payments')) {
      if (event.type === 'state') expectTypeOf(event.services).items.toHaveProperty('values').toEqualTypeOf<Values>();
      if (event.type === 'change' && event.change === 'registered') {
        expectTypeOf(event.service.values).toEqualTypeOf<Values>();
      }
    }
    for await (const event of client.watch({ prefix: 'pay' })) {
      if (event.type === 'state') expectTypeOf(event.services).items.toHaveProperty('values').toBeUnknown();
    }
  };
});

test('without contracts all is as the wire has it', () => {
  const plain = () => connect('reg://127.0.0.1:1', { requestTimeout: 1 });
  expectTypeOf(plain).returns.toEqualTypeOf<Client>();
  expectTypeOf<Client['register']>().parameter(1).toEqualTypeOf<Json>();
  const query = () => plain().query('anything');
  expectTypeOf(query).returns.resolves.toHaveProperty('services').toEqualTypeOf<readonly InstanceRecord[]>();
});

test('either kind is good for what takes a client', () => {
  () => handleSignals(client);
  () => createDispatcher(client, { discover: { balance: 'rendezvous' } });
  () => createDispatcher(connect('reg://127.0.0.1:1'), { discover: { balance: 'rendezvous' } });
  // @ts-expect-error a balance that is none
  () => createDispatcher(connect('reg://127.0.0.1:1'), { discover: { balance: 'random' } });
});
