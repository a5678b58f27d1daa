import type { Dispatcher } from 'undici';
import { request } from 'undici';
import { expect, test } from 'vitest';
import { toHandler } from '../src/undici/legacy-handler.js';
import { dispatcherOf, HttpService } from './http-services.js';

/** Notes what is done to it. */
function makeController(rawHeaders: Buffer[] | null = null) {
  const done: unknown[] = [];
  const controller: Dispatcher.DispatchController = {
    aborted: false,
    paused: false,
    reason: null,
    rawHeaders,
    abort: (reason) => void done.push(reason),
    pause: () => void done.push('pause'),
    resume: () => void done.push('resume'),
  };
  return { controller, done };
}

test('a handler of today is taken as it is', () => {
  const handler = { onRequestStart: () => {} };
  expect(toHandler(handler)).toBe(handler);
});

test('who wants no more data for now gets none until it resumes', () => {
  const { controller, done } = makeController();
  let resume = () => {};
  const handler = toHandler({
    onHeaders: (_, __, given) => {
      resume = given;
      return false;
    },
    onData: (chunk) => chunk.length > 1,
  });
  handler.onResponseStart?.(controller, 103, {});
  expect(done).toEqual([]);
  handler.onResponseStart?.(controller, 200, {});
  handler.onResponseData?.(controller, Buffer.from('ab'));
  handler.onResponseData?.(controller, Buffer.from('c'));
  expect(done).toEqual(['pause', 'pause']);
  resume();
  expect(done).toEqual(['pause', 'pause', 'resume']);
});

test('headers are those of the wire, or made of what is known of them', () => {
  const seen: string[][] = [];
  const handler = toHandler({
    onHeaders: (_, headers) => {
      seen.push(headers.map(String));
      return true;
    },
    onComplete: (trailers) => void seen.push(trailers ?? []),
  });
  const headers = { 'set-cookie': ['a=1', 'b=2'], age: '7' };
  const raw = ['Age', '7', 'Set-Cookie', 'a=1'];
  handler.onResponseStart?.(makeController(raw.map((text) => Buffer.from(text))).controller, 200, headers);
  handler.onResponseStart?.(makeController().controller, 200, headers);
  handler.onResponseEnd?.(makeController().controller, headers);
  const made = ['set-cookie', 'a=1', 'set-cookie', 'b=2', 'age', '7'];
  expect(seen).toEqual([raw, made, made]);
});

test('who aborts without a reason aborts all the same', () => {
  const { controller, done } = makeController();
  const handler = toHandler({ onConnect: (abort) => abort() });
  handler.onRequestStart?.(controller, undefined);
  expect(done).toEqual([expect.any(Error)]);
});

test('who asks for headers as they were sent gets them so', async () => {
  const service = await HttpService.start('a', (_, response) => void response.setHeader('X-Path', 'here').end());
  const { dispatcher } = dispatcherOf([service]);
  const { headers } = await request('http://payments/', { dispatcher, responseHeaders: 'raw' });
  expect(Array.isArray(headers) && headers.map(String)).toContain('X-Path');
});
