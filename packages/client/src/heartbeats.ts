/**
 * The one heartbeat of a client, which renews all that its connection holds. `#members` are the registrations that are
 * open; `#held` those of them that the registry has confirmed over the present connection, and so what its reply to a
 * heartbeat speaks of. Whatever is not held is a registration's own affair; see `Renewals`.
 */

import {
  type EndedInstance,
  type EndReason,
  EVERY_INSTANCE,
  type HeartbeatReply,
  type RegistryError,
  type Timer,
} from '@reg/protocol';
import { ClosedError } from './errors.js';
import { type Block, LoopWatch } from './lag.js';
import type { Link, LinkUser } from './link.js';
import type { Call } from './requests.js';
import { firstHeartbeatDelay, heartbeatDelay, heartbeatPatience } from './schedule.js';
import { encodeLine } from './wire.js';

/** A registration as its heartbeats see it. */
export interface Member {
  readonly key: string;
  /** `null` for the unnamed one. */
  readonly instance: string | null;
  readonly generation: number | undefined;
  /** ms; `Infinity` for never. */
  readonly ttl: number;
  connected(): void;
  disconnected(): void;
  gaveUp(makeError: () => RegistryError): void;
  /** A heartbeat that was sent at this moment, by the monotonic clock, has renewed it. */
  renewed(sentAt: number): void;
  /** Registers it again. */
  renew(): void;
  /** The registry says that it is gone. */
  ended(reason: EndReason): void;
  /** This process stood still. `beatAt` is when the heartbeat was sent whose reply is still to be read, if there is one. */
  stoodStill(beatAt: number | undefined): void;
}

const NEVER = Number.POSITIVE_INFINITY;

export class Heartbeats implements LinkUser {
  readonly link: Link;
  readonly #loop: LoopWatch;
  readonly #members = new Set<Member>();
  /** How many members there are of each ttl. */
  readonly #ttls = new Map<number, number>();
  readonly #held = new Set<Member>();
  /** Destructions that failed: the connection may still hold what they were to end. */
  readonly #unwanted = new Set<string>();
  /** The one in flight. */
  #call: Call<'heartbeat'> | undefined;
  /** How many have become held since it was made; the registry renews them as well, and counts them. */
  #joined = 0;
  /** How many more the connection held by the last reply than are counted here, such as what was released. */
  #surplus = 0;
  /** When the next is to be made, by the monotonic clock. */
  #due = NEVER;
  #timer: Timer | undefined;

  /** @param onBlock is told when this process stood still for more than a third of the shortest ttl. */
  constructor(link: Link, onBlock: (block: Block) => void) {
    this.link = link;
    this.#loop = new LoopWatch(link.settings.clock, (block) => {
      onBlock(block);
      for (const member of this.#members) member.stoodStill(this.#call?.sentAt);
    });
  }

  /** Looks whether this process stood still, and tells if so. */
  look(): void {
    this.#loop.look();
  }

  /** How long this process stood still, where it did so at a moment by the monotonic clock. */
  blockAt(moment: number): Block | undefined {
    this.#loop.look();
    return this.#loop.blockAt(moment);
  }

  join(member: Member): void {
    if (this.#members.size === 0) this.link.join(this);
    this.#members.add(member);
    this.#ttls.set(member.ttl, (this.#ttls.get(member.ttl) ?? 0) + 1);
    this.#loop.guard(this.#shortest());
  }

  leave(member: Member): void {
    if (!this.#members.delete(member)) return;
    this.#held.delete(member);
    const others = (this.#ttls.get(member.ttl) ?? 0) - 1;
    if (others > 0) this.#ttls.set(member.ttl, others);
    else this.#ttls.delete(member.ttl);
    this.#loop.guard(this.#shortest());
    if (this.#held.size === 0) this.#arm(NEVER);
    if (this.#members.size === 0) this.link.leave(this);
  }

  /** The registry has confirmed a member over the present connection, by a request that was sent at this moment. */
  hold(member: Member, sentAt: number): void {
    if (!this.#members.has(member)) return;
    const delay = this.#held.size === 0 ? firstHeartbeatDelay : heartbeatDelay;
    if (!this.#held.has(member)) this.#joined += 1;
    this.#held.add(member);
    const due = sentAt + delay(member.ttl, this.link.settings.random);
    if (due < this.#due) this.#arm(due);
  }

  /**
   * A destruction has failed. While there are heartbeats they would renew for ever what nobody wants, so each tries it
   * again; where the connection goes, linger and ttl see to it.
   *
   * @param line the request, which ends nothing but its owner's.
   */
  disown(line: string): void {
    if (this.link.open) this.#unwanted.add(line);
  }

  /** This client may have destroyed these, which no heartbeat names: registering again tells whether they were its own. */
  destroyed(key: string, instance: string | null): void {
    for (const member of this.#members) {
      if (member.key === key && (instance === EVERY_INSTANCE || member.instance === instance)) member.renew();
    }
  }

  connected(): void {
    for (const member of this.#members) member.connected();
  }

  disconnected(): void {
    this.#held.clear();
    this.#unwanted.clear();
    this.#surplus = 0;
    this.#arm(NEVER);
    // Another connection knows nothing of what this one held.
    if (this.#call) this.link.cancel(this.#call, new ClosedError());
    this.#call = undefined;
    for (const member of this.#members) member.disconnected();
  }

  gaveUp(makeError: () => RegistryError): void {
    for (const member of this.#members) member.gaveUp(makeError);
  }

  #shortest(): number {
    return Math.min(NEVER, ...this.#ttls.keys());
  }

  /** The next comes when it is due, and not before the one in flight is answered. */
  #arm(due: number): void {
    this.#due = due;
    this.#timer?.cancel();
    if (due === NEVER || this.#call) return;
    const { clock } = this.link.settings;
    this.#timer = clock.after(Math.max(0, due - clock.monotonic()), () => this.#beat());
  }

  #beat(): void {
    this.#loop.look();
    const { clock, random, requestTimeout } = this.link.settings;
    const ttl = this.#shortest();
    const patience = heartbeatPatience(ttl, requestTimeout);
    const held = [...this.#held];
    this.#joined = 0;
    this.#destroyUnwanted();
    const call = this.link.call('heartbeat', encodeLine('heartbeat', {}), {
      timeout: patience,
      patience,
      lasting: true,
    });
    this.#call = call;
    this.#due = clock.monotonic() + heartbeatDelay(ttl, random);
    call.result.then(
      (reply) => this.#answered(call, reply, held),
      () => this.#failed(call),
    );
  }

  #destroyUnwanted(): void {
    const { requestTimeout: timeout } = this.link.settings;
    for (const line of this.#unwanted) {
      this.#unwanted.delete(line);
      this.link.call('destruction', line, { timeout }).result.then(
        ({ removed }) => {
          this.#surplus -= removed;
        },
        () => this.disown(line),
      );
    }
  }

  /** @param held what was held when it was made: no more than that it has renewed for certain. */
  #answered(call: Call<'heartbeat'>, reply: HeartbeatReply, held: readonly Member[]): void {
    this.#loop.look();
    const present = this.#over(call);
    const ended = matchEnded(held, reply.ended ?? []);
    const rest = held.filter((member) => !ended.has(member) && this.#members.has(member));
    // Where it holds less than it did, nobody has named what is missing: it may be any of them.
    const counted = held.length + this.#joined;
    const isWhole = reply.held >= counted + this.#surplus - (reply.ended?.length ?? 0);
    if (present) this.#surplus = Math.max(0, reply.held - (counted - ended.size));
    if (isWhole) {
      for (const member of rest) member.renewed(call.sentAt ?? this.link.settings.clock.monotonic());
    } else if (present) {
      for (const member of rest) member.renew();
    }
    for (const [member, reason] of ended) {
      this.#held.delete(member);
      if (this.#members.has(member)) member.ended(reason);
    }
  }

  /** The connection stands, but the daemon takes no heartbeat: a registration renews as well. */
  #failed(call: Call<'heartbeat'>): void {
    if (this.#over(call)) for (const member of this.#held) member.renew();
  }

  /** Whether it was of the present connection. The next is seen to before anybody is told of this one. */
  #over(call: Call<'heartbeat'>): boolean {
    if (this.#call !== call) return false;
    this.#call = undefined;
    this.#arm(this.#held.size === 0 ? NEVER : this.#due);
    return true;
  }
}

/** Which of the members are meant. One of the same name and another generation is not. */
function matchEnded(members: readonly Member[], ended: readonly EndedInstance[]): Map<Member, EndReason> {
  const found = new Map<Member, EndReason>();
  if (ended.length === 0) return found;
  const reasons = new Map(ended.map((instance) => [nameOf(instance), instance.reason]));
  for (const member of members) {
    const reason = reasons.get(nameOf(member));
    if (reason !== undefined) found.set(member, reason);
  }
  return found;
}

/** One word for a generation of an instance: no name holds a slash. */
function nameOf({
  key,
  instance,
  generation,
}: Pick<Member, 'key' | 'instance' | 'generation'> | EndedInstance): string {
  return `${key}/${instance ?? ''}/${generation}`;
}
