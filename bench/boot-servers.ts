import { Hono } from 'hono';
import { toHex } from '../src/bytes/hex.ts';
import { listen } from '../src/http/listener.ts';
import { benchApp, benchLog, benchMetrics } from './release-app.ts';
import { releaseWorld } from './release-world.ts';

/** What the servers tell the bench once they listen. */
export interface BootServersReady {
  /** Hex account, hex X25519 key and port of each. */
  readonly servers: readonly { readonly account: string; readonly x25519: string; readonly port: number }[];
  /** Answers anything with a constant, for the bare round trip. */
  readonly constantPort: number;
}

const address = { host: '127.0.0.1', port: 0 };
const servers = [];
for (let index = 0; index < 5; index++) {
  const { keyServer } = releaseWorld(benchLog, benchMetrics, index);
  const { port } = await listen(benchApp(keyServer).fetch, address);
  const { account, x25519PublicKey } = keyServer.identity;
  servers.push({ account: toHex(account), x25519: toHex(x25519PublicKey), port });
}
const constant = new Hono().post('*', async (context) => {
  await context.req.text();
  return context.json({ ok: true });
});
const { port: constantPort } = await listen(constant.fetch, address);
process.send?.({ servers, constantPort } satisfies BootServersReady);
process.once('message', () => process.exit());
