import { defineConfig } from 'vitest/config';

const source = (path: string) => new URL(`./packages/${path}`, import.meta.url).pathname;

export default defineConfig({
  resolve: {
    // Unit tests run on the sources; the end-to-end tests in tests/ drive what was built.
    alias: [
      { find: '@reg/protocol/testing', replacement: source('protocol/src/testing.ts') },
      { find: '@reg/client/undici', replacement: source('client/src/undici/index.ts') },
      { find: '@reg/server/testing', replacement: source('server/src/testing/index.ts') },
      { find: /^@reg\/(protocol|server|client)$/, replacement: source('$1/src/index.ts') },
    ],
  },
  // Node 20 has no `await using` of its own.
  oxc: { target: 'es2022' },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts'],
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        // After the others, and not on every core: daemons and clients of real time need some of the machine as well.
        test: { name: 'end-to-end', include: ['tests/**/*.test.ts'], maxWorkers: '50%', sequence: { groupOrder: 1 } },
      },
    ],
    // A machine that is busy with other work stands still for seconds now and then.
    testTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
    // Where clients keep what they last knew, and regctl what it logs in with: not among the files of who runs the tests.
    env: {
      XDG_CACHE_HOME: new URL('./node_modules/.cache/reg-tests', import.meta.url).pathname,
      REG_CREDENTIALS: new URL('./node_modules/.cache/reg-tests/credentials.json', import.meta.url).pathname,
    },
  },
});
