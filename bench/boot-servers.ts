import { Writable } from 'node:stream';
import { Hono } from 'hono';
import { toHex } from '../src/bytes/hex.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { keyRoutes } from '../src/http/key-routes.ts';
import { listen } from '../src/http/listener.ts';
import { porch } from '../src/http/porch.ts';
import { TokenBuckets } from '../src/keyserver/token-buckets.ts';
import { jsonLog } from '../src/observe/log.ts';
import { Metrics } from '../src/observe/metrics.ts';
import { releaseWorld, unlimited } from './release-world.ts';

/** What the servers tell the bench once they listen. */
export interface BootServersReady {
  /** Hex account, hex X25519 key and port of each. */
  readonly servers: readonly { readonly account: string; readonly x25519: string; readonly port: number }[];
  /** Answers anything with a constant, for the bare round trip. */
  readonly constantPort: number;
}

const log = jsonLog('info', new Writable({ write: (_chunk, _encoding, done) => done() }));
const metrics = new Metrics();
const address = { host: '127.0.0.1', port: 0 };
const servers = [];
for (let index = 0; index < 5; index++) {
  const { keyServer } = releaseWorld(log, metrics);
  const app = porch({
    log,
    metrics,
    random: systemRandom,
    now: () => performance.now(),
    maxBodyBytes: 64 * 1024,
    deadlineMs: 20_000,
    rate: new TokenBuckets(unlimited),
    peerAddress: () => '127.0.0.1',
  });
  keyRoutes(app, () => keyServer);
  const { port } = await listen(app.fetch, address);
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
