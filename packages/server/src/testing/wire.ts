/**
 * A connection in memory between a client and the daemon, with a network between them that a test can spoil. As
 * with a socket, some bytes may be on their way before the writer has to wait, and who is destroyed tells the other
 * side through the network: in a partition, not before it is healed.
 */

import { Duplex } from 'node:stream';
import type { Clock } from '@reg/protocol';

/** So many bytes may be on their way in one direction. */
const WINDOW_BYTES = 64 * 1024;

/** What is so for every connection of one network. A wire looks at it whenever it has something to move. */
export interface Network {
  readonly clock: Clock;
  /** Nothing moves. */
  isCut: boolean;
  /** How long bytes are on their way, in ms. */
  delay: number;
  /** How often something has arrived anywhere, so that one can see whether anything still moves. */
  moves: number;
  /** Serves the daemon's end of a connection. @returns whether there is a daemon that listens. */
  readonly accept: (stream: Duplex) => boolean;
}

export class Wire {
  /** The client's end, and the daemon's. */
  readonly near: End;
  readonly #far: End;
  readonly #network: Network;
  readonly #lanes: readonly [Lane, Lane];
  /** By the network's clock; `undefined` when it has opened. */
  #opensAt: number | undefined;
  #closedEnds = 0;

  /** @param onClosed is told when both ends are closed. */
  constructor(network: Network, onClosed: () => void) {
    const there = new Lane(network);
    const back = new Lane(network);
    this.near = new End(there, back, false);
    this.#far = new End(back, there, true);
    there.join(this.near, this.#far);
    back.join(this.#far, this.near);
    this.#network = network;
    this.#lanes = [there, back];
    for (const end of [this.near, this.#far]) {
      end.once('close', () => {
        this.#closedEnds += 1;
        if (this.#closedEnds === 2) onClosed();
      });
    }
    // A handshake goes there and back.
    this.#opensAt = network.clock.monotonic() + 2 * network.delay;
    if (network.delay > 0) network.clock.after(2 * network.delay, () => this.move());
    this.move();
    this.near.connecting = this.#opensAt !== undefined;
  }

  /** Moves what may move now. */
  move(): void {
    if (this.#network.isCut) return;
    if (this.#opensAt !== undefined) this.#open(this.#opensAt);
    for (const lane of this.#lanes) lane.move();
  }

  /** Breaks it at both ends at once, whatever the network is like. */
  break(): void {
    this.near.destroy(errorOf('ECONNRESET'));
    this.#far.destroy();
  }

  /** Forgets it. */
  end(): void {
    this.near.destroy();
    this.#far.destroy();
  }

  /** Breaks the daemon's end, as the end of its process does. */
  breakFar(): void {
    if (this.#opensAt === undefined) this.#far.destroy();
  }

  #open(opensAt: number): void {
    if (this.near.destroyed) {
      this.#far.destroy();
    } else if (opensAt <= this.#network.clock.monotonic()) {
      this.#opensAt = undefined;
      if (!this.#network.accept(this.#far)) {
        this.#far.destroy();
        this.near.destroy(errorOf('ECONNREFUSED'));
      } else if (this.near.connecting) {
        this.near.connecting = false;
        this.near.emit('connect');
      }
    }
  }
}

class End extends Duplex {
  /** As a socket's. */
  connecting = false;
  readonly #out: Lane;
  readonly #in: Lane;

  constructor(out: Lane, incoming: Lane, allowHalfOpen: boolean) {
    super({ allowHalfOpen });
    this.#out = out;
    this.#in = incoming;
  }

  override _read(): void {
    this.#in.pull();
  }

  override _write(bytes: Buffer, _: BufferEncoding, done: () => void): void {
    this.#out.send(bytes, done);
  }

  override _final(done: () => void): void {
    this.#out.send(null, done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.writableFinished) this.#out.send(null, () => {});
    // What comes now is not kept for a reader that is gone.
    this.#in.move();
    done(error);
  }
}

/** One direction of a wire. */
class Lane {
  readonly #network: Network;
  #writer: End | undefined;
  #reader: End | undefined;
  /** On their way, in order; `null` is the end. */
  #parcels: { readonly bytes: Buffer | null; readonly due: number }[] = [];
  #bytes = 0;
  /** The writer that waits for the window. */
  #onRoom: (() => void) | undefined;
  #isWanted = false;

  constructor(network: Network) {
    this.#network = network;
  }

  join(writer: End, reader: End): void {
    this.#writer = writer;
    this.#reader = reader;
  }

  send(bytes: Buffer | null, done: () => void): void {
    const { clock, delay } = this.#network;
    this.#parcels.push({ bytes, due: clock.monotonic() + delay });
    this.#bytes += bytes?.length ?? 0;
    if (this.#bytes > WINDOW_BYTES) this.#onRoom = done;
    else done();
    if (delay > 0) clock.after(delay, () => this.move());
    else this.move();
  }

  pull(): void {
    this.#isWanted = true;
    this.move();
  }

  /** Hands over what has arrived and is wanted. */
  move(): void {
    const { clock } = this.#network;
    for (;;) {
      const next = this.#parcels[0];
      if (this.#network.isCut || next === undefined || next.due > clock.monotonic()) return;
      if (next.bytes !== null && !this.#isWanted && !this.#reader?.destroyed) return;
      this.#parcels.shift();
      this.#network.moves += 1;
      this.#handOver(next.bytes);
    }
  }

  #handOver(bytes: Buffer | null): void {
    if (bytes !== null) {
      this.#bytes -= bytes.length;
      // What arrives where nobody is any more is answered with a reset.
      if (this.#reader?.destroyed) this.#writer?.destroy(errorOf('ECONNRESET'));
      else this.#isWanted = this.#reader?.push(bytes) ?? false;
    } else if (!this.#reader?.destroyed) {
      this.#reader?.push(null);
    }
    if (this.#bytes > WINDOW_BYTES) return;
    const onRoom = this.#onRoom;
    this.#onRoom = undefined;
    onRoom?.();
  }
}

function errorOf(code: 'ECONNRESET' | 'ECONNREFUSED'): Error {
  const text = code === 'ECONNRESET' ? 'the connection was reset' : 'nobody listens there';
  return Object.assign(new Error(`${code}: ${text}`), { code });
}
