/**
 * What can be done to a registry, as functions, so that a counterexample can be written down as it is printed.
 *
 * Time passes in halves of a second, and no ttl, linger or grace ends on one. So nothing is ever looked at in the
 * moment in which it is due, when it has expired and its end is still on its way.
 */

import type fc from 'fast-check';
import { expect } from 'vitest';
import type { Reply } from './connection.js';
import type { Model } from './model.js';
import type { Asking, Slot, System } from './system.js';
import type { Registration, Scope, Selection } from './terms.js';

export type Command = fc.AsyncCommand<Model, System>;

/** A request that one of the connections makes. */
export interface Step {
  readonly words: string;
  /**
   * @param beside how many others are made at the same time.
   * @returns nothing where there is nothing to ask for.
   */
  prepare(system: System, slot: Slot, beside: number): Asking | undefined;
}

/**
 * A registration whose generation is said by how many came after it: 0 is the last of that name. What is `large` fills
 * a third of a piece that the daemon writes.
 */
export type Request = Omit<Registration, 'generation'> & { readonly back?: number; readonly large?: boolean };

const LARGE = 'x'.repeat(24_000);

function command(words: string, act: (system: System, model: Model) => Promise<void>): Command {
  return {
    check: () => true,
    async run(model, system) {
      await act(system, model);
      system.check();
    },
    toString: () => words,
  };
}

/** Has a connection make one request. It is opened where it is not. */
export function ask(number: number, step: Step): Command {
  return command(`ask(${number}, ${step.words})`, (system) => askOne(system, system.slot(number), step));
}

async function askOne(system: System, slot: Slot, step: Step): Promise<void> {
  const asking = step.prepare(system, slot, 0);
  if (asking !== undefined) asking.take(await system.ask(slot, asking.request));
}

/** Has it make several at once, so that the daemon has them in one turn and nothing of them is durable meanwhile. */
export function askTogether(number: number, ...steps: Step[]): Command {
  const words = steps.map((step) => step.words).join(', ');
  return command(`askTogether(${number}, ${words})`, async (system, model) => {
    const slot = system.slot(number);
    if (model.isFull) {
      // What is undone together is not told apart by the model.
      for (const step of steps) await askOne(system, slot, step);
      return;
    }
    const askings = steps.flatMap((step) => step.prepare(system, slot, steps.length - 1) ?? []);
    const replies = await system.askAll(
      slot,
      askings.map(({ request }) => request),
    );
    system.observe();
    askings.forEach(({ take }, index) => {
      const reply = replies[index];
      if (reply !== undefined) take(reply);
    });
  });
}

export function register(request: Request): Step {
  return {
    words: `register(${JSON.stringify(request)})`,
    prepare(system, slot) {
      const { back, large = false, ...content } = request;
      const given = large ? { ...content, values: `${LARGE}${content.values}` } : content;
      const generation = back === undefined ? undefined : system.model.generationsOf(given.key, given.instance)[back];
      return registerAs(system, slot, { ...given, ...(generation === undefined ? {} : { generation }) });
    },
  };
}

/** Registers what was registered last under that name. */
export function repeat(name: { readonly key: string; readonly instance?: string }): Step {
  return {
    words: `repeat(${JSON.stringify(name)})`,
    prepare(system, slot) {
      const last = system.registrations.findLast(({ key, instance }) => key === name.key && instance === name.instance);
      return last === undefined ? undefined : registerAs(system, slot, last);
    },
  };
}

function registerAs(system: System, { connection }: Slot, registration: Registration): Asking {
  system.registrations.push(registration);
  return {
    request: { type: 'register', ...registration },
    take(reply) {
      expectReply(reply, system.model.register(connection.number, registration, system.observe()));
    },
  };
}

export function heartbeat(): Step {
  return {
    words: 'heartbeat()',
    prepare: (system, { connection }) => ({
      request: { type: 'heartbeat' },
      take: (reply) => expectReply(reply, system.model.heartbeat(connection.number)),
    }),
  };
}

export function destroy(what: { key: string; instance?: string; owner?: string }): Step {
  return {
    words: `destroy(${JSON.stringify(what)})`,
    prepare: (system, { connection }) => ({
      request: { type: 'destruction', ...what },
      take: (reply) => expectReply(reply, system.model.destroy(connection.number, what, system.observe())),
    }),
  };
}

export function watch(scope: Scope, ack = false): Step {
  return {
    words: `watch(${JSON.stringify(scope)}, ${ack})`,
    prepare: (system, slot) => system.watch(slot, 'state', { scope, ack }),
  };
}

/**
 * Watches from where an earlier watch had come to.
 *
 * @param back how many watches have ended after that.
 */
export function resume(back = 0, how: 'rightly' | 'in another epoch' | 'in the future' = 'rightly'): Step {
  return {
    words: `resume(${back}, '${how}')`,
    prepare(system, slot, beside) {
      const from = system.positions.at(-1 - back);
      if (from === undefined) return undefined;
      const { scope } = from;
      if (how === 'in another epoch') {
        return system.watch(slot, 'reset epoch', { scope, from, epoch: '0123456789abcdef' });
      }
      if (how === 'in the future') {
        const ahead = { ...from, revision: system.model.revision + 100 };
        return system.watch(slot, 'reset epoch', { scope, from: ahead });
      }
      return system.watch(slot, system.beginningFrom(from, beside), { scope, from });
    },
  };
}

export function query(selection: Selection): Step {
  return {
    words: `query(${JSON.stringify(selection)})`,
    prepare: (system) => ({
      request: { type: 'query', detail: true, ...selection },
      take(reply) {
        const { model } = system;
        const { services, ok, revision, warming = false } = reply;
        expect([ok, warming]).toEqual([true, model.isWarming]);
        expectRecords(services, model, selection);
        const isAsked = selection.key === 'all' ? () => true : (key: string) => key === selection.key;
        const last = model.changes.findLast(({ service }) => isAsked(service.key));
        expect(revision).toBeGreaterThanOrEqual(last?.revision ?? 0);
        expect(revision).toBeLessThanOrEqual(model.revision);
      },
    }),
  };
}

export function status(): Step {
  return {
    words: 'status()',
    prepare: (system) => ({
      request: { type: 'status' },
      take(reply) {
        const { model, slots } = system;
        expect(reply).toMatchObject({
          ok: true,
          revision: model.revision,
          connections: slots.length,
          watches: slots.reduce((sum, { views }) => sum + views.size, 0),
          ...model.counts(),
        });
      },
    }),
  };
}

export function acks(key: string): Step {
  return {
    words: `acks('${key}')`,
    prepare: (system) => {
      const { revision } = system.model;
      return {
        request: { type: 'acks', key, revision },
        take(reply) {
          const acked = system.slots.flatMap(({ views, acked }) =>
            [...acked].filter(([number]) => views.get(number)?.watches(key)).map(([, upTo]) => upTo),
          );
          const acknowledged = acked.filter((upTo) => upTo >= revision).length;
          expect(reply).toEqual({ ok: true, watches: acked.length, acknowledged });
        },
      };
    },
  };
}

/** One that is paused sends it all the same, once, and reads the reply later. */
export function heartbeatUnread(number: number): Command {
  return command(`heartbeatUnread(${number})`, async (system, model) => {
    const slot = system.slot(number);
    if (slot.expected.length > 0) return;
    system.pause(slot);
    slot.connection.send({ type: 'heartbeat' });
    await system.settle();
    slot.expected.push({ ok: true, ...model.heartbeat(slot.connection.number) });
  });
}

/** @param index of the watches of that connection, the oldest is 0. */
export function unwatch(number: number, index = 0): Command {
  return command(`unwatch(${number}, ${index})`, async (system) => {
    const slot = system.slot(number);
    const watch = [...slot.views.keys()][index] ?? 1000;
    const reply = await system.ask(slot, { type: 'unwatch', watch });
    const view = slot.views.get(watch);
    if (view === undefined) {
      expect(reply).toMatchObject({ ok: false, error: { code: 'unknown_watch' } });
      return;
    }
    expect(reply).toEqual({ ok: true });
    system.check();
    system.keepPosition(view);
    slot.views.delete(watch);
    slot.acked.delete(watch);
  });
}

/** Acknowledges what the watches of a connection have seen, as far as they acknowledge. */
export function acknowledge(number: number): Command {
  return command(`acknowledge(${number})`, async (system) => {
    const slot = system.slot(number);
    if (slot.pausedAt !== undefined) await system.read(slot);
    system.check();
    for (const watch of slot.acked.keys()) {
      const revision = slot.views.get(watch)?.position.revision ?? 0;
      expect(await system.ask(slot, { type: 'ack', watch, revision })).toEqual({ ok: true });
      slot.acked.set(watch, revision);
    }
  });
}

/** What a query answers, page by page. */
export function pages(number: number, selection: Selection, limit: number): Command {
  return command(`pages(${number}, ${JSON.stringify(selection)}, ${limit})`, async (system, model) => {
    const services: unknown[] = [];
    for (let after: unknown = 0; after !== undefined; ) {
      const page = await system.ask(system.slot(number), { type: 'query', detail: true, ...selection, limit, after });
      const records = page['services'] as unknown[];
      expect(records.length).toBeLessThanOrEqual(limit);
      services.push(...records);
      after = page['next'];
    }
    expectRecords(services, model, selection);
  });
}

/** @param halves how many halves of a second pass. */
export function advance(halves: number): Command {
  return command(`advance(${halves})`, async (system, model) => {
    await system.advance(halves * 500);
    model.advance(halves * 500, system.observe());
  });
}

export function disconnect(number: number, inOrder = false): Command {
  return command(`disconnect(${number}, ${inOrder})`, async (system, model) => {
    if (!system.isOpen(number)) return;
    const { connection } = system.slot(number);
    await system.disconnect(number, inOrder);
    model.disconnect(connection.number, system.observe());
  });
}

export function restart(crash = false): Command {
  return command(`restart(${crash})`, async (system) => system.restart(crash));
}

/** The connection leaves unread what comes. */
export function pause(number: number): Command {
  return command(`pause(${number})`, async (system) => system.pause(system.slot(number)));
}

export function read(number: number): Command {
  return command(`read(${number})`, async (system) => {
    const slot = system.slot(number);
    if (slot.pausedAt !== undefined) await system.read(slot);
  });
}

/** From now on the disk takes nothing more. */
export function fillDisk(): Command {
  return command('fillDisk()', async (system) => system.setFull(true));
}

/** The disk has room again, and the daemon the time in which it finds that. */
export function freeDisk(): Command {
  return command('freeDisk()', async (system, model) => {
    if (!model.isFull) return;
    system.setFull(false);
    await system.advance(2500);
    model.recover(2500, system.observe());
  });
}

function expectReply(reply: Reply, expected: object): void {
  if ('error' in expected) expect(reply).toMatchObject({ ok: false, error: { code: expected.error } });
  else expect(reply).toEqual({ ok: true, ...expected });
}

function expectRecords(services: unknown, model: Model, selection: Selection): void {
  const expected = model.query(selection).map((record) => {
    const left = model.leftOf(record);
    // What parts with the end of the grace does so within one turn of the expiry.
    return { ...record, left: left === Number.POSITIVE_INFINITY ? 'never' : expect.closeTo(left / 1000, 1) };
  });
  expect(services).toEqual(expected);
}
