import { expect } from 'vitest';

/** The reply to what is over the bound `limit`. @param retryAfter seconds; absent where none may be told. */
export function overLimit(limit: string, retryAfter?: number): object {
  const error = { code: 'over_limit', message: expect.any(String), limit };
  return { ok: false, error: retryAfter === undefined ? error : { ...error, retryAfter } };
}

/** A request that registers one more instance of a service, for ever. */
export const register = (instance: string, fields: object = {}) => ({
  type: 'register',
  key: 'web',
  instance,
  values: 1,
  timeout: 'never',
  ...fields,
});
