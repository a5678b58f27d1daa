import type { StatusReply } from '@reg/client';
import { describe, expect, it } from 'vitest';
import { describe as describeStatus } from '../src/commands/status.js';
import { deadAddr, regctl, session } from './regctl.js';

const NOW = Date.UTC(2026, 0, 1);

function reply(fields: Partial<StatusReply> = {}): StatusReply {
  return {
    server: 'reg',
    version: '1.2.3',
    pid: 42,
    started: NOW - 7_200_000,
    epoch: 'e1',
    revision: 7,
    log: 'disk',
    durability: 'always',
    services: 2,
    instances: { passing: 3, suspect: 0, draining: 1, critical: 0 },
    connections: 5,
    watches: 4,
    maxWatches: 50_000,
    behind: 0,
    renewals: 100,
    expired: 1,
    overdue: 0,
    stalled: 120,
    memory: { resident: 64 * 2 ** 20, heap: 8 * 2 ** 20 },
    ...fields,
  };
}

function textsOf(fields: Partial<StatusReply>): string[] {
  return describeStatus(reply(fields), '127.0.0.1:6734', NOW).map(({ text }) => text);
}

function problemsOf(fields: Partial<StatusReply>): string[] {
  return textsOf(fields).filter((text) => text.startsWith('! '));
}

describe('the status of a registry', () => {
  it('is told in words', () => {
    expect(textsOf({})).toEqual([
      'registry at 127.0.0.1:6734, version 1.2.3, process 42, running for 2h',
      'All is well.',
      '',
      '  services     2',
      '  instances    4: 3 passing, 1 draining',
      '  connections  5',
      '  watches      4, of 50000 at most',
      '  renewals     100 since it started; 1 instance expired',
      '  revision     7, in epoch e1',
      '  storage      disk, durability always',
      '  stood still  120ms since it started; no instance lost time by that',
      '  memory       64 MiB, of which objects 8 MiB',
    ]);
  });

  it.each([
    [{ refusing: 'the disk is full' }, '! It refuses changes: the disk is full. Renewals and queries go on.'],
    [{ warming: 12.3 }, '! It has just started: for another 12s what is missing may be on its way back'],
    [{ overdue: 2 }, '! 2 instances are overdue'],
    [{ behind: 1 }, '! 1 connection is behind'],
    [{ watches: 45_000 }, '! Hardly any more watches are taken'],
    [{ instances: { passing: 0, suspect: 0, draining: 0, critical: 2 } }, '! 2 instances are critical'],
    [{ instances: { passing: 0, suspect: 1, draining: 0, critical: 0 } }, '! 1 instance is suspect'],
    [{ stalled: 80_000 }, '! It stood still for 80s'],
  ])('marks what is wrong: %j', (fields, problem) => {
    const problems = problemsOf(fields);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
    expect(textsOf(fields)).not.toContain('All is well.');
  });

  it('is not wrong for a standstill that is short, or long ago', () => {
    expect(problemsOf({ stalled: 999, started: NOW - 1000 })).toEqual([]);
    expect(problemsOf({ stalled: 60_000 })).toEqual([]);
  });

  it('has the worst first', () => {
    const tones = describeStatus(reply({ behind: 1, refusing: 'x' }), 'a', NOW).map(({ tone }) => tone);
    expect(tones.slice(1, 3)).toEqual(['bad', 'doubtful']);
  });
});

describe('regctl status', () => {
  it('shows what the registry holds', async () => {
    const regctl = await session();
    await regctl('register', 'web', 'a:1', '--status', 'critical');
    const { code, out, err } = await regctl('status');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^registry at 127\.0\.0\.1:\d+, version /);
    expect(out).toContain('\n! 1 instance is critical, and not used. To see: regctl query all --status critical\n');
    expect(out).toContain('\n  instances    1: 1 critical\n');
  });

  it('tells a program what the registry answered', async () => {
    const regctl = await session();
    await regctl('register', 'web', 'a:1');
    const { out } = await regctl('status', '--json');
    expect(JSON.parse(out)).toMatchObject({ services: 1, instances: { passing: 1, critical: 0 }, log: 'memory' });
  });

  it('fails where there is none', async () => {
    expect((await regctl(['status', '--addr', await deadAddr()])).code).toBe(4);
  });
});
