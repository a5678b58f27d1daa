import { createServer } from '@reg/server';
import { describe, expect, test } from 'vitest';

describe('a server that nobody has to authenticate to', () => {
  test.each(['0.0.0.0', '::', '::ffff:10.0.0.1', '10.0.0.1', '127.0.0.1.example.org', ''])(
    'does not listen on %j',
    async (host) => {
      const server = createServer({ host, port: 0, storage: 'memory' });
      await expect(server.listen()).rejects.toMatchObject({ code: 'bad_config' });
      await server.close();
    },
  );

  test.each(['127.0.0.1', '127.0.0.2', 'localhost'])('listens on %s', async (host) => {
    await using server = createServer({ host, port: 0, storage: 'memory' });
    expect((await server.listen()).port).toBeGreaterThan(0);
  });

  test('listens anywhere where that was asked for', async () => {
    await using server = createServer({ host: '0.0.0.0', port: 0, storage: 'memory', insecure: true });
    expect((await server.listen()).port).toBeGreaterThan(0);
  });
});
