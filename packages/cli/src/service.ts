/** The registration of something that runs beside regctl: it begins when that works, and says when it does not. */

import type { Client, OwnStatus, Registration } from '@reg/client';
import { reportLosses } from './commands/register.js';
import type { Context } from './context.js';
import type { HealthHandler } from './health.js';
import { nameOf } from './names.js';
import { within } from './stay.js';
import type { Wanted } from './wanted.js';

/**
 * How long the registry is waited for beyond what a drain takes, in ms: whatever is not destroyed by then ends with
 * its linger, or its ttl.
 */
const FAREWELL_MS = 2000;

export class Service implements HealthHandler {
  readonly #client: Client;
  readonly #wanted: Wanted;
  readonly #context: Context;
  #registration: Promise<Registration> | undefined;

  /** It registers nothing yet, and does not mind whether there is a registry. */
  constructor(wanted: Wanted, context: Context) {
    this.#wanted = wanted;
    this.#context = context;
    this.#client = context.connect({ reconnect: {} });
    this.#client.once('retry', ({ error }) => {
      context.output.note('retry', `no connection yet (${error.message}): trying again`);
    });
  }

  passing(): void {
    if (!this.#registration) {
      this.#registration = this.#register();
      return;
    }
    this.#context.output.note('passing', `${nameOf(this.#wanted)} passes again`);
    void this.#setStatus(this.#registration, 'passing');
  }

  critical(reason: string): void {
    this.#context.output.warn('critical', `${nameOf(this.#wanted)} is critical: ${reason}`);
    if (this.#registration) void this.#setStatus(this.#registration, 'critical');
  }

  waiting(reason: string): void {
    this.#context.output.note('waiting', `${nameOf(this.#wanted)} is not registered yet: ${reason}`);
  }

  /** Tells those who watch that it is leaving, and waits until they know, or until `timeout`, in ms, is over. */
  async drain(timeout: number): Promise<void> {
    const registration = await this.#registration;
    if (!registration || registration.state === 'closed') return;
    const { output, clock } = this.#context;
    output.note('draining', `draining ${nameOfRegistration(registration)}`);
    const drained = registration.drain({ timeout }).then(({ watches, acknowledged }) => {
      const told = watches === 0 ? 'no watch is waited for' : `${acknowledged} of ${watches} watches have seen it`;
      output.note('drained', `drained ${nameOfRegistration(registration)}: ${told}`);
    });
    await within(clock, timeout + FAREWELL_MS, drained);
  }

  /** It does not run any more. */
  async end(): Promise<void> {
    const registration = await this.#registration;
    if (!registration) return;
    const { output, clock } = this.#context;
    const name = nameOfRegistration(registration);
    if (await within(clock, FAREWELL_MS, registration.close())) {
      output.note('destroyed', `destroyed ${name}`);
      await this.#client.close();
    } else {
      output.warn('left', `${name} could not be destroyed: it stays until its linger, or its ttl, is over`);
    }
  }

  async #register(): Promise<Registration> {
    const { key, instance, values, ttl, linger, takeover, labels } = this.#wanted;
    const { output } = this.#context;
    const registration = await this.#client.register(key, values, {
      ...labels,
      ttl,
      takeover,
      background: true,
      ...(instance !== undefined && { instance }),
      ...(linger !== undefined && { linger }),
    });
    const name = nameOfRegistration(registration);
    registration.once('registered', () => output.note('registered', `registered ${name}`));
    registration.once('refused', ({ error }) => output.warn('refused', `${name} is refused: ${error.message}`));
    reportLosses(registration, name, this.#context);
    return registration;
  }

  async #setStatus(registration: Promise<Registration>, status: Exclude<OwnStatus, 'draining'>): Promise<void> {
    try {
      await (await registration).setStatus(status);
    } catch {
      // It goes out with the next renewal; whatever else is wrong with the registration is told by itself.
    }
  }
}

function nameOfRegistration({ key, instance }: Registration): string {
  return nameOf({ key, instance: instance ?? undefined });
}
