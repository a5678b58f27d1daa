import { once } from 'node:events';
import type { Client, Json, Labels, RegisterReply, Registration, Timeout } from '@reg/client';
import { parseTimeout, RegistryError, type Timer } from '@reg/protocol';
import { type Context, withClient } from '../context.js';
import { CommandError } from '../errors.js';
import { readInstance, readKey } from '../names.js';

/** As the command line has it; texts are not read yet. */
export interface RegisterArguments {
  readonly key: string;
  readonly values: string;
  readonly ttl?: string;
  /** The unnamed one where absent. */
  readonly instance?: string;
  readonly tag?: readonly string[];
  /** Each `name=text`. */
  readonly meta?: readonly string[];
  readonly weight?: string;
  /** `values` is JSON; otherwise it is the value itself. */
  readonly jsonValue?: boolean;
  /** Stays, and keeps it registered until it is interrupted. */
  readonly keep?: boolean;
}

/** What is to be registered, with everything read and checked as far as that needs no daemon. */
interface Wanted {
  readonly key: string;
  readonly instance: string | undefined;
  readonly values: Json;
  readonly ttl: Timeout;
  readonly labels: Labels;
}

/** Registers an instance once, to live for its ttl, or keeps it registered until it is interrupted. */
export async function register(given: RegisterArguments, context: Context): Promise<void> {
  const wanted: Wanted = {
    key: readKey(given.key),
    instance: readInstance(given.instance),
    values: given.jsonValue ? readJson(given.values) : given.values,
    ttl: readTtl(given.ttl),
    labels: readLabels(given),
  };
  await (given.keep ? keep(wanted, context) : registerOnce(wanted, context));
}

async function registerOnce(wanted: Wanted, context: Context): Promise<void> {
  const { key, instance, values, ttl, labels } = wanted;
  const { output, signal } = context;
  const message = { key, ...(instance !== undefined && { instance }), values, timeout: ttl, ...labels };
  const reply = await withClient(context, (client) => client.request('register', message, { signal }));
  const { result, revision, generation, registered } = reply;
  output.result(
    { key, ...(instance !== undefined && { instance }), result, revision, generation, registered },
    whatWasDone(wanted, result),
  );
}

function whatWasDone(wanted: Wanted, result: RegisterReply['result']): string {
  const { ttl } = wanted;
  return `${result} ${nameOf(wanted)} ${ttl === 'never' ? 'until it is destroyed' : `for ${ttl} s`}`;
}

/** It goes on trying where the registry is away, but only for `--timeout` before it was registered once. */
async function keep(wanted: Wanted, context: Context): Promise<void> {
  const action = async (client: Client): Promise<void> => {
    const registration = await establish(client, wanted, context);
    await interrupted(context);
    await end(registration, wanted, context);
  };
  await withClient(context, action, { reconnect: {} });
}

async function establish(client: Client, wanted: Wanted, context: Context): Promise<Registration> {
  const { key, instance, values, ttl, labels } = wanted;
  const { output, signal } = context;
  client.once('retry', ({ error }) => output.note('retry', `no connection yet (${error.message}): trying again`));
  const registration = await client.register(key, values, { ...labels, ttl, instance: instance ?? null, signal });
  client.removeAllListeners('retry');
  reportLosses(registration, wanted, context);
  const { revision, generation } = registration;
  const text = `registered ${nameOf(wanted)}, and keeping it registered; Ctrl-C destroys it`;
  output.result({ key, ...(instance !== undefined && { instance }), revision, generation }, text);
  return registration;
}

const LOST = {
  expired: 'no heartbeat was confirmed for the whole of its ttl',
  forgotten: 'the registry had forgotten it',
  refused: 'the registry refuses it',
} as const;

function reportLosses(registration: Registration, wanted: Wanted, { output }: Context): void {
  const name = nameOf(wanted);
  registration.on('lost', ({ reason, error }) => {
    output.warn('lost', `lost ${name}: ${LOST[reason]}${error === undefined ? '' : `: ${error.message}`}`);
  });
  registration.on('recovered', ({ lostFor }) => {
    output.note('recovered', `recovered ${name} after ${(lostFor / 1000).toFixed(1)} s`);
  });
}

async function end(registration: Registration, wanted: Wanted, { output }: Context): Promise<void> {
  try {
    await registration.close();
  } catch (error) {
    const rest = wanted.ttl === 'never' ? 'it stays' : 'it stays until its ttl is over';
    output.warn('left', `${nameOf(wanted)} could not be destroyed: ${rest}`);
    throw error;
  }
  output.note('destroyed', `destroyed ${nameOf(wanted)}`);
}

/** Some 12 days, which is within what Node's timers hold; then it begins anew. */
const STAY_MS = 2 ** 30;

/** Stays until Ctrl-C. A client keeps no process alive. */
async function interrupted({ signal, clock }: Context): Promise<void> {
  let timer: Timer | undefined;
  const stay = (): void => {
    timer = clock.after(STAY_MS, stay);
    timer.ref();
  };
  stay();
  if (!signal.aborted) await once(signal, 'abort');
  timer?.cancel();
}

/** A service and its instance as one word. */
function nameOf({ key, instance }: Wanted): string {
  return instance === undefined ? key : `${key}/${instance}`;
}

function readJson(text: string): Json {
  try {
    // JSON.parse makes Infinity of 1e999, and what is sent would be null.
    return JSON.parse(text, (_, value) => {
      if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
        throw new RangeError('a number is beyond the range of a double');
      }
      return value;
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError('usage', `with --json-value the value must be JSON: ${reason}`, { cause });
  }
}

function readTtl(text: string | undefined): Timeout {
  try {
    return parseTimeout(text);
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    const message = `--ttl must be seconds above 0 and at most ten years, such as 30 or 0.5, or never, not "${text}"`;
    throw new RegistryError(error.code, message, { cause: error });
  }
}

function readLabels({ tag, meta, weight }: RegisterArguments): Labels {
  return {
    ...(tag && { tags: tag }),
    ...(meta && { meta: Object.fromEntries(meta.map(readPair)) }),
    ...(weight !== undefined && { weight: readWeight(weight) }),
  };
}

function readPair(pair: string): [string, string] {
  const end = pair.indexOf('=');
  if (end < 1) throw new CommandError('usage', `--meta must be name=text, such as zone=eu-1, not "${pair}"`);
  return [pair.slice(0, end), pair.slice(end + 1)];
}

function readWeight(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new CommandError('usage', `--weight must be a whole number from 0 to 65535, not "${text}"`);
}
