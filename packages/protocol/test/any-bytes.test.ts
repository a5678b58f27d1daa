import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRequest, RequestError } from '../src/codec.js';
import type { ErrorCode } from '../src/errors.js';
import { DEFAULT_LIMITS, type Limits } from '../src/limits.js';
import { UNOWNED } from '../src/messages.js';
import type { Request } from '../src/requests.js';
import { parseLinger, parseTimeout } from '../src/timeout.js';
import { requests } from './requests.js';

/** What a request can be refused with; the rest of the table is not the codec's to say. */
const REFUSALS: readonly ErrorCode[] = [
  'bad_json',
  'bad_request',
  'unknown_type',
  'invalid_name',
  'reserved_name',
  'invalid_timeout',
  'invalid_linger',
  'value_too_large',
  'value_too_deep',
  'meta_too_large',
  'too_many_tags',
];

/** Decodes, and lets nothing pass but what `decodeRequest` promises. */
function attempt(line: Buffer, limits: Limits = DEFAULT_LIMITS): Request | RequestError {
  try {
    return decodeRequest(line, limits);
  } catch (error) {
    if (error instanceof RequestError && REFUSALS.includes(error.code)) return error;
    throw error;
  }
}

/** The line of a request after an accident: a few bytes changed, put in, or gone. */
const accidents = fc
  .record({
    request: requests,
    changes: fc.array(fc.record({ at: fc.nat(300), gone: fc.nat(3), byte: fc.nat(255) }), {
      minLength: 1,
      maxLength: 4,
    }),
  })
  .map(({ request, changes }) => {
    const bytes = [...Buffer.from(JSON.stringify(request))];
    for (const { at, gone, byte } of changes) bytes.splice(at % (bytes.length + 1), gone, byte);
    return Buffer.from(bytes);
  });

/** Deep or wide JSON where a peer may put it. */
const bulks = fc
  .record({
    shape: fc.constantFrom(['[', '1', ']'], ['{"a":', '1', '}'], ['[[],', '1', ']'], ['"x', '', '"']),
    times: fc.integer({ min: 0, max: 3000 }),
    field: fc.constantFrom('values', 'tags', 'meta', 'id', 'key', 'timeout', 'instance', 'type'),
  })
  .map(({ shape: [open = '', core = '', close = ''], times, field }) =>
    Buffer.from(
      `{"type":"register","key":"redis","values":1,"${field}":${open.repeat(times)}${core}${close.repeat(times)}}`,
    ),
  );

describe('any bytes at all', () => {
  it('are a request or are refused with a code', () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
    const texts = fc.json().map((text) => Buffer.from(text));
    fc.assert(
      fc.property(fc.oneof(bytes, texts, accidents, bulks), (line) => {
        const outcome = attempt(line);
        expect(outcome instanceof RequestError ? outcome.message : outcome.type).not.toBe('');
      }),
      { numRuns: 2000 },
    );
  });

  it('are refused under the smallest limits too', () => {
    const limits: Limits = { maxLineBytes: 1, maxValueBytes: 1, maxMetaBytes: 2, maxReplyBytes: 1, maxWatches: 0 };
    fc.assert(
      fc.property(requests, (sent) => {
        const outcome = attempt(Buffer.from(JSON.stringify(sent)), limits);
        if (outcome instanceof RequestError || outcome.type !== 'register') return;
        expect(JSON.stringify(sent['values'])).toHaveLength(1);
      }),
    );
  });
});

/** Whether a peer that sent this field meant anything by it. */
const given = (field: unknown): boolean => field !== undefined && field !== null;

describe('a request that is accepted', () => {
  it('says what was sent, no more and no less', () => {
    let accepted = 0;
    fc.assert(
      fc.property(requests, (sent) => {
        const request = attempt(Buffer.from(JSON.stringify(sent)));
        if (request instanceof RequestError) return;
        accepted += 1;
        expect(request.type).toBe(sent['type']);
        expect(request.id).toBe(sent['id'] ?? undefined);
        for (const name of ['watch', 'revision', 'generation', 'takeover', 'owner', 'ack'] as const) {
          if (given(sent[name]) && name in request) expect(request).toHaveProperty(name, sent[name]);
        }
        if (request.type === 'watch') {
          const service = { service: sent['key'] };
          const prefix = { prefix: sent['key'] === 'all' ? '' : sent['prefix'] };
          expect(request.scope).toEqual('service' in request.scope ? service : prefix);
          expect(request.from).toEqual(
            given(sent['epoch']) ? { epoch: sent['epoch'], revision: sent['after'] } : undefined,
          );
        }
        if ('instance' in request) {
          expect(request.instance).toBe(sent['instance'] ?? (request.type === 'query' ? undefined : ''));
        }
        if ('key' in request) expect(request.key).toBe(sent['key']);
        if (request.type === 'query') {
          expect(request.detail).toBe(sent['detail'] ?? false);
          expect(request.limit).toBe(sent['limit'] ?? Number.POSITIVE_INFINITY);
          expect(request.after).toBe(sent['after'] ?? 0);
          expect(request.selector).toEqual({
            status: sent['status'] ?? undefined,
            tags: sent['tags'] ?? [],
            meta: Object.entries(sent['meta'] ?? {}),
          });
        }
        if (request.type === 'register') {
          const timeout = parseTimeout(sent['timeout']);
          const labels = Object.entries(sent).filter(
            ([name, field]) => /^(tags|meta|weight)$/.test(name) && given(field),
          );
          const content = { values: sent['values'], timeout, ...Object.fromEntries(labels) };
          expect(request.ttl).toBe(timeout === 'never' ? Number.POSITIVE_INFINITY : timeout * 1000);
          const linger = parseLinger(sent['linger']);
          expect(request.linger).toBe(linger === undefined ? Number.POSITIVE_INFINITY : linger * 1000);
          expect(request.status).toBe(sent['status'] ?? 'passing');
          expect(request).toMatchObject({
            owner: sent['owner'] ?? UNOWNED,
            generation: sent['generation'] ?? 0,
            takeover: sent['takeover'] ?? false,
          });
          assert.deepStrictEqual(JSON.parse(`{${request.body}}`), content);
          expect(JSON.stringify(JSON.parse(`{${request.body}}`))).toBe(`{${request.body}}`);
        }
      }),
      { numRuns: 1000 },
    );
    expect(accepted).toBeGreaterThan(300);
  });

  it('is accepted again when its body is sent again', () => {
    fc.assert(
      fc.property(requests, (sent) => {
        const first = attempt(Buffer.from(JSON.stringify(sent)));
        if (first instanceof RequestError || first.type !== 'register') return;
        const again = attempt(Buffer.from(`{"type":"register","key":${JSON.stringify(first.key)},${first.body}}`));
        expect(again).toMatchObject({ body: first.body, ttl: first.ttl });
      }),
    );
  });
});
