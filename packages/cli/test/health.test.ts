import { setImmediate as nextTurn } from 'node:timers/promises';
import { ManualClock } from '@reg/protocol/testing';
import { describe, expect, it } from 'vitest';
import { Health } from '../src/health.js';

/** A health whose looks find what the test says. */
class Patient {
  /** What was told, in order. */
  readonly told: string[] = [];
  looks = 0;
  readonly health: Health;
  readonly #clock = new ManualClock();
  #finding: 'well' | 'ill' | 'silent';

  constructor(interval: number, finding: 'well' | 'ill' | 'silent') {
    this.#finding = finding;
    this.health = new Health((signal) => this.#look(signal), interval, this.#clock, {
      passing: () => this.told.push('passing'),
      critical: (reason) => this.told.push(`critical: ${reason}`),
      waiting: (reason) => this.told.push(`waiting: ${reason}`),
    });
    this.health.start();
  }

  /** From now on its looks find something else. */
  turn(finding: 'well' | 'ill' | 'silent'): void {
    this.#finding = finding;
  }

  async pass(ms: number): Promise<void> {
    await nextTurn();
    for (let left = ms; left > 0; left -= 50) {
      this.#clock.advance(Math.min(50, left));
      await nextTurn();
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    this.looks += 1;
    if (this.#finding === 'ill') throw new Error('closed');
    if (this.#finding === 'well') return;
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('no answer'))));
  }
}

describe('health', () => {
  it('passes at the first look that does', async () => {
    const patient = new Patient(2000, 'well');
    await patient.pass(0);
    expect(patient.told).toEqual(['passing']);
  });

  it('looks once in each interval', async () => {
    const patient = new Patient(2000, 'well');
    await patient.pass(1950);
    expect(patient.looks).toBe(1);
    await patient.pass(50);
    expect(patient.looks).toBe(2);
    await patient.pass(2000);
    expect(patient.looks).toBe(3);
  });

  it('says once that it does not pass yet, and looks more often until it does', async () => {
    const patient = new Patient(2000, 'ill');
    await patient.pass(1000);
    expect(patient.told).toEqual(['waiting: closed']);
    expect(patient.looks).toBe(5);
    patient.turn('well');
    await patient.pass(250);
    expect(patient.told).toEqual(['waiting: closed', 'passing']);
    await patient.pass(1000);
    expect(patient.looks).toBe(6);
  });

  it('is never critical before it has passed once', async () => {
    const patient = new Patient(100, 'ill');
    await patient.pass(5000);
    expect(patient.told).toEqual(['waiting: closed']);
  });

  it('is critical after two looks in a row that fail, and passes after one that does not', async () => {
    const patient = new Patient(1000, 'well');
    await patient.pass(0);
    patient.turn('ill');
    await patient.pass(1000);
    expect(patient.told).toEqual(['passing']);
    await patient.pass(1000);
    expect(patient.told).toEqual(['passing', 'critical: closed']);
    await patient.pass(3000);
    patient.turn('well');
    await patient.pass(1000);
    expect(patient.told).toEqual(['passing', 'critical: closed', 'passing']);
  });

  it('makes nothing of one look that fails', async () => {
    const patient = new Patient(1000, 'well');
    for (const finding of ['ill', 'well', 'ill', 'well'] as const) {
      await patient.pass(0);
      patient.turn(finding);
      await patient.pass(1000);
    }
    expect(patient.told).toEqual(['passing']);
  });

  it('gives a look up that takes longer than the interval, and a second', async () => {
    const slow = new Patient(3000, 'silent');
    await slow.pass(2950);
    expect(slow.told).toEqual([]);
    await slow.pass(50);
    expect(slow.told).toEqual(['waiting: no answer']);
    const quick = new Patient(100, 'silent');
    await quick.pass(950);
    expect(quick.told).toEqual([]);
    await quick.pass(50);
    expect(quick.told).toEqual(['waiting: no answer']);
  });

  it('says nothing once it is stopped, also of a look that was under way', async () => {
    const patient = new Patient(1000, 'silent');
    patient.health.stop();
    await patient.pass(5000);
    expect({ told: patient.told, looks: patient.looks }).toEqual({ told: [], looks: 1 });
  });
});
