/**
 * A TCP proxy that does to its connections what networks do. Each connection through it is a flow with a near end,
 * the client's, and a far end, the daemon's. What happens to bytes and to closings the mode says, at the moment
 * at which they come by.
 */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * `pass`: as if there were no proxy.
 * `hold`: nothing is read from either end, and nothing is lost: a network that stalls.
 * `delay`: everything comes, later.
 * `reset`: what is open is reset, and so is who dials: a port that is closed.
 * `blackhole`: bytes and closings are swallowed, also those of new connections: a cable that was pulled. A flow that
 * has lost something stays dead afterwards, and who still uses it gets a reset, as from a firewall that forgot it.
 * `ghost`: the client's ends are reset at once, the daemon's stay open until the mode changes. Who dials passes.
 * `orphan`: the daemon's ends are reset at once, the client's stay open until the mode changes. Who dials passes.
 */
export type Mode = 'pass' | 'hold' | 'delay' | 'reset' | 'blackhole' | 'ghost' | 'orphan';

export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #flows = new Set<Flow>();
  #mode: Mode = 'pass';
  #delay = 0;

  private constructor(target: number) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
      if (this.#mode === 'reset') near.resetAndDestroy();
      else this.#open(near, target);
    });
  }

  /** @param target the port, on loopback, to which it leads. */
  static async open(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy is closed');
    return address.port;
  }

  /** How many connections there are, or half of one. */
  get flows(): number {
    return this.#flows.size;
  }

  /** @param delay ms by which everything is late; for the mode of that name. */
  set(mode: Mode, delay = 100): void {
    this.#mode = mode;
    this.#delay = delay;
    for (const flow of [...this.#flows]) flow.enter(mode, delay);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.set('reset');
    this.#server.close();
    await once(this.#server, 'close');
  }

  #open(near: Socket, target: number): void {
    const flow = new Flow(near, target, () => this.#flows.delete(flow));
    this.#flows.add(flow);
    // It is new: what `ghost` and `orphan` do is for those that were open before.
    flow.enter(this.#mode === 'ghost' || this.#mode === 'orphan' ? 'pass' : this.#mode, this.#delay);
  }
}

/** One of a flow's two directions: where bytes come from, where they go, and what is on its way between. */
interface Direction {
  readonly from: Socket;
  readonly to: Socket;
  /** What is delayed, the oldest first, and the monotonic ms at which it is due. Nothing overtakes it. */
  readonly delayed: { readonly due: number; readonly action: () => void }[];
  /** `to` does not take any more: then nothing more is read, as without a proxy. */
  full: boolean;
}

class Flow {
  readonly #directions: readonly [Direction, Direction];
  readonly #onEnd: () => void;
  #mode: Mode = 'pass';
  #delay = 0;
  /** Bytes or a closing were swallowed. */
  #dead = false;
  /** One end is over. */
  #halved = false;
  #open = 2;

  constructor(near: Socket, target: number, onEnd: () => void) {
    this.#onEnd = onEnd;
    const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.#directions = [
      { from: near, to: far, delayed: [], full: false },
      { from: far, to: near, delayed: [], full: false },
    ];
    for (const direction of this.#directions) this.#carry(direction);
  }

  enter(mode: Mode, delay: number): void {
    const [{ from: near, to: far }] = this.#directions;
    const wasHalved = this.#mode === 'ghost' || this.#mode === 'orphan';
    this.#mode = mode;
    this.#delay = delay;
    if (mode === 'reset' || (wasHalved && mode !== 'ghost' && mode !== 'orphan')) this.#reset(near, far);
    else if (mode === 'ghost') this.#reset(near);
    else if (mode === 'orphan') this.#reset(far);
    else if (mode !== 'blackhole' && this.#dead && this.#halved) this.#reset(near, far);
    for (const direction of this.#directions) this.#flow(direction);
  }

  #carry(direction: Direction): void {
    const { from, to } = direction;
    from.on('data', (bytes) => {
      this.#pass(direction, () => {
        if (to.destroyed || to.write(bytes)) return;
        direction.full = true;
        this.#flow(direction);
      });
    });
    to.on('drain', () => {
      direction.full = false;
      this.#flow(direction);
    });
    from.on('end', () => {
      this.#halved = true;
      this.#pass(direction, () => to.end());
    });
    from.on('error', () => {});
    from.on('close', (hadError) => {
      this.#halved = true;
      this.#open -= 1;
      if (this.#open === 0) this.#onEnd();
      else if (hadError) this.#pass(direction, () => this.#reset(to));
      else this.#pass(direction, () => to.end());
    });
  }

  /** Lets something through, now or later, or swallows it. */
  #pass(direction: Direction, action: () => void): void {
    if (this.#mode === 'blackhole' || this.#mode === 'ghost' || this.#mode === 'orphan') this.#dead = true;
    else if (this.#dead) this.#reset(direction.from, direction.to);
    else if (this.#mode !== 'delay' && direction.delayed.length === 0) action();
    else {
      direction.delayed.push({ due: performance.now() + (this.#mode === 'delay' ? this.#delay : 0), action });
      if (direction.delayed.length === 1) setTimeout(() => this.#deliver(direction), this.#delay);
    }
  }

  #deliver(direction: Direction): void {
    const now = performance.now();
    for (let next = direction.delayed[0]; next !== undefined; next = direction.delayed[0]) {
      if (next.due > now) {
        setTimeout(() => this.#deliver(direction), next.due - now);
        return;
      }
      next.action();
      direction.delayed.shift();
    }
  }

  #flow({ from, full }: Direction): void {
    if (this.#mode === 'hold' || full) from.pause();
    else from.resume();
  }

  #reset(...sockets: readonly Socket[]): void {
    for (const socket of sockets) if (!socket.destroyed) socket.resetAndDestroy();
  }
}
