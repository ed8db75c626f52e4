import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { freePort } from '../../../devnet/free-port.ts';

it('a free port can be listened on, and is none that the kernel gives to others', async () => {
  const server = createServer();
  const port = await freePort();
  await once(server.listen(port, '127.0.0.1'), 'listening');
  server.close();
  expect(port).toBeGreaterThanOrEqual(20_000);
  expect(port).toBeLessThan(32_768);
});
