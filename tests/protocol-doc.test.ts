/**
 * Holds docs/protocol.md and docs/protocol.schema.json to what the daemon does. Every `wire` block of the
 * document is played against a daemon of its own; section 4 of the document explains the notation.
 */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import {
  type Clock,
  DEFAULT_LIMITS,
  DEFAULT_PORT,
  decodeRequest,
  ERRORS,
  type ErrorCode,
  isErrorCode,
  RequestError,
  WIRE_LIMITS,
} from '@reg/protocol';
import { ManualClock } from '@reg/protocol/testing';
import { createServer } from '@reg/server';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requests } from '../packages/protocol/test/requests.js';

const read = (path: string): string => readFileSync(new URL(`../docs/${path}`, import.meta.url), 'utf8');
const DOCUMENT = read('protocol.md');

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });
const SCHEMA = ajv.addSchema(JSON.parse(read('protocol.schema.json')), 'protocol');

/** Why `message` is not what `definition` says, as text; empty where it is. */
function faults(definition: string, message: unknown): string {
  const validate = SCHEMA.getSchema(`protocol#/$defs/${definition}`);
  if (!validate) throw new Error(`the schema has no definition ${definition}`);
  return validate(message) ? '' : `${definition}: ${ajv.errorsText(validate.errors)}`;
}

interface Step {
  readonly does: 'send' | 'answer' | 'wait';
  /** What follows `> `, `< ` or `wait `, with its continuation lines. */
  readonly text: string;
}

interface Block {
  readonly heading: string;
  /** Where the block begins in the document, from 1. */
  readonly line: number;
  readonly steps: readonly Step[];
}

const MARKS: Readonly<Record<string, Step['does']>> = { '>': 'send', '<': 'answer', wait: 'wait' };

function parseStep(line: string): Step {
  const [mark = '', ...words] = line.split(' ');
  const does = Object.hasOwn(MARKS, mark) ? MARKS[mark] : undefined;
  if (!does) throw new Error(`not in the notation of wire blocks: ${line}`);
  return { does, text: words.join(' ') };
}

function parseBlocks(document: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  let steps: Step[] | undefined;
  for (const [index, line] of document.split('\n').entries()) {
    const last = steps?.at(-1);
    if (line === '```wire') {
      steps = [];
      blocks.push({ heading, line: index + 1, steps });
    } else if (line.startsWith('```')) steps = undefined;
    else if (!steps) heading = /^#+ (.*)/.exec(line)?.[1] ?? heading;
    else if (line.startsWith('  ') && last) steps.splice(-1, 1, { ...last, text: last.text + line.trim() });
    else steps.push(parseStep(line));
  }
  return blocks;
}

const PLACEHOLDER = /<(R\d+|revision|ms|seconds|text|x\*\d+)>/;

/** What each kind of placeholder stands for in a received line. */
const PATTERNS: Readonly<Record<string, string>> = {
  revision: '(0|[1-9]\\d*)',
  ms: '(\\d+)',
  seconds: '([0-9][0-9.e-]*)',
  text: '("(?:[^"\\\\]|\\\\.)+")',
};

const literally = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

function patternOf(placeholder: string): string {
  const pattern = PATTERNS[placeholder.replace(/^R\d+$/, 'revision')];
  if (pattern === undefined) throw new Error(`<${placeholder}> has no meaning in a received line`);
  return pattern;
}

/** What the placeholders of one block stand for; the revisions `<R1>`, `<R2>`, … as they turn out to be. */
class Placeholders {
  readonly #clock: Clock;
  readonly #started: number;
  readonly #revisions = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#started = clock.wall();
  }

  /** The text of a line to send. */
  fill(template: string): string {
    return template.replace(new RegExp(PLACEHOLDER, 'g'), (_, name: string) => {
      const times = /^x\*(\d+)$/.exec(name)?.[1];
      if (times !== undefined) return 'x'.repeat(Number(times));
      const number = this.#revisions.get(name);
      if (number === undefined) throw new Error(`<${name}> stands in a sent line before it is known`);
      return String(number);
    });
  }

  /** Compares a received line with its template, and learns the revisions in it. */
  match(line: string, template: string): void {
    // `split` by a pattern with a group gives texts and names of placeholders in turn.
    const parts = template.split(PLACEHOLDER);
    const names = parts.filter((_, i) => i % 2 === 1);
    const pattern = parts.map((part, i) => (i % 2 === 0 ? literally(part) : patternOf(part)));
    const found = new RegExp(`^${pattern.join('')}$`).exec(line);
    if (!found) expect(line).toBe(template);
    names.forEach((name, i) => {
      this.#check(name, found?.[i + 1] ?? '');
    });
  }

  #check(name: string, text: string): void {
    const number = Number(text);
    if (name === 'ms') {
      expect(number).toBeGreaterThanOrEqual(this.#started);
      expect(number).toBeLessThanOrEqual(this.#clock.wall());
    } else if (name === 'seconds') {
      expect(number).toBeGreaterThan(0);
    } else if (name.startsWith('R')) {
      expect(number, `<${name}>`).toBe(this.#revisions.get(name) ?? number);
      this.#revisions.set(name, number);
      const inOrder = [...this.#revisions].sort(([a], [b]) => Number(a.slice(1)) - Number(b.slice(1)));
      const numbers = inOrder.map(([, revision]) => revision);
      expect(numbers, inOrder.join(' ')).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    }
  }
}

/** The lines that the daemon sends; each ends with CRLF, and so must the last. */
async function* linesFrom(socket: Socket): AsyncGenerator<string, string> {
  let rest = '';
  for await (const chunk of socket.setEncoding('utf8')) {
    const lines = (rest + String(chunk)).split('\r\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  expect(rest).toBe('');
  return 'the daemon has closed the connection';
}

/** Requests that are wrong in a way that the schema can say. */
const FORM_ERRORS: readonly string[] = [
  'bad_request',
  'unknown_type',
  'invalid_name',
  'reserved_name',
  'invalid_timeout',
  'invalid_linger',
  'too_many_tags',
] satisfies ErrorCode[];

/** Holds one exchange to the schema: both lines are what it says, or rightly not. */
function checkSchema(sent: string, received: string): void {
  const reply: { ok: boolean; error?: { code: string } } = JSON.parse(received);
  const code = reply.error?.code ?? '';
  if (reply.ok) {
    const request: { type: string } = JSON.parse(sent);
    expect(faults('request', request)).toBe('');
    expect(faults(`${request.type}Request`, request)).toBe('');
    expect(faults(`${request.type}Reply`, reply)).toBe('');
    return;
  }
  expect(faults('failure', reply)).toBe('');
  expect(isErrorCode(code), code).toBe(true);
  if (code === 'bad_json') expect(() => JSON.parse(sent)).toThrow(SyntaxError);
  else expect(faults('request', JSON.parse(sent)) === '', sent).toBe(!FORM_ERRORS.includes(code));
}

function isEvent(received: string): boolean {
  return !('ok' in JSON.parse(received));
}

function checkEvent(received: string): void {
  const event: { type: string } = JSON.parse(received);
  expect(faults('event', event)).toBe('');
  expect(faults(`${event.type}Event`, event)).toBe('');
}

/** Sends, waits and compares as the block says; after it the daemon owes nothing, and closes when we do. */
async function play(block: Block): Promise<void> {
  const clock = new ManualClock();
  const server = createServer({ port: 0, storage: 'memory', grace: 0, clock });
  const { host, port } = await server.listen();
  const socket = connect(port, host);
  try {
    await once(socket, 'connect');
    const received = linesFrom(socket);
    const placeholders = new Placeholders(clock);
    const unanswered: string[] = [];
    const end: Step[] = [
      { does: 'send', text: '{"type":"ping","id":"end"}' },
      { does: 'answer', text: '{"ok":true,"id":"end"}' },
    ];
    for (const { does, text } of [...block.steps, ...end]) {
      if (does === 'wait') clock.advance(Number(text) * 1000);
      if (does === 'send') {
        const line = placeholders.fill(text);
        socket.write(`${line}\r\n`);
        if (line !== '') unanswered.push(line);
      }
      if (does === 'answer') {
        const { value } = await received.next();
        placeholders.match(value, text);
        if (isEvent(value)) checkEvent(value);
        else checkSchema(unanswered.shift() ?? '', value);
      }
    }
    expect(unanswered).toEqual([]);
    socket.end();
    expect((await received.next()).done).toBe(true);
  } finally {
    socket.destroy();
    const closed = server.close();
    // Its timers are in our hand too: a peer that it waits for in vain must not hold it.
    clock.advance(1000);
    await closed;
  }
}

describe('docs/protocol.md', () => {
  const blocks = parseBlocks(DOCUMENT);

  it('has an example of every command', () => {
    const sent = blocks.flatMap(({ steps }) => steps.filter(({ does }) => does === 'send').map(({ text }) => text));
    const commands = JSON.parse(read('protocol.schema.json')).$defs.request.oneOf.map(
      ({ $ref }: { $ref: string }) => /(\w+)Request$/.exec($ref)?.[1],
    );
    expect(commands).toHaveLength(15);
    // Nothing but the kinds of `status` numbers can be said without knowing the machine.
    for (const type of commands.filter((command: string) => command !== 'status')) {
      expect(sent.join('\n')).toContain(`{"type":"${type}"`);
    }
  });

  it.each(blocks)('does what it says in $heading, line $line', play);

  it('names every error that the daemon answers, in its class', () => {
    const answered = Object.entries(ERRORS).slice(0, Object.keys(ERRORS).indexOf('connect_failed'));
    const named = (heading: string) => {
      const section = DOCUMENT.split(/^##+ /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
      return [...section.matchAll(/^\| `([a-z_]+)` +\|/gm)].map(([, code]) => code);
    };
    const codesWhere = (isIn: (row: (typeof ERRORS)[ErrorCode]) => boolean) =>
      answered.filter(([, row]) => isIn(row)).map(([code]) => code);
    expect(named('Wrong requests')).toEqual(codesWhere(({ exit }) => exit === 2));
    expect(named('Requests that cannot be met')).toEqual(codesWhere(({ exit, retryable }) => exit !== 2 && !retryable));
    expect(named('Not now')).toEqual(codesWhere(({ retryable }) => retryable));
  });

  it('states the limits and the port that hold by default', () => {
    const rows = [...DOCUMENT.matchAll(/^\| .* \| ([\d,]+) .*\| `(max\w+)` +\|/gm)];
    const stated = rows.map(([, number = '', name = '']) => [name, Number(number.replaceAll(',', ''))] as const);
    expect(Object.fromEntries(stated)).toEqual({ ...DEFAULT_LIMITS, ...WIRE_LIMITS });
    expect(DOCUMENT).toContain(`the port is ${DEFAULT_PORT} `);
  });
});

function accepts(line: string): boolean {
  try {
    decodeRequest(Buffer.from(line), DEFAULT_LIMITS);
    return true;
  } catch (error) {
    if (error instanceof RequestError) return false;
    throw error;
  }
}

const register = (fields: string): string => `{"type":"register","key":"redis",${fields}}`;

/** All that the schema lets pass and the daemon refuses; the generated requests keep clear of it. */
const BEYOND_THE_SCHEMA: [what: string, line: string][] = [
  ['bytes of a name', `{"type":"query","key":"${'\u00e4'.repeat(128)}"}`],
  ['bytes of a tag', register(`"values":1,"tags":["${'\u00e4'.repeat(128)}"]`)],
  ['bytes of an id', `{"type":"ping","id":"${'\u00e4'.repeat(33)}"}`],
  ['bytes of a value', register(`"values":"${'x'.repeat(65_535)}"`)],
  ['bytes of the metadata', register(`"values":1,"meta":{"a":"${'x'.repeat(16_384)}"}`)],
  ['the depth of a value', register(`"values":${'['.repeat(33)}${']'.repeat(33)}`)],
  ['a number beyond the range of a double', register('"values":1e999')],
  ['a lone surrogate in a name', '{"type":"query","key":"\\ud800"}'],
  ['the upper bound of a timeout that is a string', register('"values":1,"timeout":"315360001"')],
  ['the upper bound of a linger that is a string', register('"values":1,"linger":"86401"')],
  ['bytes of an owner', register(`"values":1,"owner":"${'\u00e4'.repeat(33)}"`)],
  ['a lone surrogate in an owner', register('"values":1,"owner":"\\ud800"')],
  ['a timeout that is a string and too small for a double', register(`"values":1,"timeout":"0.${'0'.repeat(400)}1"`)],
];

describe('docs/protocol.schema.json', () => {
  it('takes exactly the requests that the daemon takes', () => {
    const seen = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(requests, (sent) => {
        const accepted = accepts(JSON.stringify(sent));
        seen[accepted ? 'accepted' : 'refused'] += 1;
        const fault = faults('request', sent);
        expect(fault === '', fault).toBe(accepted);
      }),
      { numRuns: 3000 },
    );
    expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(300);
  });

  it.each(BEYOND_THE_SCHEMA)('cannot say %s', (_, line) => {
    expect(faults('request', JSON.parse(line))).toBe('');
    expect(accepts(line)).toBe(false);
  });

  it('takes a line of the daemon as a reply or as an event, never as both', () => {
    const event = { type: 'of tomorrow', watch: 1 };
    expect(faults('event', event)).toBe('');
    expect(faults('reply', event)).not.toBe('');
    expect(faults('reply', { ok: true, type: 'change' })).toBe('');
    expect(faults('event', { ok: true, type: 'change' })).not.toBe('');
  });
});
