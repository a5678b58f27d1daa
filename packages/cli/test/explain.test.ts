import type { ExplainReply, InstanceRecord } from '@reg/client';
import { describe, expect, it } from 'vitest';
import { describe as describeInstance, explain } from '../src/commands/explain.js';
import { type Bench, makeBench, regctl, session } from './regctl.js';

const NOW = Date.UTC(2026, 0, 1);

const HOLDER = { peer: '10.0.0.9:4000', opened: NOW - 60_000, heartbeats: 0, intervals: [] };

/** One that is neither bound nor renewed. */
const UNBOUND: InstanceRecord = {
  key: 'web',
  instance: 'w1',
  values: 'a:1',
  timeout: 'never',
  revision: 5,
  generation: 5,
  registered: NOW - 60_000,
  left: 'never',
};

function reply(fields: Partial<ExplainReply> = {}, record: Partial<InstanceRecord> = {}): ExplainReply {
  return {
    revision: 5,
    service: { ...UNBOUND, timeout: 10, linger: 2, left: 9, ...record },
    owned: true,
    changed: NOW - 60_000,
    renewed: NOW - 1000,
    holder: HOLDER,
    watches: 0,
    watchers: [],
    ...fields,
  };
}

function textsOf(told: ExplainReply): string[] {
  return describeInstance('web/w1', told, NOW).map(({ text }) => text);
}

describe('what is known of an instance', () => {
  it('is told in words', () => {
    const holder = { ...HOLDER, heartbeats: 18, intervals: [3000, 3400] };
    expect(textsOf(reply({ holder, watches: 3, watchers: ['10.0.0.7:1', '10.0.0.8:1'] }))).toEqual([
      'web/w1 is passing',
      '',
      '  value       a:1',
      '  labels      -',
      '  registered  60s ago (2025-12-31T23:59:00.000Z), at revision 5',
      '  by          10.0.0.9:4000, connected for 60s',
      '  owner       who registered it: nobody else can, unless it is suspect',
      '  renewed     1s ago, 9s of its ttl of 10s left',
      '  heartbeats  18 over that connection, one every 3.2s (3s to 3.4s)',
      '  linger      2s after its connection',
      '  watched by  3 watches: 10.0.0.7:1, 10.0.0.8:1 and others',
    ]);
  });

  it.each([
    [{}, {}, 'web/w1 is passing', 'good'],
    [{}, { status: 'draining' }, 'web/w1 is draining: it says that it is leaving', 'leaving'],
    [{}, { status: 'critical' }, 'web/w1 is critical: it says that it cannot serve', 'bad'],
    [
      { holder: { ...HOLDER, closed: NOW - 500 } },
      { status: 'suspect', left: 1.45 },
      'web/w1 is suspect: its connection broke 500ms ago, and it ends in 1.5s unless it comes back',
      'doubtful',
    ],
  ] as const)('begins with how it is, and why: %j %j', (fields, record, heading, tone) => {
    expect(describeInstance('web/w1', reply(fields, record), NOW)[0]).toEqual({ text: heading, tone });
  });

  it('says that nobody owns it, and that it does not depend on its connection', () => {
    const texts = textsOf({ revision: 5, service: UNBOUND, owned: false, watches: 0, watchers: [] });
    expect(texts).toContain('  by          nobody since the registry started');
    expect(texts).toContain('  owner       none: whoever registers it again replaces it');
    expect(texts).toContain('  renewed     never: it stays until it is destroyed');
    expect(texts).toContain('  linger      none: it does not depend on its connection');
    expect(texts).toContain('  watched by  nobody');
  });

  it('says of one from before a restart that nobody has come back for it', () => {
    const { holder: _, ...told } = reply({}, { status: 'suspect', left: 1 });
    expect(textsOf(told)[0]).toBe(
      'web/w1 is suspect: nobody has come back for it since the registry started, and it ends in 1s unless it comes back',
    );
  });

  it('says when it was last changed, where that is not when it was registered', () => {
    expect(textsOf(reply({}, { revision: 7 }))).toContain(
      '  changed     60s ago (2025-12-31T23:59:00.000Z), at revision 7',
    );
  });

  it('marks what is not as it should be', () => {
    expect(textsOf(reply({ renewed: NOW - 8000 }))[1]).toBe('! It was not renewed for 8s, and should be every 3.3s.');
    const holder = { ...HOLDER, heartbeats: 3, intervals: [3000, 7000] };
    expect(textsOf(reply({ holder }))[1]).toBe(
      '! Its heartbeats are irregular: of the last, one came 7s after the one before.',
    );
  });

  it.each([
    ['expired', 'web/w1 has expired, not renewed in time or cut off for longer than its linger, 60s ago'],
    ['destroyed', 'web/w1 was destroyed 60s ago'],
    ['superseded', 'web/w1 was taken over by another owner 60s ago'],
  ] as const)('is how it ended where it is gone: %s', (reason, text) => {
    const ended = { reason, revision: 9, at: NOW - 60_000 };
    expect(textsOf({ revision: 9, ended, watches: 0, watchers: [] })[0]).toBe(
      `${text} (2025-12-31T23:59:00.000Z), at revision 9`,
    );
  });
});

describe('regctl explain', () => {
  async function told(bench: Bench, name: string): Promise<string> {
    const before = bench.stdout.text.length;
    await explain(name, bench.context);
    return bench.stdout.text.slice(before);
  }

  it('follows an instance from its registration to its end', async () => {
    const bench = await makeBench();
    const { registry } = bench;
    await bench.connect().register('web', 'a:1', { instance: 'w1', ttl: 9, linger: 3 });
    await registry.advance(20_000);
    const alive = await told(bench, 'web/w1');
    expect(alive).toContain('web/w1 is passing\n');
    expect(alive).toMatch(/\n {2}heartbeats {2}\d+ over that connection, one every 3s/);
    await bench.connect().destroy('web', { instance: 'w1' });
    expect(await told(bench, 'web/w1')).toContain('web/w1 was destroyed 0s ago');
  });

  it('says why one is suspect', async () => {
    const bench = await makeBench();
    const { registry } = bench;
    await bench.connect().request('register', { key: 'web', values: 'a:1', linger: 5 });
    registry.killConnections();
    await registry.advance(1000);
    expect(await told(bench, 'web')).toMatch(
      /^web is suspect: its connection broke 1(\.0)?s ago, and it ends in 4s unless it comes back\n/,
    );
    await registry.advance(5500);
    expect(await told(bench, 'web')).toMatch(/^web has expired, .* 1s ago \(/);
  });

  it('tells a program what the registry answered', async () => {
    const regctl = await session();
    await regctl('register', 'web', 'a:1', '--instance', 'w1');
    expect(JSON.parse((await regctl('explain', 'web/w1', '--json')).out)).toMatchObject({
      key: 'web',
      instance: 'w1',
      service: { values: 'a:1' },
      owned: false,
      watches: 0,
    });
  });

  it('fails where nothing is known', async () => {
    const regctl = await session();
    const { code, out, err } = await regctl('explain', 'web/w1');
    expect({ code, out }).toEqual({ code: 3, out: '' });
    expect(err).toContain('nothing is registered as web/w1, and nothing is known of an end of it.');
  });

  it.each(['', '/', 'web/', '/w1', 'a/b/c', 'all'])('refuses %j', async (name) => {
    expect((await regctl(['explain', name])).code).toBe(2);
  });
});
