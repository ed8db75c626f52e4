import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { freePort } from '../../../devnet/free-port.ts';

it('a free port can be used, and lies outside the range of ports that the kernel assigns', async () => {
  const server = createServer();
  const port = await freePort();
  await once(server.listen(port, '127.0.0.1'), 'listening');
  server.close();
  expect(port).toBeGreaterThanOrEqual(20_000);
  expect(port).toBeLessThan(32_768);
});

it('each call gives another port', async () => {
  // Two of 500 random ports would be the same in all but one of ten thousand runs.
  const ports = await Promise.all(Array.from({ length: 500 }, freePort));
  expect(new Set(ports).size).toBe(500);
});
