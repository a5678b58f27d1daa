import { type Client, type LostEvent, type RegisterReply, type Registration, RegistryError } from '@reg/client';
import { type Context, withClient } from '../context.js';
import { lapse } from '../duration.js';
import { CommandError } from '../errors.js';
import { nameOf } from '../names.js';
import { aborted, stay } from '../stay.js';
import { readWanted, type Wanted, type WantedArguments } from '../wanted.js';

export interface RegisterArguments extends WantedArguments {
  /** Stays, and keeps it registered until it is interrupted. */
  readonly keep?: boolean;
}

/** Registers an instance once, to live for its ttl, or keeps it registered until it is interrupted. */
export async function register(given: RegisterArguments, context: Context): Promise<void> {
  const wanted = readWanted(given);
  if (wanted.linger !== undefined && !given.keep) {
    throw new CommandError('usage', '--linger goes with --keep: without it the connection ends with the command');
  }
  await (given.keep ? keep(wanted, context) : registerOnce(wanted, context));
}

async function registerOnce(wanted: Wanted, context: Context): Promise<void> {
  const { key, instance, values, ttl, takeover, status, labels } = wanted;
  const { output, signal } = context;
  const name = { key, ...(instance !== undefined && { instance }) };
  const message = {
    ...name,
    values,
    timeout: ttl,
    ...labels,
    ...(status && { status }),
    ...(takeover && { takeover }),
  };
  const reply = await withClient(context, (client) => client.request('register', message, { signal }));
  const { result, revision, generation, registered } = reply;
  output.result({ ...name, result, revision, generation, registered }, whatWasDone(wanted, result));
}

function whatWasDone(wanted: Wanted, result: RegisterReply['result']): string {
  const { ttl } = wanted;
  return `${result} ${nameOf(wanted)} ${ttl === 'never' ? 'until it is destroyed' : `for ${ttl} s`}`;
}

/** It goes on trying where the registry is away, but only for `--timeout` before it was registered once. */
async function keep(wanted: Wanted, context: Context): Promise<void> {
  const action = async (client: Client): Promise<void> => {
    const registration = await establish(client, wanted, context);
    const leave = stay(context.clock);
    try {
      await Promise.race([aborted(context.signal), ended(registration)]);
    } finally {
      leave();
    }
    await end(registration, wanted, context);
  };
  await withClient(context, action, { reconnect: {} });
}

async function establish(client: Client, wanted: Wanted, context: Context): Promise<Registration> {
  const { key, instance, values, ttl, linger, takeover, status, labels } = wanted;
  const { output, signal } = context;
  client.once('retry', ({ error }) => output.note('retry', `no connection yet (${error.message}): trying again`));
  const registration = await client.register(key, values, {
    ...labels,
    ttl,
    instance: instance ?? null,
    takeover,
    signal,
    ...(linger !== undefined && { linger }),
    ...(status && { status }),
  });
  client.removeAllListeners('retry');
  reportLosses(registration, nameOf(wanted), context);
  const { revision, generation } = registration;
  const text = `registered ${nameOf(wanted)}, and keeping it registered; Ctrl-C destroys it`;
  output.result({ key, ...(instance !== undefined && { instance }), revision, generation }, text);
  return registration;
}

const LOST: Readonly<Record<LostEvent['reason'], string>> = {
  expired: 'no heartbeat was confirmed for the whole of its ttl',
  blocked: 'this process stood still for the whole of its ttl',
  forgotten: 'the registry had forgotten it',
  refused: 'the registry refuses it',
  destroyed: 'somebody destroyed it, and it is not registered again',
  superseded: 'another process has taken it over, and it is not registered again',
};

/** Says when a registration is lost, and when the registry has it again. */
export function reportLosses(registration: Registration, name: string, { output }: Pick<Context, 'output'>): void {
  registration.on('lost', ({ reason, error }) => {
    const why = reason === 'refused' && error ? `: ${error.message}` : '';
    output.warn('lost', `lost ${name}: ${LOST[reason]}${why}`);
  });
  registration.on('recovered', ({ lostFor }) => output.note('recovered', `recovered ${name} after ${lapse(lostFor)}`));
}

/** Rejects when it was ended by somebody else, which is for good; otherwise never settles. */
function ended(registration: Registration): Promise<never> {
  return new Promise((_, reject) => {
    registration.on('lost', ({ reason }) => {
      if (reason === 'destroyed' || reason === 'superseded') reject(new RegistryError(reason));
    });
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
